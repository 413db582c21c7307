"""What holds a state: a file of this machine, or a database that daemons on several machines share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import sqlalchemy as sa

    from sorawatch.core.incarnation import Incarnation

Mode = Literal["read", "repair", "write"]
"""For reading; for reading what must be rolled back first, which takes write access; for writing, and creating."""


class Database(Protocol):
    """What differs between the databases. Used from one thread."""

    @property
    def place(self) -> str:
        """Where it is, for messages: a path, or a URL without its password."""

    @property
    def name(self) -> str:
        """The place with what it is: ``the state file /var/lib/sorawatch/state.db``."""

    @property
    def is_shared(self) -> bool:
        """Whether several daemons may work on the state at the same time."""

    def engine(self, mode: Mode, owner: str) -> sa.Engine:
        """One connection. Transactions in the mode ``write`` are serial, across processes and machines.

        Args:
            owner: the daemon, which counts as present while it is connected; empty for anybody else.

        Raises:
            UsageError: if the driver is not installed.
        """

    def translated(self) -> AbstractContextManager[None]:
        """Translates the database's errors into ours. Errors in our own SQL are not translated.

        Raises:
            DamagedState: if the state is not what was written.
            Blocked: if it cannot be read or written now.
        """

    def is_half_written(self, error: sa.exc.OperationalError) -> bool:
        """Whether a reader was refused because the last transaction of a killed writer must be rolled back first."""

    def is_there(self) -> bool:
        """Whether there is a state: an empty file or database is none.

        Raises:
            Blocked, Deferred: if it cannot be asked.
        """

    def opened(self, engine: sa.Engine) -> None:
        """Called once the state was found to be ours, before it is used."""

    def require_same(self) -> None:
        """Raises: Blocked: if the state at this place is another than the one that was opened."""

    def examine(self, connection: sa.Connection) -> None:
        """Raises: DamagedState: if any of the state is not what was written, as far as a reader can tell."""

    def version(self, engine: sa.Engine) -> object:
        """A value that changes when others write, or when that cannot be found out; cheap."""

    def version_within(self, connection: sa.Connection) -> object | None:
        """The version as it will be after the present transaction; None where our own writes do not change it."""

    def connection_id(self, connection: sa.Connection) -> object:
        """A value that is another one after the connection to the database was made anew; None for SQLite."""

    def incarnation(self, connection: sa.Connection) -> Incarnation | None:
        """The history of the database now; None for SQLite, which cannot be replaced while it is in use."""

    def present(self, connection: sa.Connection) -> frozenset[int]:
        """The `presence` of every daemon that is connected now; empty for SQLite."""


def presence(owner: str) -> int:
    """The number of the daemon ``owner`` among those `Database.present`: positive, 31 bits (FNV-1, folded)."""
    number = 0
    for byte in owner.encode():
        number = (number * 16_777_619 ^ byte) & 0x7FFF_FFFF
    return number or 1
