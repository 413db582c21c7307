"""The durations of past renders, which are kept in the state by kind of order, and the last poll of each render."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.waits import NO_HISTORY, PolledProgress, RenderHistory

if TYPE_CHECKING:
    from sorawatch.core.order import Order
    from sorawatch.edges.store import Transaction

REMEMBERED = 40
"""How many renders of each kind are remembered: enough for quantiles, few enough to adapt to a change."""


class RenderTimes:
    """Used from the daemon's thread. The last polls are kept in memory only, because they merely improve the timing."""

    def __init__(self) -> None:
        self._last_polls: dict[str, PolledProgress] = {}
        self._durations: dict[str, tuple[int, ...]] = {}

    def history(self, tx: Transaction, job: Job) -> RenderHistory:
        """Past durations for orders like that of ``job``, and its last poll before the present one."""
        if job.order is None:
            return NO_HISTORY
        key = _key(job.order)
        if key not in self._durations:
            self._durations[key] = past_durations(tx, job.order)
        return RenderHistory(self._durations[key], self._last_polls.get(job.id))

    def record(self, tx: Transaction, before: Job, outcome: o.Outcome, after: Job) -> None:
        """Record the outcome of a poll. ``before`` and ``after`` are the job before and after it."""
        age = before.render_age(tx.now)
        if isinstance(outcome, o.Pending) and after.state is State.RENDERING:
            self._last_polls[before.id] = PolledProgress(age, outcome.progress)
            return
        if after.state is State.RENDERING:
            return
        last = self._last_polls.pop(before.id, None)
        if isinstance(outcome, o.Rendered) and before.order is not None and age >= 0:
            key = _key(before.order)
            recent = [*(tx.key_values.read(key) or ()), duration(age, last, outcome.took)][-REMEMBERED:]
            tx.key_values.write(key, recent)
            self._durations[key] = tuple(sorted(recent))


def past_durations(tx: Transaction, order: Order) -> tuple[int, ...]:
    """How many milliseconds renders of this kind took, in ascending order."""
    return tuple(sorted(tx.key_values.read(_key(order)) or ()))


def duration(age: int, last: PolledProgress | None, took: int | None) -> int:
    """The duration in milliseconds of a render that was first seen finished at ``age``.

    The duration that the server reports (``took``) is limited to the time between the poll before and this one.
    """
    earliest = min(last.age if last else 0, age)
    return (earliest + age) // 2 if took is None else min(max(took, earliest), age)


def _key(order: Order) -> str:
    """The key under which the state keeps the render times of this kind."""
    kind = f"{order.model}\n{order.size}\n{order.seconds}"
    return f"renders-{hashlib.sha256(kind.encode()).hexdigest()[:20]}"
