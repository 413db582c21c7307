"""Other daemons on the same state: who is there, what they have written, and what those left that are gone. In SQL."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from sorawatch.core.job import Job, State
from sorawatch.edges.store.database import Database, presence
from sorawatch.edges.store.rows import job_of
from sorawatch.edges.store.tables import history, jobs, notes

_BOARD = "status"


class Peers:
    """Reads and writes within the transaction whose connection it is given."""

    def __init__(self, connection: sa.Connection, owner: str, keeper: Database) -> None:
        self._connection = connection
        self._owner = owner
        self._keeper = keeper

    @property
    def board(self) -> str:
        """The key of the note in which this daemon says how it stands."""
        return f"{_BOARD}-{presence(self._owner)}" if self._keeper.is_shared else _BOARD

    def boards(self) -> list[str]:
        """Those of the daemons that are there; of a state that is never shared, the one of whoever works on it."""
        if not self._keeper.is_shared:
            return [_BOARD]
        return [f"{_BOARD}-{number}" for number in sorted(self._keeper.present(self._connection))]

    def clear_boards(self) -> None:
        """Forget what daemons said that are not there any more."""
        theirs = sa.and_(notes.c.key.startswith(f"{_BOARD}-"), notes.c.key.not_in(self.boards()))
        self._connection.execute(notes.delete().where(theirs))

    def gone(self) -> set[str]:
        """Other daemons that have claims and are not there."""
        query = sa.select(jobs.c.lease_owner).distinct()
        owners = self._connection.scalars(
            query.where(jobs.c.lease_owner.is_not(None), jobs.c.lease_owner != self._owner)
        )
        there = self._keeper.present(self._connection)
        return {owner for owner in owners if presence(owner) not in there}

    def void(self, owners: Collection[str]) -> list[Job]:
        """Void the claims of these daemons. Returns the jobs whose submit nobody has claimed, the oldest first."""
        theirs = jobs.c.lease_owner.in_(owners)
        self._connection.execute(jobs.update().where(theirs).values(lease_owner=None, lease_until=None))
        orphaned = sa.select(jobs).where(jobs.c.state == State.SUBMITTING, jobs.c.lease_owner.is_(None))
        rows = self._connection.execute(orphaned.order_by(jobs.c.created_at, jobs.c.id))
        return [job_of(row) for row in rows.all()]

    def last_line(self) -> int:
        """The number of the history's last line; every change of a job's state adds one."""
        return self._connection.scalar(sa.select(sa.func.max(history.c.number))) or 0

    def news(self, since: int) -> list[Job]:
        """The jobs of which the history tells something after the line ``since``, as they are now."""
        changed = sa.select(history.c.job_id).where(history.c.number > since)
        rows = self._connection.execute(sa.select(jobs).where(jobs.c.id.in_(changed)).order_by(jobs.c.created_at))
        return [job_of(row) for row in rows.all()]
