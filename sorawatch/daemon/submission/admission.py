"""Decides which ready jobs may be submitted now, by places, pace, money and duplicates, in one transaction.

Admitted jobs are committed as SUBMITTING, with their purchases, before anything is sent.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.another_take import came_back, is_continued_by, is_same_path, is_same_picture
from sorawatch.core.batches import expected_price
from sorawatch.core.budget import Exclusion, LimitReached, LimitScope, Usage, admit, refusal
from sorawatch.core.calendar import Period, day_of, month_of
from sorawatch.core.concurrency_limit import after_refusal, after_success, effective
from sorawatch.core.error_text import ANOTHER_COMMAND
from sorawatch.core.job import UNPAID, Change, Job, State, path_in
from sorawatch.core.lifecycle import Action, begin, cancel_unpaid, reject, withdraw_returned
from sorawatch.core.naming import one_line
from sorawatch.core.order import Model, Size
from sorawatch.core.purchase import Standing
from sorawatch.core.purchase_recovery import recovered
from sorawatch.daemon.submission import usage_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import tzinfo

    from sorawatch.core.limits import Limits
    from sorawatch.core.retry_policy import Policy
    from sorawatch.edges.store import Transaction

_CANDIDATES = 64
"""How many ready jobs are examined in one pass: more than are ever prepared ahead."""

_SECOND_CLIP = "a second clip of this picture"
"""How the note begins that two clips of one picture are being made."""

_RETURNS_THAT_PROVE = 3
"""After this many returns of one pair a sync tool or another machine is the cause."""

_DUPLICATE_PAUSE = 1_000
"""Milliseconds between two checks of a job that waits for another job with the same order."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The result of one admission."""

    changes: tuple[tuple[Job, Job], ...]
    """Every job that was changed, before and after."""
    reached: tuple[LimitReached, ...]
    """Limits that prevented submits."""
    complete: bool
    """Every waiting order was examined, so ``reached`` has all limits that prevent submits."""
    alike: tuple[str, ...] = ()
    """Jobs that wait because the server's list could not tell their order from one that is being submitted."""

    @property
    def submits(self) -> list[Job]:
        """The jobs whose submit has begun."""
        return [
            after for before, after in self.changes if before.state is State.READY and after.state is State.SUBMITTING
        ]


@dataclass(frozen=True, slots=True)
class Admission:
    """Admits orders. It keeps only values of the configuration; everything else is read from the given transaction."""

    limits: Limits
    policy: Policy
    catalogue: Mapping[str, Model]
    refuse_duplicates: bool
    zone: tzinfo | None
    keep_ms: int
    """Milliseconds for which a delivered order is recorded, and the same order is refused."""
    server: str
    """The base URL of the server."""

    @property
    def places(self) -> int:
        """How many orders may be in flight at once, according to the configuration."""
        return self.limits.in_flight or 1

    def price(self, job: Job) -> int | None:
        """The price of the job in micro-dollars, or None if the catalogue does not state it."""
        order = job.order
        if order is None or not isinstance(order.size, Size) or order.model not in self.catalogue:
            return None
        return self.catalogue[order.model].price(order.size, order.seconds)

    def expected_price(self, job: Job) -> int | None:
        """The highest price in micro-dollars that the job can have once its picture is read, or None if unknown."""
        order = job.order
        return (
            None
            if order is None or order.model not in self.catalogue
            else expected_price(self.catalogue[order.model], order)
        )

    def exclusion(self, reached: LimitReached) -> Exclusion:
        """The orders that a reached limit excludes."""
        return Exclusion(reached.pause.folder, self._priced_models if reached.priced else None)

    def priced(self, model: str) -> Exclusion:
        """The orders for ``model`` that may cost money; for all models if it is empty."""
        return Exclusion(models=(model,) if model else self._priced_models)

    @property
    def _priced_models(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, model in self.catalogue.items() if not model.is_free))

    def spent_today(self, tx: Transaction) -> int:
        """Micro-dollars that were spent or reserved today."""
        return tx.spending.spent(day_of(tx.now, self.zone).begins)

    def check_limits(self, job: Job, now: int, folder_limits: Sequence[LimitScope]) -> Job:
        """The job, rejected if the limits can never admit it.

        A job without a final size is rejected if even the lower price of its sizes is too high, else checked later.
        """
        order = job.order
        if job.state not in UNPAID or order is None:
            return job
        price = self.price(job)
        if not isinstance(order.size, Size):
            model = self.catalogue.get(order.model)
            if model is None or (prices := model.prices(order.size, order.seconds)) is None:
                return job
            price = prices[0]
        scopes = _scopes(LimitScope(self.limits), job.pair.folder, folder_limits)
        refused = refusal(scopes, order, price)
        return job if refused is None else reject(job, now, str(refused), refused.hint)

    def admit(
        self,
        tx: Transaction,
        places: int,
        folder_limits: Sequence[LimitScope],
        *,
        probing: bool,
        has_room: Callable[[str, int | None], bool],
        is_present: Callable[[str], bool],
        account: str | None = None,
    ) -> Admitted:
        """Begin the submit of as many ready jobs as possible, at most ``places``, the most urgent first.

        Orders of a folder whose own limits are reached are skipped, and so are orders for a model that a circuit
        breaker stops. If a spending cap is reached, free orders are still admitted.

        Args:
            folder_limits: the limits of folders that set their own.
            probing: a circuit breaker allows one probe, so begin with the job that was not tried for the longest time:
                the job that was tried last may be the only one that fails.
            has_room: whether the circuit breakers allow an order for this model at this price in micro-dollars.
            is_present: whether there is a picture at this path of the inbox.
            account: the fingerprint of the API key with which the orders are sent.
        """
        tally = _Tally(tx, day_of(tx.now, self.zone), month_of(tx.now, self.zone))
        total = LimitScope(replace(self.limits, in_flight=effective(usage_values.concurrency_limit(tx), self.places)))
        if tally.usage(total).in_flight >= (total.limits.in_flight or 1):
            reached_now = (tally.take([scope], price=0) for scope in (*folder_limits, total))
            # A lasting limit counts only once it keeps an order back.
            full = tuple(limit for limit in reached_now if limit is not None and not limit.lasting)
            return Admitted((), full, complete=False)
        alike: list[str] = []
        changes: list[tuple[Job, Job]] = []
        reached: list[LimitReached] = []
        excluded: list[Exclusion] = []
        more = True
        # If some orders were excluded, examine more: the excluded ones may have filled the list of candidates.
        while more and places > 0:
            more = False
            candidates = tx.claims.candidates([State.READY], _CANDIDATES, self.policy.waits.horizon, excluded)
            if probing:
                candidates = iter(sorted(candidates, key=lambda job: job.changed_at))
            for job in candidates:
                model = job.order.model if job.order else ""
                if any(each.covers(job.pair.folder, model) for each in excluded):
                    continue
                decided = self._without_buying(tx, job, is_present) or self._beyond_limits(tx, job, folder_limits)
                if decided:
                    changes += decided
                    continue
                if tx.orders.is_being_submitted(job):
                    alike.append(job.id)
                    continue
                price = self.price(job)
                if not has_room(model, price):
                    excluded.append(Exclusion(models=(model,)))
                    more = True
                    continue
                limit = tally.take(_scopes(total, job.pair.folder, folder_limits), price)
                if limit is not None:
                    reached.append(limit)
                    excluded.append(self.exclusion(limit))
                    more = excluded[-1] != Exclusion()
                    if more:
                        continue
                    break
                changes.append((job, self._begin_submit(tx, job, price, account)))
                places -= 1
                if places == 0:
                    break
        tally.write()
        complete = places > 0 and Exclusion() not in excluded
        return Admitted(tuple(changes), tuple(reached), complete, tuple(alike))

    def without_buying(self, tx: Transaction, job: Job) -> Job:
        """The job as it will be if the same order was made before: fetched, refused or waiting. Else it is unchanged.

        Nothing is written.
        """
        return self._bought_before(tx, job) or (self._duplicate(tx, job) if self.refuse_duplicates else None) or job

    def _begin_submit(self, tx: Transaction, job: Job, price: int | None, account: str | None) -> Job:
        """Save the job as SUBMITTING, with its purchase. Nothing may be sent before the commit."""
        submitting = begin(job, Action.SUBMIT, now=tx.now, token=os.urandom(12).hex(), price=price, account=account)
        tx.claims.took_turn(job)
        tx.jobs.save(submitting, job, claim=True)
        tx.purchases.add(submitting)
        return submitting

    def adapt_concurrency(self, tx: Transaction, job: Job, outcome: o.Outcome) -> None:
        """Reduce the places if the server reports too many running videos; add one for each video that it finishes."""
        before = usage_values.concurrency_limit(tx)
        match outcome:
            case o.Blocked(cause) if cause.too_many_running:
                running = tx.jobs.in_flight() - 1
                sent = job.submitted_at or tx.now
                after = after_refusal(before, self.places, in_flight=running, submitted_at=sent, now=tx.now)
            case o.Rendered():
                after = after_success(before, self.places)
            case _:
                return
        if after != before:
            usage_values.write_concurrency_limit(tx, after)

    def compare_with_older(self, tx: Transaction, job: Job, is_present: Callable[[str], bool]) -> list[Change]:
        """Compare a ready job with the jobs under way that have its place or its picture.

        If the pair is that of an older job, which was touched, renamed or moved, the ready job is cancelled, and the
        older one takes over the pair as it is now. If an older job at the same place has the same picture and other
        terms, the sidecar came or was changed after the order was sent: the ready job notes that it makes a second
        clip.

        Args:
            is_present: whether there is a picture at this path of the inbox.

        Returns:
            The changes, which are already saved; empty if there is no older job.
        """
        if job.state is not State.READY:
            return []
        under_way = tx.orders.under_way(job, is_present)
        older = next((each for each in under_way if is_continued_by(each, job, is_present)), None)
        if older is None:
            return _note_second_clip(tx, job, [each for each in under_way if each.pair.path == job.pair.path])
        reference = older.reference_digest or job.reference_digest
        merged = replace(older, pair=job.pair, digest=job.digest, reference_digest=reference)
        tx.jobs.amend(merged, older)
        after = cancel_unpaid(job, tx.now, f"it is the same pair and order as job {older.id}, which continues")
        tx.jobs.save(after, job)
        return [(older, merged), (job, after)]

    def _without_buying(self, tx: Transaction, job: Job, is_present: Callable[[str], bool]) -> list[tuple[Job, Job]]:
        """Handle a job that needs no purchase. Returns the saved changes; empty if the order must be bought."""
        after = self._bought_before(tx, job)
        if after is None:
            compared = self.compare_with_older(tx, job, is_present)
            merged = [(before, after) for before, after in compared if before is not None]
            if merged or not self.refuse_duplicates:
                return merged
            after = self._duplicate(tx, job)
        if after is None:
            return []
        tx.jobs.save(after, job)
        return [(job, after)]

    def _duplicate(self, tx: Transaction, job: Job) -> Job | None:
        """The job, refused as a duplicate or waiting for another job with the same order; None if there is no other."""
        since = tx.now - self.keep_ms
        same = tx.orders.same(job, since)
        if same is None:
            delivered = tx.purchases.delivered(job, since)
            if delivered is None:
                return None
            if delivered.image is not None and is_same_path(
                path_in(delivered.folder or "", delivered.image), job.pair.path
            ):
                return _returned(job, tx.now, delivered.job_id, delivered.clip, tx.orders.returns(job))
            return _refused(job, tx.now, delivered.job_id, _delivered_as(delivered.clip))
        match same.state:
            case State.DONE if came_back(same, job) or tx.orders.was_here(job):
                return _returned(job, tx.now, same.id, same.clip, tx.orders.returns(job))
            case State.DONE:
                return _refused(job, tx.now, same.id, _delivered_as(same.clip))
            case State.HELD:
                hint = f"`sorawatch show {same.id}` lists what you can do for that job. "
                return _refused(job, tx.now, same.id, f"which is held: {same.reason}", hint)
            case _:
                reason = f"waits for job {same.id}, which is the same order"
                return replace(job, due_at=tx.now + _DUPLICATE_PAUSE, reason=reason)

    def _beyond_limits(self, tx: Transaction, job: Job, folder_limits: Sequence[LimitScope]) -> list[tuple[Job, Job]]:
        after = self.check_limits(job, tx.now, folder_limits)
        if after is job:
            return []
        tx.jobs.save(after, job)
        return [(job, after)]

    def _bought_before(self, tx: Transaction, job: Job) -> Job | None:
        """The job with the video that an earlier job bought for the same order, unless another job uses it."""
        for purchase in tx.purchases.of_order(job):
            buyer = tx.jobs.get(purchase.job_id)
            if purchase.clip is not None and buyer is not None and buyer.id == job.id:
                return recovered(job, purchase, tx.now)
            if purchase.standing is not Standing.OPEN or tx.orders.has_follower(purchase, job):
                continue
            is_given_up = buyer is None or buyer.state in {State.FAILED, State.CANCELLED}
            # Jobs are kept for as long as this. If the buyer is missing, the state has lost the result of its submit.
            is_lost = buyer is None and purchase.at >= tx.now - self.keep_ms
            if job.token == purchase.token or is_lost or (is_given_up and purchase.video_id is not None):
                return recovered(job, purchase, tx.now)
        return None


def _note_second_clip(tx: Transaction, job: Job, under_way: Sequence[Job]) -> list[Change]:
    """Note in ``job`` that one of ``under_way`` already makes a clip of the same picture, unless it is noted."""
    older = next((each for each in under_way if is_same_picture(each, job)), None)
    if older is None or _SECOND_CLIP in job.note:
        return []
    text = f"{_SECOND_CLIP}: job {older.id} was sent before with another prompt or other settings"
    after = replace(job, note="; ".join(filter(None, (job.note, text))), reason=text)
    tx.jobs.save(after, job)
    return [(job, after)]


def _refused(job: Job, now: int, other: str, result: str, hint: str = "") -> Job:
    hint += (
        f"To have it once more, run {ANOTHER_COMMAND} {job.id}`. "
        "To have no order refused as a duplicate, set `duplicates: allow` in the configuration."
    )
    return reject(job, now, f"it is the same order as job {other}, {result}", hint)


def _returned(job: Job, now: int, other: str, clip: str | None, returns: int) -> Job:
    """The job, which moves a pair that came back to where the delivered one is. Only the first times are told.

    Args:
        other: the id of the job that delivered the clip.
        returns: how often the pair came back before.
    """
    times = "" if returns == 0 else f", {returns + 1} times now"
    reason = f"it came back unchanged{times}: it is the same order as job {other}, {_delivered_as(clip)}"
    another = f"To have another clip of it, run {ANOTHER_COMMAND} {job.id}`."
    hint = {
        0: f"Nothing, if it was put back by mistake. {another}",
        _RETURNS_THAT_PROVE - 1: (
            "Something keeps putting the pair back, such as a sync tool or a second machine that has the same folder. "
            "Let it sync the inbox in one direction only, or let it remove what sorawatch moves away. "
            f"Later returns are not told any more. {another}"
        ),
    }.get(returns, "")
    return withdraw_returned(job, now, clip or "", reason, hint)


def _delivered_as(clip: str | None) -> str:
    return f"delivered as {one_line(clip or '')}"


def _scopes(total: LimitScope, folder: str, folder_limits: Sequence[LimitScope]) -> list[LimitScope]:
    """The limits that apply to a job in this folder."""
    return [total, *(scope for scope in folder_limits if scope.covers(folder))]


@dataclass(slots=True)
class _Tally:
    """The usage of each scope's limits. It is read when first needed, and updated for every admitted order."""

    tx: Transaction
    day: Period
    month: Period
    used: dict[LimitScope, Usage] = field(default_factory=dict)

    def usage(self, scope: LimitScope) -> Usage:
        if scope not in self.used:
            self.used[scope] = usage_values.usage(self.tx, scope, self.day, self.month)
        return self.used[scope]

    def take(self, scopes: Sequence[LimitScope], price: int | None) -> LimitReached | None:
        """Count one order in every scope. If a limit is reached, count nothing and return the limit."""
        now, ends = self.tx.now, {"day_ends": self.day.ends, "month_ends": self.month.ends}
        after = {scope: admit(scope, self.usage(scope), price, now, **ends) for scope in scopes}
        reached = [each for each in after.values() if isinstance(each, LimitReached)]
        if reached:
            # A lasting limit is more useful to report than full places or the pace, which change within moments.
            return next((each for each in reached if each.lasting), reached[0])
        self.used |= {scope: usage for scope, usage in after.items() if isinstance(usage, Usage)}
        return None

    def write(self) -> None:
        """Save the pace of each scope for the next pass."""
        usage_values.write_paces(self.tx, {scope.file: usage.paced_until for scope, usage in self.used.items()})
