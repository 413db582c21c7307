"""Claims: which daemon works on which job, and which jobs are due, within a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, Job, State
from sorawatch.edges.store import statements
from sorawatch.edges.store.rows import job_of
from sorawatch.edges.store.statements import CLAIMABLE
from sorawatch.edges.store.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sorawatch.core.budget import Exclusion
    from sorawatch.edges.store.session import Session


class Claims:
    """Reads and writes within the transaction whose session it is given.

    A ``due_at`` further off than ``horizon`` milliseconds was written under a wrong clock, so it counts as past.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def candidates(
        self, states: Sequence[State], limit: int, horizon: int, excluded: Iterable[Exclusion] = ()
    ) -> Iterator[Job]:
        """Jobs that could be claimed and are not ``excluded``, the most urgent first; nothing is written."""
        query = statements.due(tuple(states), tuple(excluded))
        # All rows are fetched, because what follows may write to the table; each becomes a job when it is asked for.
        return map(job_of, self._session.connection.execute(query, self._bounds(limit, horizon)).all())

    def take(self, states: Sequence[State], limit: int, horizon: int, excluded: Iterable[Exclusion] = ()) -> list[Job]:
        """Claim due jobs in these states that are not ``excluded``, the most urgent first."""
        session = self._session
        # A daemon asks for each state at every turn, and mostly there is nothing: one query answers them all.
        if session.claimable is None:
            bounds = {"now": session.now, "horizon": session.now + horizon}
            session.claimable = {State(state) for state in session.connection.scalars(CLAIMABLE, bounds)}
        if session.claimable.isdisjoint(states):
            return []
        bounds = self._bounds(limit, horizon) | {"until": session.now + session.lease_ms}
        return sorted(session.jobs(statements.claim(tuple(states), tuple(excluded)), bounds), key=_urgency)

    def own(self) -> list[Job]:
        """Jobs that this daemon has claimed."""
        return self._session.jobs(sa.select(jobs).where(jobs.c.lease_owner == self._session.owner))

    def release(self, job: Job) -> None:
        """Give a claim back without having done anything."""
        self._session.claimable = None
        mine = jobs.update().where(jobs.c.id == job.id, jobs.c.lease_owner == self._session.owner)
        self._session.connection.execute(mine.values(lease_owner=None, lease_until=None))

    def renew(self) -> None:
        """Prolong every claim of this daemon."""
        mine = jobs.update().where(jobs.c.lease_owner == self._session.owner)
        self._session.connection.execute(mine.values(lease_until=self._session.now + self._session.lease_ms))

    def next_due(self, states: Iterable[State]) -> int | None:
        """When the next job in these states, of those not due yet, will be."""
        query = statements.next_due(frozenset(states))
        due_at: int | None = self._session.connection.scalar(query, {"now": self._session.now})
        return due_at

    def retry_now(self) -> None:
        """Make every job due that waits after a failure, except searches for lost submits, which must be apart."""
        now = self._session.now
        waiting = sa.and_(jobs.c.attempts > 0, jobs.c.due_at > now, jobs.c.lease_owner.is_(None))
        wanted = jobs.c.state.not_in([*FINAL, State.HELD, State.UNCERTAIN])
        self._session.connection.execute(jobs.update().where(waiting, wanted).values(due_at=now))
        self._session.claimable = None
        self._session.prefetched.clear()

    def bring_forward(self, states: Iterable[State]) -> None:
        """Make jobs in these states due now that would be later. Overdue ones stay as they are: their age counts."""
        now = self._session.now
        later = sa.and_(jobs.c.due_at > now, jobs.c.lease_owner.is_(None))
        self._session.connection.execute(jobs.update().where(jobs.c.state.in_([*states]), later).values(due_at=now))
        self._session.claimable = None

    def _bounds(self, limit: int, horizon: int) -> dict[str, Any]:
        session = self._session
        return {"now": session.now, "horizon": session.now + horizon, "me": session.owner, "most": limit}


def _urgency(job: Job) -> tuple[int, int, int, str, str]:
    priority = job.order.priority if job.order else 0
    return -priority, job.created_at, job.pair.image_stamp.mtime_ns, job.pair.image, job.id
