"""Claims: which daemon works on which job, and which jobs are due, within a transaction."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, UNPAID, Job, State, top_folder
from sorawatch.core.turns import Head, in_turn
from sorawatch.edges.store import statements
from sorawatch.edges.store.rows import job_of, urgency
from sorawatch.edges.store.statements import CLAIMABLE
from sorawatch.edges.store.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sorawatch.core.budget import Exclusion
    from sorawatch.edges.store.session import Session


_FEW = 4
"""How many jobs of a folder are read at first."""


_OTHER_ACCOUNT_MS = 60_000
"""Milliseconds for which a due job is left to daemons that have the API key with which it was ordered."""


class Claims:
    """Reads and writes within the transaction whose session it is given.

    A ``due_at`` further off than ``horizon`` milliseconds was written under a wrong clock, so it counts as past.

    The first-level folders of the inbox take turns with their unpaid jobs of one priority. Jobs that wait for approval
    are never claimed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def candidates(
        self, states: Sequence[State], limit: int, horizon: int, excluded: Iterable[Exclusion] = ()
    ) -> Iterator[Job]:
        """Unpaid jobs that could be claimed and are not ``excluded``, in the order of their turns.

        Nothing is written. Jobs are read when they are asked for, so the caller may change those that it was given.
        """
        found = (self._in_turn(state, self._bounds(0, horizon), tuple(excluded)) for state in states)
        return islice(chain.from_iterable(found), limit)

    def take(
        self,
        states: Sequence[State],
        limit: int,
        horizon: int,
        excluded: Iterable[Exclusion] = (),
        account: str | None = None,
    ) -> list[Job]:
        """Claim due jobs in these states that are not ``excluded``: unpaid ones in turn, others as they became due.

        Args:
            account: the fingerprint of this daemon's API key. Jobs of another account are left to daemons that have
                its key, for a minute. None: all are claimed.
        """
        session = self._session
        # A daemon asks for each state at every turn, and mostly there is nothing: one query answers them all.
        if session.claimable is None:
            bounds = {"now": session.now, "horizon": session.now + horizon}
            session.claimable = {State(state) for state in session.connection.scalars(CLAIMABLE, bounds)}
        if session.claimable.isdisjoint(states):
            return []
        bounds = self._bounds(limit, horizon) | {"until": session.now + session.lease_ms}
        if UNPAID.issuperset(states):
            ids = [job.id for job in self.candidates(states, limit, horizon, excluded)]
            claimed = {job.id: job for job in session.jobs(statements.CLAIM_THESE, bounds | {"these": ids})}
            for job in claimed.values():
                self.took_turn(job)
            return [claimed[job_id] for job_id in ids if job_id in claimed]
        query = statements.claim(tuple(states), tuple(excluded), of_account=account is not None)
        ours = {} if account is None else {"my_account": account, "overdue": session.now - _OTHER_ACCOUNT_MS}
        found = session.jobs(query, {**bounds, **ours})
        return sorted(found, key=lambda job: (job.due_at, urgency(job)))

    def took_turn(self, job: Job) -> None:
        """Its folder had its turn in the present state of ``job``: the other folders come before it now."""
        last, connection = self._session.last_turns, self._session.connection
        if job.state not in last:
            last[job.state] = connection.scalar(statements.LAST_TURN, {"of_state": job.state}) or 0
        last[job.state] += 1
        number, folder = last[job.state], top_folder(job.pair.folder)
        this = {"of_state": job.state, "of_folder": folder, "turn": number}
        if connection.execute(statements.TAKE_TURN, this).rowcount == 0:
            connection.execute(statements.FIRST_TURN, {"state": job.state, "folder": folder, "number": number})

    def _in_turn(self, state: State, bounds: dict[str, Any], excluded: tuple[Exclusion, ...]) -> Iterator[Job]:
        query = statements.first_of_each_folder(state, excluded)
        heads = [
            Head(row.top, row.turn, (-row.priority, row.created_at, row.image_mtime_ns, row.image, row.id))
            for row in self._session.connection.execute(query, bounds)
        ]
        return in_turn(heads, lambda folder: self._of_folder(state, folder, bounds, excluded), urgency)

    def _of_folder(
        self, state: State, folder: str, bounds: dict[str, Any], excluded: tuple[Exclusion, ...]
    ) -> Iterator[Job]:
        """The jobs of a folder, read a few at a time: often only the first is needed."""
        given: set[str] = set()
        step = _FEW
        while True:
            most = len(given) + step
            query = statements.of_folder(state, excluded)
            rows = self._session.connection.execute(query, bounds | {"folder": folder, "most": most}).all()
            fresh = [row for row in rows if row.id not in given]
            yield from map(job_of, fresh)
            if len(rows) < most:
                return
            given.update(row.id for row in fresh)
            step *= 4

    def own(self) -> list[Job]:
        """Jobs that this daemon has claimed."""
        return self._session.jobs(sa.select(jobs).where(jobs.c.lease_owner == self._session.owner))

    def keep(self, job_ids: Iterable[str]) -> None:
        """Claim jobs that nobody has claimed, because this daemon is working on them already."""
        session, free = self._session, jobs.c.lease_owner.is_(None)
        session.claimable = None
        kept = jobs.update().where(jobs.c.id.in_([*job_ids]), free)
        session.connection.execute(kept.values(lease_owner=session.owner, lease_until=session.now + session.lease_ms))

    def own_submits(self) -> list[str]:
        """The tokens of the submits that this daemon has claimed."""
        mine = sa.and_(jobs.c.state == State.SUBMITTING, jobs.c.lease_owner == self._session.owner)
        return [*self._session.connection.scalars(sa.select(jobs.c.token).where(mine))]

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
