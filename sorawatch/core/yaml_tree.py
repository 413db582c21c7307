"""A YAML file as a tree whose values know their lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from sorawatch.errors import Problem, SorawatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 64 * 1024
"""The largest sidecar or configuration that is read, in bytes."""

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | tuple[Node, ...] | Mapping[str, Node]"

EMPTY: Mapping[str, Node] = MappingProxyType({})

# Everything but the characters that YAML allows (YAML 1.2.2, production 1). NUL and lone surrogates would break paths
# and requests later, when their cause is hard to find.
_CONTROL_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# 18 digits fit a 64-bit column; longer numbers become floats, which no integer key accepts.
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class Invalid(SorawatchError):
    """A file that cannot be used, with all its problems.

    The caller turns it into ``Rejected`` for a sidecar, or ``ConfigError`` for the configuration.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Node:
    """One value. ``line`` of a value under a key is the line of the key, since people look for it there."""

    value: Value
    text: str = ""
    """A scalar exactly as written, without quotes: ``0.10`` keeps its digits, ``2024-01-01`` its dashes."""
    source: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    """Counted from 1; 0 if there are no lines, as in an environment variable."""

    @property
    def place(self) -> str:
        return f"{self.source} line {self.line}" if self.line else self.source


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar in the core schema of YAML 1.2, with decimal numbers only.

    Nothing else is special: ``yes``, ``12:30``, ``2024-01-01``, ``0x10`` and ``.inf`` are text.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def decode(data: bytes, name: str) -> str:
    """The text of the small UTF-8 file ``name``; a byte order mark is dropped.

    Raises:
        Invalid: over 64 KiB, not UTF-8, or with control characters.
    """
    if len(data) > MAX_BYTES:
        raise Invalid(Problem(name, f"is larger than {MAX_BYTES // 1024} KiB", "Shorten it."))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The positions of the error do not count a byte order mark.
        line = error.object[: error.start].count(b"\n") + 1
        what = f"is not UTF-8 text (byte 0x{error.object[error.start]:02x})"
        hint = "Save it with the encoding UTF-8."
        raise Invalid(Problem(f"{name} line {line}", what, hint)) from error
    if bad := find_control_character(text):
        line = text[: bad.start()].count("\n") + 1
        hint = "Remove that character, or save the file again as plain text in UTF-8."
        raise Invalid(Problem(f"{name} line {line}", f"contains the control character U+{ord(bad[0]):04X}", hint))
    return text


def find_control_character(text: str) -> re.Match[str] | None:
    """The first character of ``text`` that a text file must not contain, such as NUL or a lone surrogate."""
    return _CONTROL_CHARACTER.search(text)
