"""SQLite as the state's keeper: how it is opened, and what its errors mean.

SQLite before 3.51.3 (and its back-ports 3.50.7 and 3.44.6) can damage a database in WAL mode when two
connections meet at a checkpoint, so WAL is used only from those on (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import sqlalchemy as sa

from sorawatch.errors import Blocked, DamagedState

BUSY_SECONDS = 30
"""How long a transaction waits for another process's before it gives up."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MENDS = {
    sqlite3.SQLITE_FULL: "Make room on its disk.",
    sqlite3.SQLITE_READONLY: "Let sorawatch's user write it and its folder; it must also lie where it was opened.",
    sqlite3.SQLITE_BUSY: "Close the program that has it open; writing goes on as soon as it lets go.",
    sqlite3.SQLITE_CANTOPEN: "Check that its folder exists and may be used by sorawatch's user.",
    sqlite3.SQLITE_IOERR: "Check its disk.",
    sqlite3.SQLITE_PERM: "Let sorawatch's user write it.",
    sqlite3.SQLITE_NOMEM: "Free some memory.",
}


def make_engine(path: Path, mode: Literal["ro", "rw", "rwc"]) -> sa.Engine:
    """One connection to the file at ``path``: for reading, for writing, or for writing and making it."""
    where = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            where, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.StaticPool)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "rwc" else "BEGIN")

    return engine


def set_journal(engine: sa.Engine) -> None:
    """Choose how transactions are kept safe; only for a file known to be ours, for the choice may be written into it.

    Raises:
        sqlite3.Error: if the file cannot be used.
    """
    mode = "WAL" if has_safe_wal(sqlite3.sqlite_version_info) else "TRUNCATE"
    with contextlib.closing(engine.raw_connection()) as connection:
        connection.cursor().execute(f"PRAGMA journal_mode={mode}")


def has_safe_wal(version: tuple[int, ...]) -> bool:
    """Whether this version of SQLite has the fix of the WAL reset."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """What SQLite finds wrong with the file, in our errors. Faults in our own SQL stay what they are.

    Raises:
        DamagedState: if it is.
        Blocked: if it cannot be read or written now.
    """
    try:
        yield
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        code = primary_code(error)
        cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
        if code in _DAMAGED or "no such table" in str(error):
            raise DamagedState(f"the state file {path} is damaged: {cause}.") from error
        if code not in _MENDS:
            raise
        raise Blocked(f"the state file {path} cannot be used: {cause}", _MENDS[code], passing=True) from error


def primary_code(error: sa.exc.DatabaseError | sqlite3.DatabaseError) -> int:
    """SQLite's result code, the low byte of its extended ones (https://sqlite.org/rescode.html)."""
    cause = error.orig if isinstance(error, sa.exc.DatabaseError) else error
    return int(getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF
