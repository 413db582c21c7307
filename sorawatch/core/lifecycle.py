"""The life of a job: every transition there is.

``decide`` names the action that a state calls for, ``begin`` says what must be written down before it is
carried out, ``advance`` what is true after it. All are pure; time and randomness come in as arguments. A
transition that is not written here raises `IllegalTransition`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from sorawatch.core import outcome as o
from sorawatch.core.error_text import may_be, stake, tried, ways_on
from sorawatch.core.error_words import MODERATION
from sorawatch.core.job import UNPAID, Charged, Job, Pair, State
from sorawatch.core.refusals import CONTENT_HINT
from sorawatch.core.retry_policy import MAY_GROW, Policy, abandoned, may_grow_until, stalled, unreadable, watched_since
from sorawatch.core.schedule import NO_HISTORY, PolledProgress, RenderHistory, backoff, next_poll, stalled_poll

MISSES_THAT_PROVE = 2
"""Complete lists in a row without an order whose answer was lost, before it counts as not arrived."""
LOSSES_THAT_DISPROVE = 3
"""Losses of one order in a row after which it is held, whatever a list or the configuration says: a list that shows
nothing is likelier than that all of them were lost."""
_WITNESS_SHARE = 1 / 12
"""Of the wait for another order that shows what a list is worth: the time between two looks."""
MOST_REORDERS = 3
"""How often an order that costs nothing is sent again, as its answer or its video was lost, before it is held."""


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


class IllegalTransition(Exception):
    """A transition that the life of a job does not have: a fault in the program, never in the world."""


def decide(job: Job) -> Action | None:
    """The action that the job's state calls for; None where only a person, or nobody, can go on."""
    return ACTIONS.get(job.state)


def begin(job: Job, action: Action, *, now: int, token: str, price: int | None) -> Job:
    """What must be on disk before ``action`` is carried out. Only SUBMIT changes anything.

    Args:
        now: milliseconds of the store's clock.
        token: a fresh name for this submit.
        price: what it costs in micro-dollars, if known.
    """
    if decide(job) is not action:
        raise IllegalTransition(f"{action} of a job that is {job.state}")
    if action is not Action.SUBMIT:
        return job
    submitting = _enter(job, State.SUBMITTING, now)
    return replace(
        submitting,
        attempts=job.attempts,
        token=token,
        price=price,
        submitted_at=now,
        lost_at=None,
        charged=Charged.PERHAPS if price != 0 else Charged.NO,
    )


def advance(
    job: Job,
    action: Action,
    outcome: o.Outcome,
    *,
    now: int,
    policy: Policy,
    jitter: float,
    outlook: RenderHistory = NO_HISTORY,
) -> Job:
    """The job after ``action`` came to ``outcome``.

    Args:
        now: milliseconds of the store's clock.
        jitter: a random number in [0, 1).
        outlook: what is known of the render that goes on, or begins.
    """
    awaited = job.state is State.SUBMITTING if action is Action.SUBMIT else decide(job) is action
    if not awaited:
        raise IllegalTransition(f"{action} came to {type(outcome).__name__} while the job is {job.state}")
    match action, outcome:
        case Action.PREPARE, o.Prepared():
            assert job.order is not None
            order = replace(job.order, size=outcome.size)
            ready = replace(_enter(job, State.READY, now), order=order, digest=outcome.digest, note=outcome.note)
            return replace(ready, reference_digest=outcome.reference_digest)
        case Action.PREPARE, o.Partial():
            if (until := may_grow_until(job, now, policy.damaged_grace_seconds)) is None:
                return reject(job, now, outcome.reason, outcome.hint)
            again = _retry(job, f"{outcome.reason}. {MAY_GROW}", None, now, policy, jitter)
            return replace(again, due_at=min(again.due_at, until))
        case ((Action.SUBMIT | Action.RESOLVE), o.Accepted()):
            return _accepted(job, outcome.video_id, now, policy, outlook)
        case Action.SUBMIT, o.Unknown():
            uncertain = replace(_enter(job, State.UNCERTAIN, now), lost_at=now, reason=outcome.reason)
            return replace(uncertain, due_at=now + _lag(policy), lost_reason=outcome.reason)
        case Action.SUBMIT, o.ReferenceLost():
            return _unsent(_enter(job, State.FOUND, now))
        case Action.SUBMIT, o.Halted():
            ready = _unsent(_enter(job, State.READY, now))
            return replace(ready, attempts=job.attempts, reason=outcome.reason)
        case Action.SUBMIT, o.FailedForNow():
            ready = _unsent(_enter(job, State.READY, now))
            return _retry_or(_give_up_submit, replace(ready, attempts=job.attempts), outcome, now, policy, jitter)
        case Action.SUBMIT, o.FailedForGood():
            return _unsent(reject(job, now, outcome.reason, outcome.hint))
        case Action.RESOLVE, o.Searched():
            return _resolved(job, outcome, now, policy, outlook)
        case Action.RESOLVE, o.Unlisted():
            return _undecidable(job, outcome.reason, now, policy)
        case Action.RESOLVE, o.FailedForNow():
            return _retry_or(_give_up_search, job, outcome, now, policy, jitter)
        case Action.POLL, o.Pending():
            return _waited(job, outcome.progress, now, policy, outlook)
        case Action.POLL, o.Rendered():
            charged = Charged.YES if job.price != 0 else Charged.NO
            return replace(_enter(job, State.RENDERED, now), progress=100, charged=charged)
        case Action.POLL, o.GenerationFailed():
            return _generation_failed(job, outcome, now, policy, jitter)
        case Action.POLL, o.FailedForNow():
            return _unpolled(job, outcome, now, policy, jitter)
        case Action.DELIVER, o.Delivered():
            note = "; ".join(filter(None, (job.note, outcome.note)))
            return replace(_enter(job, State.DELIVERED, now), clip=outcome.clip, note=note)
        case Action.DELIVER, o.FailedForNow():
            return _retry_or(_give_up_clip, job, outcome, now, policy, jitter)
        case Action.ARCHIVE, o.Filed():
            return replace(_enter(job, _END[job.state], now), filed=outcome.names, reason=job.reason, hint=job.hint)
        case Action.ARCHIVE, (o.FailedForNow() | o.Halted()):
            return replace(_retry(job, job.reason, outcome.retry_after, now, policy, jitter), obstacle=outcome.reason)
        case Action.RESTORE, o.Restored(pair=Pair() as pair, goes_on=True):
            return replace(_enter(job, State.FOUND, now), pair=pair, filed=(), digest="", reference_digest="")
        case Action.RESTORE, o.Restored():
            back = "moved back into the inbox to be tried again"
            return replace(_enter(job, State.CANCELLED, now), pair=outcome.pair or job.pair, filed=(), reason=back)
        case ((Action.PREPARE | Action.DELIVER | Action.RESTORE), o.FailedForGood()):
            return reject(job, now, outcome.reason, outcome.hint)
        case _, (o.FailedForNow() | o.Halted()):
            return _retry(job, outcome.reason, outcome.retry_after, now, policy, jitter)
        case _:
            raise IllegalTransition(f"{action} cannot come to {type(outcome).__name__}")


def reject(job: Job, now: int, reason: str, hint: str = "") -> Job:
    """Give a job up for good; its pair goes to the errors folder."""
    return replace(_enter(job, State.REJECTED, now), reason=reason, hint=hint)


def met_after_a_crash(job: Job, now: int) -> Job:
    """A submit that nobody waits for any more: whether it arrived must be found out."""
    if job.state is not State.SUBMITTING:
        raise IllegalTransition(f"nothing was being submitted: the job is {job.state}")
    reason = "sorawatch was stopped while the order was being submitted"
    return replace(_enter(job, State.UNCERTAIN, now), lost_at=now, reason=reason, lost_reason=reason)


def resume(job: Job, video_id: str, now: int, policy: Policy) -> Job:
    """Follow a video that was bought earlier, or that a person names, instead of buying another."""
    if job.state not in UNPAID and not job.wants_video:
        raise IllegalTransition(f"a job that is {job.state} cannot follow another video")
    return _accepted(replace(job, submitted_at=job.submitted_at or now), video_id, now, policy)


def vanish(job: Job, now: int, reason: str) -> Job:
    """The pair was taken away, or changed, before it was paid for."""
    if job.state not in UNPAID:
        raise IllegalTransition(f"a job that is {job.state} is not cancelled by taking its picture away")
    return replace(_enter(job, State.CANCELLED, now), reason=reason)


def withdraw(job: Job, now: int) -> Job | None:
    """A person cancels the job. None where it is too late, for it is paid for or already ended."""
    if job.state not in UNPAID | {State.HELD, State.UNCERTAIN}:
        return None
    hint = "Move the pair back into the inbox to order it after all."
    if job.charged is not Charged.NO and job.video_id is None:
        hint = "Moving the pair back into the inbox orders it again, whether or not the first order arrived."
    return replace(_enter(job, State.WITHDRAWN, now), reason="cancelled with `sorawatch cancel`", hint=hint)


def retry(job: Job, now: int) -> Job | None:
    """A person wants the job tried again now. None where there is nothing to try.

    A job held because no listing can tell whether it arrived is bought again: that is what the person was told.
    """
    match job.state:
        case State.FAILED | State.CANCELLED if job.filed:
            return _enter(job, State.RESTORING, now)
        case State.HELD if job.video_id is not None:
            return _enter(job, State.RENDERING, now)
        case State.HELD if job.attempts > 0:
            return _enter(job, State.UNCERTAIN, now)
        case State.HELD:
            return replace(_unsent(_enter(job, State.READY, now)), losses=0, reorders=0)
        case state if state in ACTIONS:
            # Misses start anew, for a listing brought forward may come too soon after the last to prove anything.
            return replace(job, due_at=now, attempts=0, misses=0)
        case _:
            return None


_END = {State.DELIVERED: State.DONE, State.REJECTED: State.FAILED, State.WITHDRAWN: State.CANCELLED}


def _unsent(job: Job) -> Job:
    """The job without any trace of a submit: that one is known not to count, or is counted elsewhere."""
    return replace(
        job,
        token=None,
        price=None,
        submitted_at=None,
        lost_at=None,
        lost_reason="",
        witness_until=None,
        charged=Charged.NO,
    )


def _enter(job: Job, state: State, now: int) -> Job:
    return replace(job, state=state, changed_at=now, due_at=now, attempts=0, misses=0, reason="", hint="", obstacle="")


def _retry(job: Job, reason: str, retry_after: float | None, now: int, policy: Policy, jitter: float) -> Job:
    failures = job.attempts + 1
    due_at = now + backoff(policy.waits, failures, jitter, retry_after)
    return replace(job, attempts=failures, reason=reason, due_at=due_at)


def _retry_or(
    give_up: Callable[[Job, int, str, Policy], Job],
    job: Job,
    outcome: o.FailedForNow,
    now: int,
    policy: Policy,
    jitter: float,
) -> Job:
    """Try again until the job itself has failed too often.

    With a video such failures are counted apart, as misses, for an outage adds any number to the attempts.
    """
    missed = job if job.video_id is None else replace(job, misses=job.misses + outcome.counts)
    failures = job.attempts + 1 if job.video_id is None else missed.misses
    if not outcome.counts or failures < policy.attempts:
        return _retry(missed, outcome.reason, outcome.retry_after, now, policy, jitter)
    return give_up(job, now, f"{outcome.reason} ({tried(failures)})", policy)


def _unpolled(job: Job, outcome: o.FailedForNow, now: int, policy: Policy, jitter: float) -> Job:
    """A poll brought nothing: ask again, but not for ever where the server answers and cannot be understood."""
    since = watched_since(job, now)
    if outcome.answered and not outcome.counts and now - since >= 1000 * policy.waits.abandon:
        hint = f"`sorawatch retry {job.id}` goes on asking after it. `sorawatch cancel {job.id}` gives it up."
        return _hold(job, now, unreadable(policy.waits, outcome.reason) + stake(job), hint)
    watched = replace(job, changed_at=since)
    return _retry_or(_give_up_video if job.lost_at is None else _give_up_id, watched, outcome, now, policy, jitter)


def _give_up_submit(job: Job, now: int, reason: str, _: Policy) -> Job:
    return reject(job, now, reason, "Move the pair back into the inbox to try again.")


def _give_up_search(job: Job, now: int, reason: str, policy: Policy) -> Job:
    if job.price == 0:
        return _order_again(job, now, f"{_lost(job)}, and {reason}", policy)
    why = f"{_lost(job)}, and no list of videos can be had: {reason}.{stake(job)}"
    held = _hold(job, now, why, ways_on(job, f"Once it can be had, `sorawatch retry {job.id}` looks again."))
    # The failures stay with the held job: they tell it from one that no further listing can decide.
    return replace(held, attempts=job.attempts + 1)


def _give_up_video(job: Job, now: int, reason: str, policy: Policy) -> Job:
    if job.price == 0:
        return _order_again(job, now, f"{reason}; the server was probably restarted", policy)
    hint = "Look for it on the server's own site. Moving the pair back into the inbox orders it again, at its price."
    return reject(job, now, reason, hint)


def _give_up_id(job: Job, now: int, reason: str, policy: Policy) -> Job:
    """A person named it, or a list was searched for it, so the video that was bought may be another."""
    if job.price == 0:
        return _order_again(job, now, f"{reason}; the server was probably restarted", policy)
    again = f"`sorawatch retry {job.id}` goes on asking after {job.video_id}."
    return _hold(job, now, f"{reason}.{stake(job)}", ways_on(job, again))


def _give_up_clip(job: Job, now: int, reason: str, _: Policy) -> Job:
    return _hold(job, now, reason, f"`sorawatch retry {job.id}` tries again.")


def _order_again(job: Job, now: int, reason: str, policy: Policy) -> Job:
    """Send an order again that costs nothing, unless that was done too often."""
    if job.reorders >= MOST_REORDERS:
        hint = f"See whether the server runs. `sorawatch retry {job.id}` orders it again."
        held = _hold(job, now, f"{reason}. It was ordered {job.reorders + 1} times", hint)
        return replace(held, video_id=None)
    again = replace(_unsent(_enter(job, State.READY, now)), video_id=None, progress=None, reorders=job.reorders + 1)
    return replace(again, reason=f"{reason}. It costs nothing, so it is ordered again", due_at=now + _lag(policy))


def _hold(job: Job, now: int, reason: str, hint: str) -> Job:
    return replace(_enter(job, State.HELD, now), reason=reason, hint=hint)


def _accepted(job: Job, video_id: str, now: int, policy: Policy, outlook: RenderHistory = NO_HISTORY) -> Job:
    charged = Charged.PERHAPS if job.price != 0 else Charged.NO
    rendering = replace(_enter(job, State.RENDERING, now), video_id=video_id, progress=None, charged=charged, losses=0)
    return replace(rendering, due_at=now + next_poll(policy.waits, PolledProgress(0, None), outlook))


def _waited(job: Job, progress: int | None, now: int, policy: Policy, outlook: RenderHistory) -> Job:
    """The server is still at it: look again later, more and more rarely once that takes too long, and not for ever."""
    waits, since = policy.waits, watched_since(job, now)
    seen = replace(job, attempts=0, misses=0, reason="", progress=progress, changed_at=since)
    if now - since >= 1000 * waits.abandon:
        hint = f"`sorawatch retry {job.id}` goes on asking after it. `sorawatch cancel {job.id}` gives it up."
        return _hold(seen, now, abandoned(waits) + stake(job), hint)
    if now - since >= 1000 * waits.stall:
        return replace(seen, reason=stalled(waits), due_at=now + stalled_poll(waits, now - since))
    return replace(seen, due_at=now + next_poll(waits, PolledProgress(now - job.changed_at, progress), outlook))


def _resolved(job: Job, found: o.Searched, now: int, policy: Policy, outlook: RenderHistory) -> Job:
    alike = tuple(candidate for candidate in found.candidates if not candidate.differs)
    match alike:
        case (o.Candidate(certain=True) as only,):
            return _accepted(job, only.video_id, now, policy, outlook)
        case _ if job.price == 0:
            return _order_again(job, now, f"{_lost(job)}, and no list shows it", policy)
        case () if found.complete and not (found.witnessed or found.candidates):
            return _unwitnessed(job, found, now, policy)
        case () if found.complete:
            return _missed(job, found.candidates, now, policy)
        case () if not found.candidates:
            return _undecidable(job, "its list does not reach back to the time of the submit", now, policy)
        case _:
            return _held_as_lost(job, now, may_be(found.candidates))


def _unwitnessed(job: Job, found: o.Searched, now: int, policy: Policy) -> Job:
    """A complete list shows nothing like the submit, and nothing else of ours: it may be another account's, or late.

    An order that is accepted meanwhile can show what the list is worth, so the job waits for one for a while.
    """
    first, until, left = job.witness_until is None, job.witness_until, _still_late(job, now, policy)
    if until is None or until > now + int(1000 * policy.witness_seconds):
        until = now + int(1000 * policy.witness_seconds)
    why = "its list shows no video of ours, so it may be another account's, or late"
    if not first and (now >= until or not (found.expectant or left > 0)):
        return _undecidable(job, why, now, policy)
    reason = f"{_lost(job)}, and {why}; another order that the server accepts will tell"
    pause = max(_lag(policy), int(1000 * policy.witness_seconds * _WITNESS_SHARE))
    return replace(job, misses=0, attempts=0, reason=reason, witness_until=until, due_at=now + min(pause, until - now))


def _missed(job: Job, differing: tuple[o.Candidate, ...], now: int, policy: Policy) -> Job:
    """A complete list shows nothing like the submit. The second time that proves something, unless it may come yet.

    What only ``differing`` videos leave open is settled then, too: some may have turned out to be other jobs' own.
    """
    left = _still_late(job, now, policy)
    if job.misses + 1 < MISSES_THAT_PROVE or left > 0:
        return replace(job, misses=job.misses + 1, attempts=0, due_at=now + max(_lag(policy), left))
    if differing:
        return _held_as_lost(job, now, may_be(differing))
    if job.losses + 1 >= LOSSES_THAT_DISPROVE:
        why = f"its list shows none of the {job.losses + 1} orders whose answers were lost"
        return _undecidable(job, why, now, policy)
    if _spoke_of_moderation(job):
        return _unsent(reject(job, now, f"moderation refused it: {job.lost_reason}", CONTENT_HINT))
    return replace(_unsent(_enter(job, State.READY, now)), losses=job.losses + 1)


def _still_late(job: Job, now: int, policy: Policy) -> int:
    """Milliseconds for which the server may still take the submit, or its list not show it yet."""
    since = now - (job.submitted_at or 0)
    return max(0, int(1000 * policy.late_seconds) - since) if since >= 0 else 0


def _lost(job: Job) -> str:
    """Why nobody knows whether the order arrived."""
    return job.lost_reason or "the answer to the submit was lost"


def _spoke_of_moderation(job: Job) -> bool:
    """Whether the answer that counts as lost says that the same order would be refused again."""
    return MODERATION.search(job.lost_reason.casefold()) is not None


def _lag(policy: Policy) -> int:
    """Milliseconds that a list may lag behind what it lists."""
    return int(1000 * policy.waits.first)


def _undecidable(job: Job, why: str, now: int, policy: Policy) -> Job:
    if job.price == 0:
        return _order_again(job, now, f"{_lost(job)}, and {why}", policy)
    if policy.resubmit_lost and not _spoke_of_moderation(job) and job.losses + 1 < LOSSES_THAT_DISPROVE:
        return replace(_unsent(_enter(job, State.READY, now)), losses=job.losses + 1)
    return _held_as_lost(job, now, f"the server cannot say whether it arrived: {why}")


def _held_as_lost(job: Job, now: int, why: str) -> Job:
    reason = f"{_lost(job)}, and {why}.{stake(job)}"
    return _hold(job, now, reason, ways_on(job, f"If it does not: `sorawatch retry {job.id}` orders it again."))


_ENDED = {"expired": "expired", "cancelled": "been cancelled", "rejected": "been rejected"}
"""Ends that are no failures of the server's, which may have made the video, and charged it, all the same."""


def _generation_failed(job: Job, outcome: o.GenerationFailed, now: int, policy: Policy, jitter: float) -> Job:
    failure = outcome.failure
    code = f" ({failure.code})" if failure.code else ""
    if failure.moderated:
        reason = f"the server's moderation refused it: {failure.message}{code}"
        refused = reject(job, now, reason, CONTENT_HINT)
        costs = policy.billing.moderated and job.price != 0
        return replace(refused, charged=Charged.PERHAPS if costs else Charged.NO)
    if failure.code in _ENDED:
        hint = "Look for it on the server's own site. Moving the pair back into the inbox orders it again."
        return reject(job, now, f"the video has {_ENDED[failure.code]} on the server: {failure.message}", hint)
    failures = job.generations + 1
    reason = f"the server failed the generation: {failure.message}{code}"
    if (billed := policy.billing.failed and job.price != 0) or failures > policy.failed_generations:
        are = "are" if billed else "are not"
        hint = f"Failed generations {are} billed. Move the pair back into the inbox to try again."
        failed = replace(reject(job, now, reason, hint), generations=failures)
        return replace(failed, charged=Charged.PERHAPS if billed else Charged.NO)
    again = replace(_unsent(_enter(job, State.READY, now)), video_id=None, progress=None, generations=failures)
    return replace(again, reason=reason, due_at=now + backoff(policy.waits, failures, jitter))
