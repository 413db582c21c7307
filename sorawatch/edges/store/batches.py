"""Batches of orders that wait for approval, within a transaction.

A batch is kept in columns of its jobs that nothing else writes: ``expected_price`` once the job was counted, the
number of its ``batch``, ``awaits_approval`` (1 while it waits), and when it was ``approved_at``.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.batches import WAITS, Batch, Recent, Share
from sorawatch.core.job import UNPAID, Charged, Job, State
from sorawatch.edges.store.statements import among, is_below
from sorawatch.edges.store.tables import AWAITS_APPROVAL, history, jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sorawatch.edges.store.session import Session

_GIVEN_UP = (State.REJECTED, State.FAILED, State.WITHDRAWN, State.CANCELLED)
_IS_UNPAID = among(jobs.c.state, UNPAID)
_COSTS = sa.and_(
    jobs.c.expected_price > 0, sa.or_(jobs.c.state.not_in(_GIVEN_UP), jobs.c.charged != Charged.NO)
)  # fmt: skip
_WAITS = sa.and_(AWAITS_APPROVAL, _IS_UNPAID)
# The states are no condition of the query, because an index by states would be slower than that of batches.
_WAITING = (
    sa.select(
        jobs.c.batch,
        jobs.c.top,
        sa.func.count().filter(_IS_UNPAID),
        sa.func.sum(jobs.c.expected_price).filter(_IS_UNPAID),
    )
    .where(AWAITS_APPROVAL)
    .group_by(jobs.c.batch, jobs.c.top)
)
_WRITE_PRICE = jobs.update().where(jobs.c.id == sa.bindparam("this")).values(expected_price=sa.bindparam("micros"))


class Batches:
    """Reads and writes within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def uncounted(self, since: int) -> list[Job]:
        """Unpaid jobs with an order that were added since then and have no expected price yet."""
        query = sa.select(jobs).where(
            jobs.c.created_at > since, _IS_UNPAID, jobs.c.expected_price.is_(None), jobs.c.prompt.is_not(None)
        )
        return self._session.jobs(query)

    def write_prices(self, prices: Mapping[str, int]) -> None:
        """Write the expected prices of jobs, by their ids, in micro-dollars."""
        if prices:
            rows = [{"this": job_id, "micros": micros} for job_id, micros in prices.items()]
            self._session.connection.execute(_WRITE_PRICE, rows)

    def recent(self, since: int) -> Recent:
        """The priced orders that were added since then and are not approved."""
        unapproved = sa.and_(jobs.c.created_at > since, jobs.c.approved_at.is_(None), _COSTS)
        query = sa.select(sa.func.sum(jobs.c.expected_price), sa.func.count().filter(_WAITS)).where(unapproved)
        micros, waiting = self._session.connection.execute(query).one()
        return Recent(int(micros or 0), bool(waiting))

    def put_together(self, since: int) -> None:
        """Make one batch of the priced orders that were added since then and are not approved.

        Those that were not sent yet wait from now on. If one of them waits already, its batch is continued.
        """
        connection = self._session.connection
        together = sa.and_(jobs.c.created_at > since, jobs.c.approved_at.is_(None), _COSTS)
        number = connection.scalar(sa.select(sa.func.max(jobs.c.batch)).where(together, _WAITS))
        if number is None:
            number = 1 + (connection.scalar(sa.select(sa.func.max(jobs.c.batch)).where(jobs.c.batch.is_not(None))) or 0)
        connection.execute(jobs.update().where(together, jobs.c.batch.is_(None)).values(batch=number))
        self._change(
            sa.and_(jobs.c.batch == number, together, _IS_UNPAID, jobs.c.awaits_approval == 0),
            WAITS,
            awaits_approval=1,
            reason=WAITS,
        )

    def waiting(self) -> list[Batch]:
        """The batches with orders that wait, the oldest first."""
        shares: dict[int, dict[str, Share]] = defaultdict(dict)
        for number, folder, count, cost in self._session.connection.execute(_WAITING):
            if count:
                shares[number][folder] = Share(count, int(cost))
        if not shares:
            return []
        whole = sa.select(jobs.c.batch, sa.func.sum(jobs.c.expected_price)).where(jobs.c.batch.in_([*shares]), _COSTS)
        rows = self._session.connection.execute(whole.group_by(jobs.c.batch))
        micros_of = {number: int(micros) for number, micros in rows}
        return [Batch(number, shares[number], micros_of[number]) for number in sorted(shares)]

    def waiting_jobs(self) -> set[str]:
        """The ids of the jobs that wait."""
        return {*self._session.connection.scalars(sa.select(jobs.c.id).where(_WAITS))}

    def release(self, numbers: Iterable[int]) -> None:
        """Let the orders of these batches go without approval."""
        chosen = jobs.c.batch.in_([*numbers])
        self._change(sa.and_(chosen, _WAITS), "no approval is needed any more", awaits_approval=0, reason="")
        self._session.connection.execute(jobs.update().where(chosen).values(batch=None))

    def approve(self, folder: str, until: int) -> None:
        """Let the orders go that wait in this folder of the inbox and those below it, and were added until then."""
        chosen = sa.and_(_WAITS, is_below(jobs.c.folder, folder), jobs.c.created_at <= until)
        now = self._session.now
        self._change(chosen, "approved with `sorawatch approve`", awaits_approval=0, approved_at=now, reason="")

    def awaiting(self, folder: str) -> Share:
        """The orders that wait in this folder of the inbox and those below it."""
        query = sa.select(sa.func.count(), sa.func.sum(jobs.c.expected_price)).where(
            _WAITS, is_below(jobs.c.folder, folder)
        )
        orders, micros = self._session.connection.execute(query).one()
        return Share(orders, int(micros or 0))

    def _change(self, which: sa.ColumnElement[bool], why: str, **values: Any) -> None:
        """Change jobs, and write the reason into their histories."""
        connection = self._session.connection
        told = sa.select(jobs.c.id, sa.literal(self._session.now), jobs.c.state, sa.literal(why)).where(which)
        connection.execute(history.insert().from_select(["job_id", "at", "state", "reason"], told))
        connection.execute(jobs.update().where(which).values(**values))
        self._session.claimable = None
        self._session.prefetched.clear()
