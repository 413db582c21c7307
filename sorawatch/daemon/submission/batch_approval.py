"""Holds back batches of orders that together cost more than ``limits.confirm_above_usd``, until they are approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.batches import WINDOW_MS, Batch, must_wait, needs_no_approval
from sorawatch.core.job import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.job import Change, Job
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.store import Transaction


class BatchApproval:
    """Used from the daemon's thread. Everything that must survive a restart is in the state."""

    def __init__(self) -> None:
        self._seen: tuple[int, int | None] | None = None
        """The number of the last change of any job, and the limit, when ``waiting`` was read."""
        self.waiting: tuple[Batch, ...] = ()
        """The batches that wait now."""

    def update(self, tx: Transaction, changes: Iterable[Change], admission: Admission) -> None:
        """Count the orders that were added in this turn, before any of them can be submitted.

        Args:
            changes: those of this turn.
        """
        limit = admission.limits.confirm_above_micros
        is_new = self._seen is None or self._seen[1] != limit or any(_is_added(*change) for change in changes)
        if limit is not None and is_new:
            self._count(tx, limit, admission)
        seen = tx.peers.last_change(), limit
        if seen == self._seen:
            return
        batches = tx.batches.waiting()
        released = {batch.number for batch in batches if needs_no_approval(limit, batch)}
        if released:
            tx.batches.release(released)
        self.waiting = tuple(batch for batch in batches if batch.number not in released)
        self._seen = tx.peers.last_change(), limit

    def forget(self) -> None:
        """Read everything again in the next turn, because the last transaction failed."""
        self._seen = None

    def _count(self, tx: Transaction, limit: int, admission: Admission) -> None:
        since = tx.now - WINDOW_MS
        prices = {job.id: admission.expected_price(job) for job in tx.batches.uncounted(since)}
        tx.batches.write_prices({job_id: price for job_id, price in prices.items() if price is not None})
        if must_wait(limit, tx.batches.recent(since)):
            tx.batches.put_together(since)


def _is_added(before: Job | None, after: Job) -> bool:
    """Whether the job can be ordered from now on, which it could not before."""
    return after.state is State.FOUND and (before is None or before.state is not State.FOUND)
