"""What polling learns: how long renders of a kind took, which the store keeps, and what the last look at each saw."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.schedule import NO_HISTORY, PolledProgress, RenderHistory

if TYPE_CHECKING:
    from sorawatch.core.order import Order
    from sorawatch.edges.store import Transaction

REMEMBERED = 40
"""Renders of a kind that are remembered, the latest: enough for quantiles, few enough to follow a change."""


class RenderTimes:
    """Used from the daemon's thread. Looks are in memory alone: a poll without the last is merely less well timed."""

    def __init__(self) -> None:
        self._looks: dict[str, PolledProgress] = {}
        self._past: dict[str, tuple[int, ...]] = {}

    def outlook(self, tx: Transaction, job: Job) -> RenderHistory:
        """What is known of the render of ``job`` before the present look."""
        if job.order is None:
            return NO_HISTORY
        key = _key(job.order)
        if key not in self._past:
            self._past[key] = tuple(sorted(tx.note(key) or ()))
        return RenderHistory(self._past[key], self._looks.get(job.id))

    def learn(self, tx: Transaction, before: Job, outcome: o.Outcome, after: Job) -> None:
        """Take in what a poll of ``before`` brought."""
        age = tx.now - before.changed_at
        if isinstance(outcome, o.Pending) and after.state is State.RENDERING:
            self._looks[before.id] = PolledProgress(age, outcome.progress)
            return
        if after.state is State.RENDERING:
            return
        look = self._looks.pop(before.id, None)
        if isinstance(outcome, o.Rendered) and before.order is not None and age >= 0:
            key = _key(before.order)
            recent = [*(tx.note(key) or ()), length(age, look, outcome.took)][-REMEMBERED:]
            tx.write_note(key, recent)
            self._past[key] = tuple(sorted(recent))


def length(age: int, before: PolledProgress | None, took: int | None) -> int:
    """The milliseconds that a render took which was found finished at ``age``.

    The server's own word (``took``) counts as far as it agrees with what was seen: unfinished at the look ``before``.
    """
    earliest = min(before.age if before else 0, age)
    return (earliest + age) // 2 if took is None else min(max(took, earliest), age)


def _key(order: Order) -> str:
    """The name of the note about renders like this one."""
    kind = f"{order.model}\n{order.size}\n{order.seconds}"
    return f"renders-{hashlib.sha256(kind.encode()).hexdigest()[:20]}"
