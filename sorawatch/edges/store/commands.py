"""Commands of people, left by other processes for the daemon, within a transaction."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sorawatch.core.command import Command
from sorawatch.edges.store import statements
from sorawatch.edges.store.tables import commands

if TYPE_CHECKING:
    from sorawatch.edges.store.session import Session


class CommandQueue:
    """Reads and writes within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, command: Command) -> None:
        """Leave a command for the daemon."""
        self._session.connection.execute(commands.insert().values({**asdict(command), "at": self._session.now}))

    def take(self) -> list[Command]:
        """The commands since the last turn, the oldest first; they are gone once the transaction is committed."""
        rows = self._session.connection.execute(statements.TAKE_COMMANDS).all()
        return [Command(row.verb, row.job_id, row.argument, row.at) for row in sorted(rows)]
