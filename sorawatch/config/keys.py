"""Finds the API key. The key itself is only returned by ``KeySource.read`` and kept by ``CurrentKey``."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.core.dialect import NO_KEY
from sorawatch.core.yaml_tree import Invalid
from sorawatch.edges import yamlfile
from sorawatch.errors import Blocked, ConfigError, Deferred, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from sorawatch.config.sections import Config

VARIABLE = "SORAWATCH_API_KEY"
CREDENTIAL = "api-key"


@dataclass(frozen=True, slots=True)
class KeySource:
    """The place of the key. ``path`` is its file, or None if it is in the environment."""

    where: str
    path: Path | None
    _environ: Mapping[str, str] = field(repr=False, compare=False)

    def read(self) -> str:
        """The current key, without white space around it.

        Raises:
            ConfigError: it cannot be read, or is not one word. The message never contains what was found.
        """
        key = (self._environ.get(VARIABLE, "") if self.path is None else self._from_file(self.path)).strip()
        if not key:
            raise self._error("is empty", "Put the key there, and nothing else.")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise self._error("is not one word of plain letters", 'Put only the key there, without "Bearer" or quotes.')
        return key

    @property
    def is_readable_by_all(self) -> bool:
        """Whether every user of the machine can read or replace the file.

        Raises:
            OSError: if its status cannot be read.
        """
        return self.path is not None and bool(os.stat(self.path).st_mode & (stat.S_IROTH | stat.S_IWOTH))

    def fingerprint(self) -> Hashable:
        """A value that changes when the key, or its file, is changed. It does not reveal the key."""
        if self.path is None:
            return None
        try:
            status, key = os.stat(self.path), self.read()
        except (OSError, ConfigError):
            return None
        return status.st_ino, status.st_mtime_ns, hashlib.sha256(key.encode()).digest()

    def _from_file(self, path: Path) -> str:
        hint = "Put the key into that file, readable by the user who runs sorawatch."
        try:
            return yamlfile.read(Path(os.path.realpath(path))).decode("utf-8-sig", errors="replace")
        except Invalid as invalid:
            raise self._error(invalid.problems[0].what, hint) from invalid
        except (Deferred, Blocked) as error:
            raise self._error(str(error), hint) from error

    def _error(self, what: str, hint: str) -> ConfigError:
        return ConfigError((Problem(self.where, what, hint),))


_FRESH_NS = 2_000_000_000
"""A file that was changed a shorter time ago may be changed once more without another time stamp."""


class CurrentKey:
    """The key of a source, as it is at each call. Its file is read again only if it has changed.

    May be called from any thread.
    """

    def __init__(self, source: KeySource, clock: Callable[[], int] = time.time_ns) -> None:
        """``clock``: nanoseconds since 1970."""
        self._source = source
        self._clock = clock
        self._known: tuple[Hashable, str] | None = None
        """The status of the file, and the key that it then had."""

    def __call__(self) -> str:
        """The key. Raises: ConfigError: as `KeySource.read`."""
        path, known = self._source.path, self._known
        if path is None:
            return self._source.read()
        before = _status(path)
        if known is not None and known[0] == before:
            return known[1]
        key = self._source.read()
        is_settled = before is not None and self._clock() - max(before[3:]) > _FRESH_NS
        self._known = (before, key) if is_settled and _status(path) == before else None
        return key


def _status(path: Path) -> tuple[int, int, int, int, int] | None:
    """What differs after a file was changed or replaced; None if it cannot be found."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def find_key(config: Config, environ: Mapping[str, str]) -> KeySource | None:
    """The first that is set of ``api.key_file``, ``$SORAWATCH_API_KEY`` and the systemd credential ``api-key``.

    None if the server needs no key (``api.auth: none``).

    Raises:
        ConfigError: none of them is set.
    """
    if config.api.auth == NO_KEY:
        return None
    if file := config.api.key_file:
        return KeySource(f"api.key_file, {file}", file, environ)
    if environ.get(VARIABLE, "").strip():
        return KeySource(f"environment variable {VARIABLE}", None, environ)
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder, CREDENTIAL)
        if os.path.lexists(credential):
            return KeySource(f"systemd credential {CREDENTIAL}, {credential}", credential, environ)
    hint = (
        f'Set ${VARIABLE}, or name the file that holds it: "key_file: api.key" under "api:". '
        'For a server without keys: "auth: none".'
    )
    raise ConfigError((Problem(str(config.path), "there is no API key", hint),))
