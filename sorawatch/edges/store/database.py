"""Who keeps a state: a file of this machine, or a database that daemons on several machines share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import sqlalchemy as sa

Mode = Literal["look", "repair", "work"]
"""For looking only; for looking at what a writer must put in order first; for one who writes, and may make it."""


class Database(Protocol):
    """What differs between the databases. Used from one thread."""

    @property
    def place(self) -> str:
        """Where it is, for messages: a path, or a URL without its password."""

    @property
    def name(self) -> str:
        """The same with what it is: ``the state file /var/lib/sorawatch/state.db``."""

    @property
    def is_shared(self) -> bool:
        """Whether several daemons may work on the state at the same time."""

    def engine(self, mode: Mode, owner: str) -> sa.Engine:
        """One connection. Transactions of those who ``work`` follow one upon another, whoever begins them.

        Args:
            owner: the daemon, which counts as present for as long as it is connected; empty for anybody else.

        Raises:
            UsageError: if what it takes is not installed.
        """

    def translated(self) -> AbstractContextManager[None]:
        """Turns what the database finds wrong into our errors. Faults in our own SQL stay what they are.

        Raises:
            DamagedState: if the state is not what was written.
            Blocked: if it cannot be read or written now.
        """

    def is_half_written(self, error: sa.exc.OperationalError) -> bool:
        """Whether somebody who looks was refused because a killed writer's last transaction has yet to be undone."""

    def is_there(self) -> bool:
        """Whether there is a state, and not an empty file or database, which is as good as none.

        Raises:
            Blocked, Deferred: if it cannot be asked.
        """

    def hold(self, engine: sa.Engine) -> None:
        """The state was found to be ours, and will be used."""

    def require_held(self) -> None:
        """Raises: Blocked: if it is another than the one held."""

    def examine(self, connection: sa.Connection) -> None:
        """Raises: DamagedState: if any of the state is not what was written, as far as a reader can tell."""

    def mark(self, engine: sa.Engine) -> object:
        """What differs from the last one if others have written since, or if that cannot be told; cheap."""

    def mark_within(self, connection: sa.Connection) -> object | None:
        """The mark as it will be after the present transaction, where our own writing changes it, too; else None."""

    def present(self, connection: sa.Connection) -> frozenset[int]:
        """The `presence` of every daemon that is connected now; of one that is never shared, of nobody."""


def presence(owner: str) -> int:
    """The number under which the daemon ``owner`` is found among those `Database.present`: positive, of 31 bits."""
    number = 0
    for byte in owner.encode():
        number = (number * 16_777_619 ^ byte) & 0x7FFF_FFFF
    return number or 1
