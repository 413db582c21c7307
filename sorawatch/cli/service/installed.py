"""Reads an installed unit with its drop-ins."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.cli.service.unit import Places

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Installed:
    """The path of a service's unit, and the values of each key in it and its drop-ins, in order."""

    unit: Path
    values: dict[str, list[str]]

    @classmethod
    def read(cls, name: str) -> Installed | None:
        """The service ``name``, which may be an instance ``base@instance``; None if it is not installed in ``/etc``."""
        unit = Places(name).unit
        names = [unit.name]
        base, at, instance = name.partition("@")
        if at and not unit.is_file():
            unit = unit.with_name(f"{base}@.service")
            names.insert(0, unit.name)
        if not unit.is_file():
            return None
        drop_ins = {path.name: path for each in names for path in unit.with_name(f"{each}.d").glob("*.conf")}
        return cls(unit, _read_values([unit, *(drop_ins[each] for each in sorted(drop_ins))], instance))

    @property
    def command(self) -> list[str]:
        """The words of ``ExecStart=``."""
        return [word.replace("$$", "$") for word in shlex.split(self.last("ExecStart"))]

    def last(self, key: str, default: str = "") -> str:
        """The last value of a key."""
        return self.values.get(key, [default])[-1]

    def words(self, key: str) -> list[str]:
        """The words of all values of a key that is a list."""
        return [word for value in self.values.get(key, ()) for word in shlex.split(value)]


def _read_values(files: Iterable[Path], instance: str) -> dict[str, list[str]]:
    """The values of each key. An empty value removes the earlier ones."""
    values: dict[str, list[str]] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            key, separator, value = (part.strip() for part in line.partition("="))
            if not separator or key.startswith(("#", ";")):
                continue
            if value:
                expanded = re.sub("%([%iI])", lambda match: "%" if match[1] == "%" else instance, value)
                values.setdefault(key, []).append(expanded)
            else:
                values.pop(key, None)
    return values
