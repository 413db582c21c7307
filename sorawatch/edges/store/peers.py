"""Other daemons on the same state: which are there, what they have written, and what absent ones have claimed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sorawatch.core.job import Job, State
from sorawatch.edges.store import statements
from sorawatch.edges.store.database import presence
from sorawatch.edges.store.rows import job_of
from sorawatch.edges.store.tables import history, jobs, notes

if TYPE_CHECKING:
    from collections.abc import Collection

    from sorawatch.core.incarnation import Incarnation
    from sorawatch.edges.store.session import Session

_STATUS = "status"


class Peers:
    """Reads and writes within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._connection = session.connection
        self._owner = session.owner
        self._database = session.database

    def connection(self) -> object:
        """A value that is another one after the connection to the database was made anew; None if it is not shared."""
        return self._database.connection_id(self._connection)

    def incarnation(self) -> Incarnation | None:
        """The history of the database in this transaction; None if it is not shared."""
        return self._incarnation

    @cached_property
    def _incarnation(self) -> Incarnation | None:
        return self._database.incarnation(self._connection)

    @property
    def status_key(self) -> str:
        """The key under which this daemon publishes its status."""
        return f"{_STATUS}-{presence(self._owner)}" if self._database.is_shared else _STATUS

    def status_keys(self) -> list[str]:
        """The keys of the daemons that are there. A state that is never shared has one key."""
        if not self._database.is_shared:
            return [_STATUS]
        return [f"{_STATUS}-{number}" for number in sorted(self._database.present(self._connection))]

    def clear_status(self) -> None:
        """Delete the status of daemons that are not there any more."""
        theirs = sa.and_(notes.c.key.startswith(f"{_STATUS}-"), notes.c.key.not_in(self.status_keys()))
        self._connection.execute(notes.delete().where(theirs))

    def absent(self) -> set[str]:
        """Other daemons that have claims and are not connected."""
        query = sa.select(jobs.c.lease_owner).distinct()
        owners = self._connection.scalars(
            query.where(jobs.c.lease_owner.is_not(None), jobs.c.lease_owner != self._owner)
        )
        there = self._database.present(self._connection)
        return {owner for owner in owners if presence(owner) not in there}

    def release_claims(self, owners: Collection[str]) -> list[Job]:
        """Release the claims of these daemons. Returns the jobs in SUBMITTING that nobody has claimed, oldest first."""
        theirs = jobs.c.lease_owner.in_(owners)
        self._connection.execute(jobs.update().where(theirs).values(lease_owner=None, lease_until=None))
        orphaned = sa.select(jobs).where(jobs.c.state == State.SUBMITTING, jobs.c.lease_owner.is_(None))
        rows = self._connection.execute(orphaned.order_by(jobs.c.created_at, jobs.c.id))
        return [job_of(row) for row in rows.all()]

    def last_change(self) -> int:
        """The number of the history's last entry; every change of a job's state adds one."""
        return self._connection.scalar(statements.LAST_CHANGE) or 0

    def changed_since(self, since: int) -> list[Job]:
        """The jobs with entries in the history after the number ``since``, as they are now."""
        changed = sa.select(history.c.job_id).where(history.c.number > since)
        rows = self._connection.execute(sa.select(jobs).where(jobs.c.id.in_(changed)).order_by(jobs.c.created_at))
        return [job_of(row) for row in rows.all()]
