"""Who may be submitted now: one transaction decides over places, pace, money and twins, and writes the intent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.another_take import is_same
from sorawatch.core.budget import Exclusion, LimitReached, LimitScope, Usage, admit, refusal
from sorawatch.core.calendar import Period, day_of, month_of
from sorawatch.core.concurrency_limit import after_refusal, after_success, effective
from sorawatch.core.job import UNPAID, Job, State
from sorawatch.core.lifecycle import Action, begin, reject, vanish
from sorawatch.core.naming import on_a_line
from sorawatch.core.order import Model, Size
from sorawatch.core.purchase import Standing
from sorawatch.core.purchase_recovery import recovered
from sorawatch.daemon.submission.allowance import allowance, write_allowance

if TYPE_CHECKING:
    from sorawatch.core.limits import Limits
    from sorawatch.core.retry_policy import Policy
    from sorawatch.edges.store import Transaction

_CANDIDATES = 64
"""Ready jobs looked at in one turn: more than are ever staged."""

_TWIN_PAUSE = 1_000
"""Milliseconds between two looks at a job that waits for its twin."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What an admission came to."""

    changes: tuple[tuple[Job, Job], ...]
    """Every job that was changed, as it was and as it is."""
    closed: tuple[LimitReached, ...]
    """Why others may not go."""
    thorough: bool
    """Every order that waits was asked after: what is not closed here is open."""

    @property
    def submits(self) -> list[Job]:
        """The jobs whose submit has begun."""
        return [job for was, job in self.changes if was.state is State.READY and job.state is State.SUBMITTING]


@dataclass(frozen=True, slots=True)
class Admission:
    """Reads and writes within the turn it is given; holds only what the configuration says."""

    limits: Limits
    policy: Policy
    catalogue: Mapping[str, Model]
    refuse_duplicates: bool
    zone: tzinfo | None
    lease_ms: int
    keep_ms: int
    """For so long a delivered order keeps the same ones away: its record is kept as long."""
    server: str = ""
    """The base URL: what is learnt of a server's answers holds for it alone."""

    @property
    def places(self) -> int:
        """How many orders may be in flight at once."""
        return self.limits.in_flight or 1

    def price(self, job: Job) -> int | None:
        """What the job costs in micro-dollars, or None where the catalogue does not say."""
        order = job.order
        if order is None or not isinstance(order.size, Size) or order.model not in self.catalogue:
            return None
        return self.catalogue[order.model].price(order.size, order.seconds)

    def exclusion(self, closed: LimitReached) -> Exclusion:
        """The orders that a limit which is reached keeps back."""
        priced = tuple(sorted(name for name, model in self.catalogue.items() if not model.is_free))
        return Exclusion(closed.folder, priced if closed.priced else None)

    def priced(self, model: str) -> Exclusion:
        """The orders for ``model`` that cost money, or may; for all models where it is empty."""
        return Exclusion(models=(model,)) if model else self.exclusion(LimitReached("", priced=True))

    def spent_today(self, tx: Transaction) -> int:
        """Micro-dollars spent or reserved."""
        return tx.books.spent(day_of(tx.now, self.zone).begins)

    def looked_over(self, job: Job, now: int, quotas: Sequence[LimitScope]) -> Job:
        """The job, refused where the limits never let it through; a size that is still open is settled later."""
        order = job.order
        if job.state not in UNPAID or order is None or not isinstance(order.size, Size):
            return job
        refused = refusal(_scopes(LimitScope(self.limits), job.pair.folder, quotas), order, self.price(job))
        return job if refused is None else reject(job, now, str(refused), refused.hint)

    def admit(
        self,
        tx: Transaction,
        places: int,
        quotas: Sequence[LimitScope],
        *,
        canary: bool,
        has_room: Callable[[str, int | None], bool],
    ) -> Admitted:
        """Begin the submit of as many ready jobs as may go, the most urgent first, at most ``places``.

        A folder whose own limits are reached is passed over, and so is a model that a circuit breaker stops; the
        others go on. So do orders that cost nothing where a cap on money is reached. A ``canary`` is whichever job
        has not been tried for the longest time: what stops one may not stop the next.

        Args:
            quotas: the limits of single folders.
            has_room: whether the circuit breakers let an order for this model, at this price in micro-dollars, go.
        """
        tally = _Tally(tx, day_of(tx.now, self.zone), month_of(tx.now, self.zone))
        whole = LimitScope(replace(self.limits, in_flight=effective(allowance(tx), self.places)))
        if tally.usage(whole).in_flight >= (whole.limits.in_flight or 1):
            return Admitted((), (), thorough=False)
        changes: list[tuple[Job, Job]] = []
        closed: list[LimitReached] = []
        excluded: list[Exclusion] = []
        more = True
        # Once some are passed over, the next candidates are others: those may have been all that were looked at.
        while more and places > 0:
            more = False
            candidates = tx.due([State.READY], _CANDIDATES, self.policy.waits.horizon, excluded)
            if canary:
                candidates = iter(sorted(candidates, key=lambda job: job.changed_at))
            for job in candidates:
                model = job.order.model if job.order else ""
                if any(each.covers(job.pair.folder, model) for each in excluded):
                    continue
                settled = self._without_buying(tx, job) or self._forbidden(tx, job, quotas)
                if settled or tx.being_submitted(job):
                    changes += settled
                    continue
                price = self.price(job)
                if not has_room(model, price):
                    excluded.append(Exclusion(models=(model,)))
                    more = True
                    continue
                reached = tally.take(_scopes(whole, job.pair.folder, quotas), price)
                if reached is not None:
                    closed.append(reached)
                    excluded.append(self.exclusion(reached))
                    more = excluded[-1] != Exclusion()
                    if more:
                        continue
                    break
                changes.append((job, self._begun(tx, job, price)))
                places -= 1
                if places == 0:
                    break
        tally.write()
        thorough = places > 0 and Exclusion() not in excluded
        return Admitted(tuple(changes), tuple(closed), thorough)

    def _begun(self, tx: Transaction, job: Job, price: int | None) -> Job:
        """The job with its submit begun: with the end of the turn, its intent and its purchase are on disk."""
        submitting = begin(job, Action.SUBMIT, now=tx.now, token=os.urandom(16).hex(), price=price)
        tx.save(submitting, job, lease_ms=self.lease_ms)
        tx.buy(submitting)
        return submitting

    def heed(self, tx: Transaction, job: Job, outcome: o.Outcome) -> None:
        """Fewer places in flight when the server complains of too many, one more for each video it finishes."""
        before = allowance(tx)
        match outcome:
            case o.Halted(crowded=True):
                running = tx.in_flight() - 1
                sent = job.submitted_at or tx.now
                after = after_refusal(before, self.places, in_flight=running, submitted_at=sent, now=tx.now)
            case o.Rendered():
                after = after_success(before, self.places)
            case _:
                return
        if after != before:
            write_allowance(tx, after)

    def reunited(self, tx: Transaction, job: Job) -> list[tuple[Job, Job]]:
        """What changed, on disk already, where ``job`` is ready and made of the pair of another job that goes on.

        Such a pair was touched, or got other metadata, and is what the older job files in the end.
        """
        if job.state is not State.READY:
            return []
        older = next((each for each in tx.orders.going_on(job.pair) if is_same(each, job)), None)
        if older is None:
            return []
        reference = older.reference_digest or job.reference_digest
        touched = replace(older, pair=job.pair, digest=job.digest, reference_digest=reference)
        tx.amend(touched, older)
        after = vanish(job, tx.now, f"the same pair as job {older.id}, which goes on")
        tx.save(after, job)
        return [(older, touched), (job, after)]

    def _without_buying(self, tx: Transaction, job: Job) -> list[tuple[Job, Job]]:
        """What changed, on disk already, where ``job`` goes on without a purchase; nothing if it must be bought."""
        after = self._resumed(tx, job)
        if after is None:
            reunited = self.reunited(tx, job)
            if reunited or not self.refuse_duplicates:
                return reunited
            after = self._kept_away(tx, job)
        if after is None:
            return []
        tx.save(after, job)
        return [(job, after)]

    def _kept_away(self, tx: Transaction, job: Job) -> Job | None:
        """The job refused as a duplicate, or waiting for another one of the same order; None if there is none."""
        since = tx.now - self.keep_ms
        twin = tx.same_order(job, since)
        if twin is None:
            delivered = tx.orders.delivered(job, since)
            if delivered is None:
                return None
            return _refused(job, tx.now, delivered.job_id, _as_clip(delivered.clip))
        match twin.state:
            case State.DONE:
                return _refused(job, tx.now, twin.id, _as_clip(twin.clip))
            case State.HELD:
                return _refused(job, tx.now, twin.id, f"which is held: {twin.reason}")
            case _:
                reason = f"waits for job {twin.id}, which is the same order"
                return replace(job, due_at=tx.now + _TWIN_PAUSE, reason=reason)

    def _forbidden(self, tx: Transaction, job: Job, quotas: Sequence[LimitScope]) -> list[tuple[Job, Job]]:
        after = self.looked_over(job, tx.now, quotas)
        if after is job:
            return []
        tx.save(after, job)
        return [(job, after)]

    def _resumed(self, tx: Transaction, job: Job) -> Job | None:
        """The job going on with what an earlier try of the same order bought, if nobody else does."""
        for purchase in tx.purchases_like(job):
            buyer = tx.job(purchase.job_id)
            if purchase.clip is not None and buyer is not None and buyer.id == job.id:
                return recovered(job, purchase, tx.now)
            if purchase.standing is not Standing.OPEN or tx.orders.has_follower(purchase, job):
                continue
            is_given_up = buyer is None or buyer.state in {State.FAILED, State.CANCELLED}
            # Jobs are kept as long: a state that does not know the buyer has lost it, and what came of the submit.
            is_lost = buyer is None and purchase.at >= tx.now - self.keep_ms
            if job.token == purchase.token or is_lost or (is_given_up and purchase.video_id is not None):
                return recovered(job, purchase, tx.now)
        return None


def _refused(job: Job, now: int, twin: str, what_became_of_it: str) -> Job:
    hint = (
        f"To have it once more, run `sorawatch retry --another {job.id}`. "
        "To have no order refused as a duplicate, set `duplicates: allow` in the configuration."
    )
    return reject(job, now, f"it is the same order as job {twin}, {what_became_of_it}", hint)


def _as_clip(clip: str | None) -> str:
    return f"delivered as {on_a_line(clip or '')}"


def _scopes(whole: LimitScope, folder: str, quotas: Sequence[LimitScope]) -> list[LimitScope]:
    """Whatever limits a job of this folder."""
    return [whole, *(quota for quota in quotas if quota.covers(folder))]


@dataclass(slots=True)
class _Tally:
    """What is taken of each scope's limits: read when first asked for, kept while orders are admitted."""

    tx: Transaction
    day: Period
    month: Period
    taken: dict[LimitScope, Usage] = field(default_factory=dict)

    def usage(self, scope: LimitScope) -> Usage:
        if scope not in self.taken:
            self.taken[scope] = Usage(
                in_flight=self.tx.in_flight(scope.folder),
                micros_today=self.tx.books.spent(self.day.begins, scope.folder),
                micros_this_month=self.tx.books.spent(self.month.begins, scope.folder),
                paced_until=(self.tx.note("paces") or {}).get(scope.file, 0),
            )
        return self.taken[scope]

    def take(self, scopes: Sequence[LimitScope], price: int | None) -> LimitReached | None:
        """Take of every scope's limits what one order needs, or of none: then why not."""
        now, ends = self.tx.now, {"day_ends": self.day.ends, "month_ends": self.month.ends}
        after = {scope: admit(scope, self.usage(scope), price, now, **ends) for scope in scopes}
        closed = [each for each in after.values() if isinstance(each, LimitReached)]
        if closed:
            # A reason that lasts tells a person more than that the places are full, or the pace forbids it, just now.
            return next((each for each in closed if each.lasting), closed[0])
        self.taken |= {scope: usage for scope, usage in after.items() if isinstance(usage, Usage)}
        return None

    def write(self) -> None:
        """Keep the pace for the next turn, of limits that still exist."""
        before = self.tx.note("paces") or {}
        paces = {scope.file: usage.paced_until for scope, usage in self.taken.items()}
        after = {file: until for file, until in (before | paces).items() if until > self.tx.now}
        if after != before:
            self.tx.write_note("paces", after)
