"""The life of a job: every transition there is, as a table.

Rules:

1. A state says what is already true and on disk. ``ACTIONS`` names the one action that it calls for, if any.
2. ``begin`` gives what must be on disk before an action is carried out. Only SUBMIT, which cannot be repeated, needs
   anything: a token, a price and the state SUBMITTING.
3. ``advance`` gives what is true afterwards: ``TRANSITIONS`` has a row for each action and outcome, with the states
   that it may lead to.
4. ``BY_PERSON`` has what people, the inbox and a restart can change, with the functions below.
5. What no table has raises `IllegalTransition`: it is a fault of the program, never of the world.

All functions are pure. Times are milliseconds of the store's clock. CONTRIBUTING.md shows the tables as a diagram.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sorawatch.core import outcome as o
from sorawatch.core import rendering, resolving
from sorawatch.core.job import UNPAID, Charged, Job, Pair, State
from sorawatch.core.job_changes import Context, enter, follow, reject, retry_later, retry_or, without_submit
from sorawatch.core.retry_policy import MAY_GROW, may_grow_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.core.order import Order
    from sorawatch.core.purchase import Purchase

__all__ = [
    "ACTIONS",
    "ARCHIVED",
    "BY_PERSON",
    "TRANSITIONS",
    "Action",
    "Context",
    "IllegalTransition",
    "Transition",
    "advance",
    "begin",
    "cancel_unpaid",
    "decide",
    "follow_video",
    "interrupt_submit",
    "not_accepted",
    "reject",
    "retry",
    "second_video",
    "withdraw",
    "withdraw_returned",
]


class Action(StrEnum):
    """What can be carried out for a job, one at a time."""

    PREPARE = "prepare"
    SUBMIT = "submit"
    RESOLVE = "resolve"
    POLL = "poll"
    DELIVER = "deliver"
    ARCHIVE = "archive"
    RESTORE = "restore"


ACTIONS = {
    State.FOUND: Action.PREPARE,
    State.READY: Action.SUBMIT,
    State.UNCERTAIN: Action.RESOLVE,
    State.RENDERING: Action.POLL,
    State.RENDERED: Action.DELIVER,
    State.DELIVERED: Action.ARCHIVE,
    State.REJECTED: Action.ARCHIVE,
    State.WITHDRAWN: Action.ARCHIVE,
    State.RESTORING: Action.RESTORE,
}

ARCHIVED = {State.DELIVERED: State.DONE, State.REJECTED: State.FAILED, State.WITHDRAWN: State.CANCELLED}
"""The final state after the pair was moved out of the inbox."""


class IllegalTransition(Exception):
    """A transition that the life of a job does not have."""


def decide(job: Job) -> Action | None:
    """The action that the job's state calls for; None where only a person, or nobody, can go on."""
    return ACTIONS.get(job.state)


def begin(job: Job, action: Action, *, now: int, token: str, price: int | None, account: str | None = None) -> Job:
    """What must be on disk before ``action`` is carried out.

    Args:
        now: milliseconds of the store's clock.
        token: a fresh name for this submit.
        price: what it costs in micro-dollars, if known.
        account: the fingerprint of the API key, if known.
    """
    if decide(job) is not action:
        raise IllegalTransition(f"{action} of a job that is {job.state}")
    if action is not Action.SUBMIT:
        return job
    return replace(
        enter(job, State.SUBMITTING, now),
        attempts=job.attempts,
        token=token,
        account=account,
        price=price,
        submitted_at=now,
        lost_at=None,
        charged=Charged.PERHAPS if price != 0 else Charged.NO,
    )


def advance(job: Job, action: Action, outcome: o.Outcome, context: Context) -> Job:
    """The job after ``action`` came to ``outcome``."""
    is_expected = job.state is State.SUBMITTING if action is Action.SUBMIT else decide(job) is action
    if not is_expected:
        raise IllegalTransition(f"{action} came to {type(outcome).__name__} while the job is {job.state}")
    transition = TRANSITIONS.get((action, type(outcome)))
    if transition is None:
        raise IllegalTransition(f"{action} cannot come to {type(outcome).__name__}")
    after = transition.apply(job, outcome, context)
    if after.state not in transition.leads_to:
        raise IllegalTransition(f"{action} with {type(outcome).__name__} cannot lead to {after.state}")
    return after


def _prepared(job: Job, outcome: o.Prepared, context: Context) -> Job:
    assert job.order is not None
    return replace(
        enter(job, State.READY, context.now),
        order=replace(job.order, size=outcome.size),
        digest=outcome.digest,
        reference_digest=outcome.reference_digest,
        note=outcome.note,
    )


def _incomplete(job: Job, outcome: o.Incomplete, context: Context) -> Job:
    until = may_grow_until(job, context.now, context.policy.damaged_grace_seconds)
    if until is None:
        return reject(job, context.now, outcome.reason, outcome.hint)
    again = retry_later(job, f"{outcome.reason}. {MAY_GROW}", None, context)
    return replace(again, due_at=min(again.due_at, until))


def _accepted(job: Job, outcome: o.Accepted, context: Context) -> Job:
    return follow(job, outcome.video_id, context)


def _answer_lost(job: Job, outcome: o.AnswerLost, context: Context) -> Job:
    return replace(
        enter(job, State.UNCERTAIN, context.now),
        lost_at=context.now,
        reason=outcome.reason,
        lost_reason=outcome.reason,
        due_at=context.now + context.list_delay,
    )


def _nothing_sent(job: Job, _: o.ReferenceLost, context: Context) -> Job:
    return without_submit(enter(job, State.FOUND, context.now))


def _not_sent(job: Job, outcome: o.NotSent, context: Context) -> Job:
    ready = without_submit(enter(job, State.READY, context.now))
    return replace(ready, attempts=job.attempts, reason=outcome.reason)


def _submit_stopped(job: Job, outcome: o.Blocked, context: Context) -> Job:
    ready = without_submit(enter(job, State.READY, context.now))
    return replace(ready, attempts=job.attempts, reason=outcome.cause.reason)


def _submit_failed(job: Job, outcome: o.TemporaryFailure, context: Context) -> Job:
    ready = without_submit(enter(job, State.READY, context.now))
    return retry_or(_give_up_submit, replace(ready, attempts=job.attempts), outcome, context)


def _give_up_submit(job: Job, reason: str, context: Context) -> Job:
    return reject(job, context.now, reason, "Move the pair back into the inbox to try again.")


def _submit_refused(job: Job, outcome: o.PermanentFailure, context: Context) -> Job:
    return without_submit(reject(job, context.now, outcome.reason, outcome.hint))


def _archived(job: Job, outcome: o.Archived, context: Context) -> Job:
    ended = enter(job, ARCHIVED[job.state], context.now)
    return replace(ended, filed=outcome.names, reason=job.reason, hint=job.hint)


def _not_archived(job: Job, outcome: o.TemporaryFailure | o.Blocked, context: Context) -> Job:
    why, retry_after = _reason_of(outcome)
    return replace(retry_later(job, job.reason, retry_after, context), obstacle=why)


def _restored(job: Job, outcome: o.Restored, context: Context) -> Job:
    match outcome:
        case o.Restored(pair=Pair() as pair, goes_on=True):
            found = enter(job, State.FOUND, context.now)
            return replace(found, pair=pair, filed=(), digest="", reference_digest="")
        case _:
            cancelled = enter(job, State.CANCELLED, context.now)
            reason = "moved back into the inbox to be tried again"
            return replace(cancelled, pair=outcome.pair or job.pair, filed=(), reason=reason)


def _refused(job: Job, outcome: o.PermanentFailure, context: Context) -> Job:
    return reject(job, context.now, outcome.reason, outcome.hint)


def _tried_again(job: Job, outcome: o.TemporaryFailure | o.Blocked, context: Context) -> Job:
    why, retry_after = _reason_of(outcome)
    return retry_later(job, why, retry_after, context)


def _reason_of(outcome: o.TemporaryFailure | o.Blocked) -> tuple[str, float | None]:
    """Why it failed, and the seconds that the server asks to wait."""
    if isinstance(outcome, o.Blocked):
        return outcome.cause.reason, outcome.cause.retry_after
    return outcome.reason, outcome.retry_after


@dataclass(frozen=True, slots=True)
class Transition:
    """What an outcome does to a job, and the states that the job may be in afterwards."""

    apply: Callable[[Job, Any, Context], Job]
    leads_to: tuple[State, ...]


def _to(apply: Callable[[Job, Any, Context], Job], *leads_to: State) -> Transition:
    return Transition(apply, leads_to)


_S = State
TRANSITIONS: Mapping[tuple[Action, type[o.Outcome]], Transition] = {
    (Action.PREPARE, o.Prepared): _to(_prepared, _S.READY),
    (Action.PREPARE, o.Incomplete): _to(_incomplete, _S.FOUND, _S.REJECTED),
    (Action.PREPARE, o.PermanentFailure): _to(_refused, _S.REJECTED),
    (Action.PREPARE, o.TemporaryFailure): _to(_tried_again, _S.FOUND),
    (Action.PREPARE, o.Blocked): _to(_tried_again, _S.FOUND),
    (Action.SUBMIT, o.Accepted): _to(_accepted, _S.RENDERING),
    (Action.SUBMIT, o.AnswerLost): _to(_answer_lost, _S.UNCERTAIN),
    (Action.SUBMIT, o.ReferenceLost): _to(_nothing_sent, _S.FOUND),
    (Action.SUBMIT, o.NotSent): _to(_not_sent, _S.READY),
    (Action.SUBMIT, o.PermanentFailure): _to(_submit_refused, _S.REJECTED),
    (Action.SUBMIT, o.TemporaryFailure): _to(_submit_failed, _S.READY, _S.REJECTED),
    (Action.SUBMIT, o.Blocked): _to(_submit_stopped, _S.READY),
    (Action.RESOLVE, o.Accepted): _to(_accepted, _S.RENDERING),
    (Action.RESOLVE, o.Searched): _to(resolving.searched, _S.RENDERING, _S.READY, _S.UNCERTAIN, _S.REJECTED, _S.HELD),
    (Action.RESOLVE, o.Unlisted): _to(resolving.unlisted, _S.READY, _S.HELD),
    (Action.RESOLVE, o.TemporaryFailure): _to(resolving.search_failed, _S.UNCERTAIN, _S.READY, _S.HELD),
    (Action.RESOLVE, o.Blocked): _to(_tried_again, _S.UNCERTAIN),
    (Action.POLL, o.Pending): _to(rendering.pending, _S.RENDERING, _S.HELD),
    (Action.POLL, o.Rendered): _to(rendering.rendered, _S.RENDERED),
    (Action.POLL, o.GenerationFailed): _to(rendering.generation_failed, _S.READY, _S.REJECTED),
    (Action.POLL, o.TemporaryFailure): _to(rendering.poll_failed, _S.RENDERING, _S.READY, _S.REJECTED, _S.HELD),
    (Action.POLL, o.Blocked): _to(_tried_again, _S.RENDERING),
    (Action.DELIVER, o.NameChosen): _to(rendering.name_chosen, _S.RENDERED),
    (Action.DELIVER, o.Delivered): _to(rendering.delivered, _S.DELIVERED),
    (Action.DELIVER, o.PermanentFailure): _to(_refused, _S.REJECTED),
    (Action.DELIVER, o.TemporaryFailure): _to(rendering.download_failed, _S.RENDERED, _S.HELD),
    (Action.DELIVER, o.Blocked): _to(_tried_again, _S.RENDERED),
    (Action.ARCHIVE, o.Archived): _to(_archived, _S.DONE, _S.FAILED, _S.CANCELLED),
    (Action.ARCHIVE, o.TemporaryFailure): _to(_not_archived, _S.DELIVERED, _S.REJECTED, _S.WITHDRAWN),
    (Action.ARCHIVE, o.Blocked): _to(_not_archived, _S.DELIVERED, _S.REJECTED, _S.WITHDRAWN),
    (Action.RESTORE, o.Restored): _to(_restored, _S.FOUND, _S.CANCELLED),
    (Action.RESTORE, o.PermanentFailure): _to(_refused, _S.REJECTED),
    (Action.RESTORE, o.TemporaryFailure): _to(_tried_again, _S.RESTORING),
    (Action.RESTORE, o.Blocked): _to(_tried_again, _S.RESTORING),
}


STOPPED = "sorawatch was stopped while the order was being submitted"
FORGOTTEN = "the state has lost what the server answered to the order"


def interrupt_submit(job: Job, now: int, reason: str = STOPPED) -> Job:
    """A submit whose answer nobody waits for any more, as after a crash: a search must tell whether it arrived."""
    if job.state is not State.SUBMITTING:
        raise IllegalTransition(f"nothing was being submitted: the job is {job.state}")
    return replace(enter(job, State.UNCERTAIN, now), lost_at=now, reason=reason, lost_reason=reason)


def not_accepted(job: Job, now: int, reason: str) -> Job:
    """The answer to a submit that counted as lost is known after all: the server did not take the order."""
    if job.state not in {State.UNCERTAIN, State.HELD} or job.video_id is not None:
        raise IllegalTransition(f"no answer is awaited for a job that is {job.state}")
    return replace(without_submit(enter(job, State.READY, now)), reason=reason)


def follow_video(job: Job, video_id: str, context: Context) -> Job:
    """Follow a video that was bought earlier, or that a person names, instead of buying another."""
    if job.state not in UNPAID and not job.wants_video:
        raise IllegalTransition(f"a job that is {job.state} cannot follow another video")
    return follow(replace(job, submitted_at=job.submitted_at or context.now), video_id, context)


def second_video(
    job: Job, new_id: str, order: Order, purchase: Purchase, video_id: str, note: str, context: Context
) -> Job:
    """A new job that follows a video which was bought for ``job`` in addition to the one that ``job`` follows.

    Args:
        order: that of ``job``, as another take.
        purchase: of the video.
    """
    now = context.now
    new = Job(new_id, State.READY, job.pair, now, now, now, order, note=note, token=purchase.token)
    bought = replace(new, price=purchase.micros, submitted_at=purchase.at)
    return follow(replace(bought, digest=job.digest, reference_digest=job.reference_digest), video_id, context)


def cancel_unpaid(job: Job, now: int, reason: str) -> Job:
    """The pair was taken away or changed before it was paid for, so there is nothing to move."""
    if job.state not in UNPAID:
        raise IllegalTransition(f"a job that is {job.state} is not cancelled by taking its picture away")
    return replace(enter(job, State.CANCELLED, now), reason=reason)


def withdraw_returned(job: Job, now: int, clip: str, reason: str, hint: str) -> Job:
    """The pair of a delivered order came back: move it to where the delivered pair is, and buy nothing.

    Args:
        clip: the path of the delivered clip, relative to the outbox.
    """
    if job.state not in UNPAID:
        raise IllegalTransition(f"a job that is {job.state} has an order of its own")
    return replace(enter(job, State.WITHDRAWN, now), clip=clip, reason=reason, hint=hint)


def withdraw(job: Job, now: int) -> Job | None:
    """A person cancels the job. None where it is too late: it is paid for, or has ended."""
    if job.state not in UNPAID | {State.HELD, State.UNCERTAIN}:
        return None
    hint = "Move the pair back into the inbox to order it after all."
    if job.charged is not Charged.NO and job.video_id is None:
        hint = "Moving the pair back into the inbox orders it again, whether or not the first order arrived."
    return replace(enter(job, State.WITHDRAWN, now), reason="cancelled with `sorawatch cancel`", hint=hint)


def retry(job: Job, now: int) -> Job | None:
    """A person wants the job tried again now. None where there is nothing to try."""
    match job.state:
        case State.FAILED | State.CANCELLED if job.filed and job.clip is None:
            return enter(job, State.RESTORING, now)
        case State.HELD if job.retry_state is State.READY:
            return replace(without_submit(enter(job, State.READY, now)), losses=0, reorders=0)
        case State.HELD if job.retry_state is not None:
            return enter(job, job.retry_state, now)
        case state if state in ACTIONS:
            # Misses start anew: a search that is brought forward may come too soon after the last to prove anything.
            return replace(job, due_at=now, attempts=0, misses=0)
        case _:
            return None


BY_PERSON: Mapping[str, Mapping[State, tuple[State, ...]]] = {
    "retry": {
        State.HELD: (State.READY, State.UNCERTAIN, State.RENDERING),
        State.FAILED: (State.RESTORING,),
        State.CANCELLED: (State.RESTORING,),
    },
    "cancel": dict.fromkeys((State.FOUND, State.READY, State.UNCERTAIN, State.HELD), (State.WITHDRAWN,)),
    "adopt": dict.fromkeys((State.UNCERTAIN, State.HELD), (State.RENDERING,)),
    "picture taken away": dict.fromkeys((State.FOUND, State.READY), (State.CANCELLED,)),
    "came back after delivery": dict.fromkeys((State.FOUND, State.READY), (State.WITHDRAWN,)),
    "bought before": dict.fromkeys((State.FOUND, State.READY), (State.RENDERING,)),
    "refused, as was learnt late": dict.fromkeys((State.UNCERTAIN, State.HELD), (State.READY,)),
    "restart": {State.SUBMITTING: (State.UNCERTAIN,)},
}
"""Transitions that no action makes, by their cause: what each state may become."""
