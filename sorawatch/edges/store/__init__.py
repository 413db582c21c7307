"""The only SQL: jobs, their history, purchases, commands and key-values, through SQLAlchemy Core.

They are kept in SQLite or in PostgreSQL, by the same expressions; `Database` holds the differences. Every job row
carries a lease, so that several daemons can share one state. Times are integer milliseconds of the database's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from sorawatch.edges.store.database import Database
from sorawatch.edges.store.jobs import HistoryEntry, LeaseLost
from sorawatch.edges.store.listing import JobGroup
from sorawatch.edges.store.postgres import PostgresDatabase
from sorawatch.edges.store.spending import PurchaseGroup, PurchaseRow, Spending
from sorawatch.edges.store.sqlite import SqliteFile
from sorawatch.edges.store.tables import SCHEMA_VERSION, metadata, turns
from sorawatch.edges.store.tables import notes as note_table
from sorawatch.edges.store.transaction import Transaction
from sorawatch.edges.store.upgrades import upgrade
from sorawatch.errors import UsageError

__all__ = [
    "AGREEMENT",
    "LEASE_MS",
    "Clock",
    "Database",
    "HistoryEntry",
    "JobGroup",
    "LeaseLost",
    "PostgresDatabase",
    "PurchaseGroup",
    "PurchaseRow",
    "Spending",
    "SqliteFile",
    "Store",
    "Transaction",
]

Clock = Callable[[], int]

AGREEMENT = "ledger-agrees"
"""The key of the fingerprint of the ledger that agrees with the state; without a value since the state has more."""
LEASE_MS = 600_000
"""Milliseconds for which a claim holds unless it is renewed."""


class Store:
    """An open state, for a daemon or for a reader. Used from one thread."""

    def __init__(self, engine: sa.Engine, owner: str, database: Database, clock: Clock | None = None) -> None:
        self._engine = engine
        self._database = database
        self._version: object = None
        self._clock = clock
        self._owner = owner
        self.lease_ms = LEASE_MS
        self._is_new_connection = False
        sa.event.listen(engine, "connect", self._connected)

    @classmethod
    def create_or_open(cls, where: Path | Database, owner: str, clock: Clock | None = None) -> tuple[Store, bool]:
        """Open the state for writing, making it if there is none; the flag says whether it is new.

        An empty file, which is what a crash at the very first start leaves, is no state yet.

        Args:
            where: a file, or another database.
            owner: the name of this daemon, or of another writer, in leases.
            clock: gives milliseconds since 1970, in place of the database's own clock.

        Raises:
            UsageError: if it is no state of ours, damaged, or of a newer version.
            Blocked: if it cannot be opened or written.
        """
        database = _database(where)
        engine = database.engine("write", owner)
        try:
            with database.translated():
                with engine.begin() as connection:
                    version = _version(connection, database)
                    if version is None:
                        metadata.create_all(connection)
                        connection.execute(note_table.insert().values(key="schema", value=str(SCHEMA_VERSION)))
                    else:
                        upgrade(connection, version)
                database.opened(engine)
            return cls(engine, owner, database, clock), version is None
        except BaseException:
            engine.dispose()
            raise

    @classmethod
    def open_for_reading(cls, where: Path | Database) -> Store:
        """Open an existing state for reading; daemons may be using it.

        Raises:
            UsageError: if there is none, or it is no state of ours.
            Blocked: if it cannot be read.
        """
        database = _database(where)
        if not database.is_there():
            raise _missing(database)
        engine = database.engine("read", "")
        try:
            with database.translated():
                try:
                    _require_state(engine, database)
                except sa.exc.OperationalError as error:
                    if not database.is_half_written(error):
                        raise
                    engine.dispose()
                    engine = database.engine("repair", "")
                    _require_state(engine, database)
            return cls(engine, "", database)
        except BaseException:
            engine.dispose()
            raise

    @property
    def is_shared(self) -> bool:
        """Whether other daemons may work on the same state."""
        return self._database.is_shared

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: all of it is on disk when the block ends, or none of it.

        Raises:
            Blocked: if the state cannot be written.
        """
        self._database.require_same()
        with self._database.translated(), self._engine.begin() as connection:
            now = self._clock() if self._clock else None
            tx = Transaction(connection, self._owner, self._database, self.lease_ms, now)
            yield tx
            if tx.entries:
                tx.key_values.write(AGREEMENT, None)
            self._version = self._database.version_within(connection) or self._version

    def _connected(self, _connection: object, _record: object) -> None:
        self._is_new_connection = True

    def was_reconnected(self) -> bool:
        """Whether the connection was replaced since the last call. What was committed before may then be lost."""
        replaced, self._is_new_connection = self._is_new_connection, False
        return replaced

    def was_written_by_others(self) -> bool:
        """Whether another process has written since the last call; cheap enough to call every second.

        True where that cannot be found out: the transaction that follows will fail with the reason.
        """
        before, self._version = self._version, self._database.version(self._engine)
        return before != self._version

    def examine(self) -> None:
        """Read all of it, which takes a while if it is large.

        Raises:
            DamagedState: if any of it is not what was written.
        """
        with self._database.translated(), self._engine.begin() as connection:
            self._database.examine(connection)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()


def _database(where: Path | Database) -> Database:
    return SqliteFile(where) if isinstance(where, Path) else where


def _require_state(engine: sa.Engine, database: Database) -> None:
    with engine.begin() as connection:
        version = _version(connection, database)
    if version is None:
        raise _missing(database)
    if version < SCHEMA_VERSION:
        raise UsageError(f"{database.place} was written by an older sorawatch. `sorawatch run` brings it up to date.")


def _version(connection: sa.Connection, database: Database) -> int | None:
    """The version of the state of ours that is there; None where nothing at all is."""
    tables = {*sa.inspect(connection).get_table_names()}
    if not tables:
        return None
    version = None
    if tables >= {*metadata.tables} - {turns.name}:
        version = connection.scalar(sa.select(note_table.c.value).where(note_table.c.key == "schema"))
    if version is None:
        raise UsageError(f"{database.place} is a database, but not one of sorawatch. Name another in `state`.")
    if int(version) > SCHEMA_VERSION:
        raise UsageError(
            f"{database.place} was written by a newer sorawatch (schema {version}). Install that version or newer."
        )
    return int(version)


def _missing(database: Database) -> UsageError:
    return UsageError(f"there is no state at {database.place} yet. `sorawatch run` makes it.")
