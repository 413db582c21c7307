"""Who may be submitted now: one transaction decides over places, pace, money and twins, and writes the intent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

from sorawatch.core.budget import Caps, Closed, Usage, admit
from sorawatch.core.calendar import day_of, month_of
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action, Policy, begin, reject, resume, vanish
from sorawatch.core.order import Model, Size
from sorawatch.core.purchase import Standing
from sorawatch.edges.store import Turn

Change = tuple[Job, Job]

_CANDIDATES = 64
"""Ready jobs looked at in one turn: more than are ever staged."""

_TWIN_PAUSE = 1_000
"""Milliseconds between two looks at a job that waits for its twin."""

DUPLICATE_DAYS = 30
"""For so long a delivered order keeps identical ones away."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Reads and writes within the turn it is given; holds only what the configuration says."""

    caps: Caps
    policy: Policy
    catalogue: Mapping[str, Model]
    refuse_duplicates: bool
    zone: tzinfo | None
    lease_ms: int

    def price(self, job: Job) -> int | None:
        """What the job costs in micro-dollars, or None where the catalogue does not say."""
        order = job.order
        if order is None or not isinstance(order.size, Size) or order.model not in self.catalogue:
            return None
        return self.catalogue[order.model].price(order.size, order.seconds)

    def usage(self, turn: Turn) -> Usage:
        """What is taken of each limit now."""
        return Usage(
            in_flight=turn.in_flight(),
            micros_today=turn.spent(day_of(turn.now, self.zone).begins),
            micros_this_month=turn.spent(month_of(turn.now, self.zone).begins),
            paced_until=turn.note("pace") or 0,
        )

    def admit(self, turn: Turn, places: int, *, canary: bool) -> tuple[list[Change], Closed | None]:
        """Begin the submit of as many ready jobs as may go, the most urgent first, at most ``places``.

        A ``canary`` is whichever has not been tried for the longest time: what stops one may not stop the next.

        Returns:
            Every job that was changed, as it was and as it is, and why the next one may not go, if that is so.
        """
        usage = before = self.usage(turn)
        if usage.in_flight >= self.caps.in_flight:
            return [], None
        day, month = day_of(turn.now, self.zone), month_of(turn.now, self.zone)
        changes: list[Change] = []
        closed: Closed | None = None
        candidates = turn.due([State.READY], _CANDIDATES, self.policy.waits.horizon)
        if canary:
            candidates.sort(key=lambda job: job.changed_at)
        for job in candidates:
            settled = self._without_buying(turn, job)
            if settled or turn.being_submitted(job):
                changes += settled
                continue
            price = self.price(job)
            taken = admit(self.caps, usage, price, turn.now, day_ends=day.ends, month_ends=month.ends)
            if isinstance(taken, Closed):
                closed = taken
                break
            usage = taken
            submitting = begin(job, Action.SUBMIT, now=turn.now, token=os.urandom(16).hex(), price=price)
            turn.save(submitting, job, lease_ms=self.lease_ms)
            turn.buy(submitting)
            changes.append((job, submitting))
            places -= 1
            if places == 0:
                break
        if usage.paced_until != before.paced_until:
            turn.write_note("pace", usage.paced_until)
        return changes, closed

    def _without_buying(self, turn: Turn, job: Job) -> list[Change]:
        """What changed, on disk already, where ``job`` goes on without a purchase; nothing if it must be bought."""
        resumed = self._resumed(turn, job)
        if resumed is not None:
            turn.save(resumed, job)
            return [(job, resumed)]
        twin = turn.same_order(job, since=turn.now - DUPLICATE_DAYS * 86_400_000)
        if twin is None:
            return []
        changes: list[Change] = []
        if twin.state is not State.DONE and twin.pair.path == job.pair.path:
            touched = replace(twin, pair=job.pair)
            turn.amend(touched)
            changes.append((twin, touched))
            after = vanish(job, turn.now, f"the same pair as job {twin.id}, which goes on")
        elif not self.refuse_duplicates:
            return []
        elif twin.state in {State.DONE, State.HELD}:
            after = self._refused(turn, job, twin)
        else:
            reason = f"waits for job {twin.id}, which is the same order"
            after = replace(job, due_at=turn.now + _TWIN_PAUSE, reason=reason)
        turn.save(after, job)
        return [*changes, (job, after)]

    def _resumed(self, turn: Turn, job: Job) -> Job | None:
        """The job following a video that an earlier try of the same order bought, if there is one nobody follows."""
        for purchase in turn.purchases_like(job):
            if purchase.standing is not Standing.OPEN or purchase.video_id is None:
                continue
            holder = turn.job(purchase.job_id)
            if holder is None or holder.state in {State.FAILED, State.CANCELLED}:
                resumed = resume(job, purchase.video_id, turn.now, self.policy)
                return replace(resumed, token=purchase.token, price=purchase.micros)
        return None

    @staticmethod
    def _refused(turn: Turn, job: Job, twin: Job) -> Job:
        mend = "To have it again, change the prompt, or set `duplicates: allow` in the configuration."
        if twin.state is State.DONE:
            return reject(job, turn.now, f"it is the same order as job {twin.id}, delivered as {twin.clip}", mend)
        return reject(job, turn.now, f"it is the same order as job {twin.id}, which is held: {twin.reason}", mend)
