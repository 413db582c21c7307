"""A state in PostgreSQL, which several daemons share.

Every writing transaction holds one advisory lock from its beginning, so they are serial, as those of SQLite are. A
daemon is present while its session holds another lock (https://www.postgresql.org/docs/current/
explicit-locking.html#ADVISORY-LOCKS). The server releases both when the connection ends, for whatever reason.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.incarnation import Incarnation
from sorawatch.edges.store.database import Mode, presence
from sorawatch.edges.store.tables import commands, history, notes
from sorawatch.errors import Blocked, DamagedState, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLASS = 0x736F7261
"""Of our advisory locks, which all applications of a database share: ``sora``."""
_TRANSACTION = 0

_SETTINGS = {
    "idle_in_transaction_session_timeout": "30s",  # a daemon that is frozen in a transaction delays others no longer
    "lock_timeout": "30s",
    "statement_timeout": "60s",
    # The server ends the session of a machine that has lost power, so that others continue its work within a minute.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_CONNECTION = {
    "connect_timeout": 10,
    "application_name": "sorawatch",
    "options": " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

_UNDEFINED_TABLE, _DISK_FULL, _READ_ONLY, _FORBIDDEN = "42P01", "53100", "25006", "42501"
"""From https://www.postgresql.org/docs/current/errcodes-appendix.html."""
_HINTS = {
    _DISK_FULL: "Make room on the database server's disk.",
    _READ_ONLY: "Name the primary server: this one is a standby, or was made read-only.",
    _FORBIDDEN: "Let its user make and write tables: GRANT CREATE ON SCHEMA public TO that user.",
}
_HINT = "Check that the database server runs and lets this machine in; sorawatch then goes on by itself."

_PRESENT = sa.text(
    "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = :class AND objsubid = 2 AND granted "
    "AND objid <> :transaction AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_MARK = sa.select(
    sa.select(sa.func.max(history.c.number)).scalar_subquery(),
    sa.select(sa.func.max(commands.c.number)).scalar_subquery(),
)


_CONNECTION_ID, _KNOWN_QUERIES = "sorawatch-connection", "sorawatch-incarnation"
"""Keys of what is kept with a connection."""
_INCARNATION = {
    "tables": f"SELECT CAST(CAST('{notes.name}' AS regclass) AS oid)::text",
    "system": "SELECT CAST(system_identifier AS text) FROM pg_control_system()",
    "timeline": (
        "SELECT CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
    ),
}
"""Some servers do not allow each of these functions: see
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CONTROLDATA."""


class PostgresDatabase:
    """The `Keeper` of a state at a ``postgresql://`` URL."""

    is_shared = True

    def __init__(self, url: str) -> None:
        """Raises: UsageError: if the URL cannot be understood; it is not shown, for it may hold a password."""
        try:
            self._url = sa.make_url(url).set(drivername="postgresql+psycopg")
        except (sa.exc.ArgumentError, ValueError) as error:
            hint = "Write it as postgresql://USER@HOST/DATABASE, with special characters of a password as %XX."
            raise UsageError(f"the address in state cannot be understood. {hint}") from error

    @property
    def place(self) -> str:
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    @property
    def name(self) -> str:
        return f"the database {self.place}"

    @property
    def password(self) -> str | None:
        """That in the URL, to be kept out of logs."""
        return None if self._url.password is None else str(self._url.password)

    def engine(self, mode: Mode, owner: str) -> sa.Engine:
        arguments = {name: value for name, value in _CONNECTION.items() if name not in self._url.query}
        try:
            engine = sa.create_engine(
                self._url, connect_args=arguments, pool_size=1, max_overflow=0, pool_pre_ping=True
            )
        except ModuleNotFoundError as error:
            problem = "a state in PostgreSQL needs an extra package"
            raise UsageError(f"{problem}. Run: pip install 'sorawatch[postgres]'") from error
        if mode == "write" and owner:
            sa.event.listen(engine, "connect", lambda connection, _: _announce(connection, owner))

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            if mode == "write":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CLASS}, {_TRANSACTION})")
            else:
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

        return engine

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            code = getattr(error.orig, "sqlstate", None)
            cause = " ".join(str(error.orig).split())
            if code == _UNDEFINED_TABLE:
                raise DamagedState(f"{self.name} is damaged: {cause}. Put a backup of it back.") from error
            if not isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError) and code not in _HINTS:
                raise
            raise Blocked(
                f"{self.name} cannot be used: {cause}", _HINTS.get(code or "", _HINT), temporary=True
            ) from error

    def is_half_written(self, error: sa.exc.OperationalError) -> bool:  # noqa: ARG002 -- the server rolls back by itself
        return False

    def is_there(self) -> bool:
        engine = self.engine("read", "")
        try:
            with self.translated(), engine.begin() as connection:
                return bool(sa.inspect(connection).get_table_names())
        finally:
            engine.dispose()

    def opened(self, engine: sa.Engine) -> None:
        """Nothing to do."""

    def require_same(self) -> None:
        """The state at this address is always the same."""

    def examine(self, connection: sa.Connection) -> None:
        """Nothing to do: the server checks its files."""

    def version(self, engine: sa.Engine) -> object:
        try:
            with contextlib.closing(engine.raw_connection()) as connection:
                cursor = connection.cursor()
                try:
                    cursor.execute(str(_MARK))
                    return cursor.fetchone()
                except engine.dialect.loaded_dbapi.Error:
                    # Otherwise the pool tries to roll back on it, and logs with a traceback that it is broken.
                    connection.invalidate()
                    raise
        except (sa.exc.SQLAlchemyError, engine.dialect.loaded_dbapi.Error):
            return object()

    def version_within(self, connection: sa.Connection) -> object:
        return tuple(connection.execute(_MARK).one())

    def connection_id(self, connection: sa.Connection) -> object:
        return connection.info.setdefault(_CONNECTION_ID, object())

    def incarnation(self, connection: sa.Connection) -> Incarnation:
        known = connection.info.get(_KNOWN_QUERIES)
        if known is None:
            known = connection.info[_KNOWN_QUERIES] = {
                name: query for name, query in _INCARNATION.items() if _may(connection, query)
            }
        row = connection.execute(
            sa.text("SELECT " + ", ".join(f"({query}) AS {name}" for name, query in known.items()))
        )
        found = row.mappings().one()
        return Incarnation(found.get("system"), found.get("timeline"), found.get("tables"))

    def present(self, connection: sa.Connection) -> frozenset[int]:
        return frozenset(connection.scalars(_PRESENT, {"class": _CLASS, "transaction": _TRANSACTION}))


def _may(connection: sa.Connection, query: str) -> bool:
    """Whether the server answers this query to our user."""
    try:
        with connection.begin_nested():
            connection.execute(sa.text(query))
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            raise
        return False
    return True


def _announce(connection: Any, owner: str) -> None:
    """Take the lock of a daemon. It is shared, because a broken session may not have ended on the server yet."""
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT pg_advisory_lock_shared({_CLASS}, {presence(owner)})")
    connection.commit()
