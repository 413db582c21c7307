"""A state in an SQLite file: how it is opened, and what its errors mean.

SQLite before 3.51.3 (and its back-ports 3.50.7 and 3.44.6) can damage a database in WAL mode when two
connections meet at a checkpoint, so WAL is used only from those on (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

import sqlalchemy as sa

from sorawatch.core.os_errors import translate
from sorawatch.edges.directories import make_private, private_opener
from sorawatch.errors import Blocked, DamagedState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sorawatch.edges.store.database import Mode

BUSY_SECONDS = 30
"""How long a transaction waits for another process's before it gives up."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HINTS = {
    sqlite3.SQLITE_FULL: "Make room on its disk.",
    sqlite3.SQLITE_READONLY: "Let sorawatch's user write it and its folder; it must also be where it was opened.",
    sqlite3.SQLITE_BUSY: "Close the program that has it open; writing goes on as soon as it lets go.",
    sqlite3.SQLITE_CANTOPEN: "Check that its folder exists and may be used by sorawatch's user.",
    sqlite3.SQLITE_IOERR: "Check its disk.",
    sqlite3.SQLITE_PERM: "Let sorawatch's user write it.",
    sqlite3.SQLITE_NOMEM: "Free some memory.",
}

_HALF_WRITTEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""To roll back the last transaction takes write access."""

_MODES: dict[Mode, tuple[str, str]] = {
    "read": ("ro", "BEGIN"),
    "repair": ("rw", "BEGIN"),
    "write": ("rwc", "BEGIN IMMEDIATE"),
}


class SqliteFile:
    """The `Keeper` of a state in a file, on which one daemon works."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        return str(self._path)

    @property
    def name(self) -> str:
        return f"the state file {self._path}"

    def engine(self, mode: Mode, owner: str) -> sa.Engine:  # noqa: ARG002 -- a lock beside the file shows whether a daemon is there
        open_mode, begin = _MODES[mode]
        where = f"file:{quote(os.fsencode(self._path.absolute()))}?mode={open_mode}"

        def connect() -> sqlite3.Connection:
            if open_mode == "rwc":
                # SQLite gives its journal the permissions of the file.
                with contextlib.suppress(OSError), open(self._path, "ab", opener=private_opener):
                    make_private(self._path)
            connection = sqlite3.connect(
                where, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.execute("PRAGMA synchronous=FULL")
            return connection

        engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.StaticPool)

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            code = primary_code(error)
            cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
            if code in _DAMAGED or "no such table" in str(error):
                raise self._damaged(str(cause)) from error
            if code not in _HINTS:
                raise
            raise Blocked(f"{self.name} cannot be used: {cause}", _HINTS[code], temporary=True) from error

    def is_half_written(self, error: sa.exc.OperationalError) -> bool:
        return primary_code(error) in _HALF_WRITTEN

    def is_there(self) -> bool:
        try:
            return self._path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise translate(error, self.place) from error

    def opened(self, engine: sa.Engine) -> None:
        # Only now, because the journal mode may be written into the file.
        mode = "WAL" if has_safe_wal(sqlite3.sqlite_version_info) else "TRUNCATE"
        with contextlib.closing(engine.raw_connection()) as connection:
            connection.cursor().execute(f"PRAGMA journal_mode={mode}")
        self._identity = self._found()

    def require_same(self) -> None:
        # SQLite would go on writing to a file that was deleted or replaced.
        if self._identity is not None and self._found() != self._identity:
            hint = "Put it back where it was, or stop sorawatch and start it again."
            raise Blocked(f"{self.name} was removed or replaced while in use", hint, temporary=True)

    def examine(self, connection: sa.Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        if found != "ok":
            raise self._damaged(str(found).splitlines()[-1])

    def version(self, engine: sa.Engine) -> object:
        try:
            with contextlib.closing(engine.raw_connection()) as connection:
                return connection.cursor().execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return object()

    def version_within(self, connection: sa.Connection) -> None:
        """None: ``data_version`` changes only when others write."""

    def connection_id(self, connection: sa.Connection) -> None:
        """None: `require_same` refuses a file that was replaced."""

    def incarnation(self, connection: sa.Connection) -> None:
        """None, as `connection_id` says."""

    def present(self, connection: sa.Connection) -> frozenset[int]:  # noqa: ARG002 -- as `engine` says
        return frozenset()

    def _damaged(self, cause: str) -> DamagedState:
        hint = "Put a good copy back, or run `sorawatch recover`, which keeps this one aside."
        return DamagedState(f"{self.name} is damaged: {cause}. {hint}")

    def _found(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino


def has_safe_wal(version: tuple[int, ...]) -> bool:
    """Whether this version of SQLite has the fix of the WAL reset."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def primary_code(error: sa.exc.DatabaseError | sqlite3.DatabaseError) -> int:
    """SQLite's result code, the low byte of its extended ones (https://sqlite.org/rescode.html)."""
    cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
    return int(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
