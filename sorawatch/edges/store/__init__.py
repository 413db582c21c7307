"""The only SQL: jobs, their history, purchases, commands and notes, in SQLite through SQLAlchemy Core.

Every expression is one that PostgreSQL understands too, and every job row carries a lease, so that several
daemons can share one store. Times are integer milliseconds of the database's clock.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from sorawatch.edges.store.books import Entry, Spending
from sorawatch.edges.store.sqlite import make_engine, primary_code, set_journal, translated
from sorawatch.edges.store.tables import SCHEMA_VERSION, metadata, notes
from sorawatch.edges.store.turn import Command, Event, LeaseLost, Turn
from sorawatch.edges.store.upgrades import upgrade
from sorawatch.errors import Blocked, UsageError

__all__ = ["Clock", "Command", "Entry", "Event", "LeaseLost", "Spending", "Store", "Turn"]

Clock = Callable[[], int]

_HALF_WRITTEN = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
"""What a reader meets where a killed writer's last transaction has yet to be undone, which takes write access."""


class Store:
    """The state of one daemon. Used from one thread."""

    def __init__(self, engine: sa.Engine, owner: str, path: Path, clock: Clock | None = None) -> None:
        self._engine = engine
        self._owner = owner
        self._identity = _identity(path)
        self._version: int | None = None
        self._clock = clock
        self.path = path

    @classmethod
    def create_or_open(cls, path: Path, owner: str, clock: Clock | None = None) -> tuple[Store, bool]:
        """Open the state for writing, making it if there is none; the flag says whether it is new.

        An empty file, which is what a crash at the very first start leaves, is no state yet.

        Args:
            owner: names this daemon in leases.
            clock: gives milliseconds since 1970, in place of the database's own clock.

        Raises:
            UsageError: if the file is no state of ours, damaged, or of a newer version.
            Blocked: if it cannot be opened or written.
        """
        engine = make_engine(path, "rwc")
        try:
            with translated(path):
                with engine.begin() as connection:
                    version = _version(connection, path)
                    if version is None:
                        metadata.create_all(connection)
                        connection.execute(notes.insert().values(key="schema", value=str(SCHEMA_VERSION)))
                    else:
                        upgrade(connection, version)
                set_journal(engine)
            return cls(engine, owner, path, clock), version is None
        except BaseException:
            engine.dispose()
            raise

    @classmethod
    def open_for_reading(cls, path: Path) -> Store:
        """Open an existing state for looking only; it may be in use by a daemon.

        Raises:
            UsageError: if there is none, or it is no state of ours.
            Blocked: if it cannot be read.
        """
        if not path.exists():
            raise _missing(path)
        engine = make_engine(path, "ro")
        try:
            with translated(path):
                try:
                    _require_state(engine, path)
                except sa.exc.OperationalError as error:
                    if primary_code(error) not in _HALF_WRITTEN:
                        raise
                    engine.dispose()
                    engine = make_engine(path, "rw")
                    _require_state(engine, path)
            return cls(engine, "", path)
        except BaseException:
            engine.dispose()
            raise

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction: all of it is on disk when the block ends, or none of it.

        Raises:
            Blocked: if the state cannot be written.
        """
        if _identity(self.path) != self._identity:
            mend = "Put it back where it was, or stop sorawatch and start it again."
            raise Blocked(f"the state file {self.path} was removed or replaced while in use", mend, passing=True)
        with translated(self.path), self._engine.begin() as connection:
            yield Turn(connection, self._owner, self._clock() if self._clock else None)

    def touched(self) -> bool:
        """Whether another process has written here since this was last asked; cheap enough to ask every second.

        Where that cannot be told the answer is yes: the turn that follows says what is the matter.
        """
        try:
            with closing(self._engine.raw_connection()) as connection:
                (version,) = connection.cursor().execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return True
        before, self._version = self._version, version
        return before != self._version

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


def _identity(path: Path) -> tuple[int, int] | None:
    """SQLite would go on writing to a file that has lost its name."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _require_state(engine: sa.Engine, path: Path) -> None:
    with engine.begin() as connection:
        version = _version(connection, path)
    if version is None:
        raise _missing(path)
    if version < SCHEMA_VERSION:
        raise UsageError(f"{path} was written by an older sorawatch. `sorawatch run` brings it up to date.")


def _version(connection: sa.Connection, path: Path) -> int | None:
    """The version of the state of ours that is there; None where nothing at all is."""
    tables = {*sa.inspect(connection).get_table_names()}
    if not tables:
        return None
    version = None
    if tables >= {*metadata.tables}:
        version = connection.scalar(sa.select(notes.c.value).where(notes.c.key == "schema"))
    if version is None:
        raise UsageError(f"{path} is a database, but not one of sorawatch. Name another file in `state`.")
    if int(version) > SCHEMA_VERSION:
        raise UsageError(f"{path} was written by a newer sorawatch (schema {version}). Install that version or newer.")
    return int(version)


def _missing(path: Path) -> UsageError:
    return UsageError(f"there is no state at {path} yet. `sorawatch run` makes it.")
