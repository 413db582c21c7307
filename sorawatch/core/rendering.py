"""POLL and DELIVER: what becomes of a job whose video the server makes, or has made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core.error_text import stake, ways_on
from sorawatch.core.job import Charged, Job, State
from sorawatch.core.job_changes import Context, enter, hold, order_again, reject, retry_or, without_submit
from sorawatch.core.refusals import CONTENT_HINT
from sorawatch.core.retry_policy import abandoned, stalled, unreadable, unwatched
from sorawatch.core.waits import PolledProgress, backoff, next_poll, stalled_poll

if TYPE_CHECKING:
    from sorawatch.core import outcome as o

_ENDED = {"expired": "expired", "cancelled": "been cancelled", "rejected": "been rejected"}
"""Ends that are no failure to generate: the server may have made the video, and charged it, all the same."""


def pending(job: Job, outcome: o.Pending, context: Context) -> Job:
    """The server still works on it: poll again later, less often once it takes too long, and hold it in the end."""
    now, waits = context.now, context.policy.waits
    age_before = job.render_age(now)
    polled = replace(
        job,
        attempts=0,
        misses=0,
        reason="",
        progress=outcome.progress,
        unwatched_ms=job.unwatched_ms + unwatched(job, now),
    )
    age = polled.render_age(now)
    if age >= 1000 * waits.abandon:
        return _held(polled, abandoned(waits) + stake(job), context)
    if age >= 1000 * waits.stall:
        return replace(polled, reason=stalled(waits), due_at=now + stalled_poll(waits, age))
    wait = next_poll(waits, PolledProgress(age_before, outcome.progress), context.history)
    return replace(polled, due_at=now + wait)


def rendered(job: Job, _: o.Rendered, context: Context) -> Job:
    """The clip can be downloaded."""
    charged = Charged.YES if job.price != 0 else Charged.NO
    return replace(enter(job, State.RENDERED, context.now), progress=100, charged=charged)


def generation_failed(job: Job, outcome: o.GenerationFailed, context: Context) -> Job:
    """The server gave the order up."""
    now, policy, failure = context.now, context.policy, outcome.failure
    code = f" ({failure.code})" if failure.code else ""
    if failure.moderated:
        reason = f"the server's moderation refused it: {failure.message}{code}"
        may_cost = policy.billing.moderated and job.price != 0
        refused = reject(job, now, reason, CONTENT_HINT)
        return replace(refused, charged=Charged.PERHAPS if may_cost else Charged.NO)
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
    again = replace(
        without_submit(enter(job, State.READY, now)),
        video_id=None,
        progress=None,
        generations=failures,
        reason=reason,
    )
    return replace(again, due_at=now + backoff(policy.waits, failures, context.jitter))


def poll_failed(job: Job, outcome: o.TemporaryFailure, context: Context) -> Job:
    """The poll said nothing: ask again, but not for ever where the server answers and cannot be understood."""
    now, waits = context.now, context.policy.waits
    polled = replace(job, unwatched_ms=job.unwatched_ms + unwatched(job, now))
    if outcome.answered and not outcome.counts and polled.render_age(now) >= 1000 * waits.abandon:
        return _held(job, unreadable(waits, outcome.reason) + stake(job), context)
    if outcome.other_key and job.price != 0:
        return retry_or(_hold_for_key, polled, outcome, context)
    return retry_or(_give_up_video if job.lost_at is None else _give_up_doubtful_video, polled, outcome, context)


def name_chosen(job: Job, outcome: o.NameChosen, context: Context) -> Job:
    """The clip is downloaded, and appears in the outbox once its name is saved."""
    return replace(job, publishing=outcome.path, publishing_digest=outcome.digest, due_at=context.now)


def delivered(job: Job, outcome: o.Delivered, context: Context) -> Job:
    """The clip is in the outbox."""
    note = "; ".join(filter(None, (job.note, outcome.note)))
    entered = enter(job, State.DELIVERED, context.now)
    return replace(entered, clip=outcome.clip, note=note, publishing=None, publishing_digest="")


def download_failed(job: Job, outcome: o.TemporaryFailure, context: Context) -> Job:
    """The clip could not be downloaded now."""
    return retry_or(_hold_for_key if outcome.other_key else _give_up_clip, job, outcome, context)


def _held(job: Job, reason: str, context: Context) -> Job:
    hint = f"`sorawatch retry {job.id}` goes on asking after it. `sorawatch cancel {job.id}` gives it up."
    return hold(job, context.now, reason, hint, State.RENDERING)


def _give_up_video(job: Job, reason: str, context: Context) -> Job:
    if job.price == 0:
        return order_again(job, f"{reason}; the server was probably restarted", context)
    hint = "Look for it on the server's own site. Moving the pair back into the inbox orders it again, at its price."
    return reject(job, context.now, reason, hint)


def _give_up_doubtful_video(job: Job, reason: str, context: Context) -> Job:
    """A person named the video, or a list was searched for it, so the video that was bought may be another."""
    if job.price == 0:
        return order_again(job, f"{reason}; the server was probably restarted", context)
    again = f"`sorawatch retry {job.id}` goes on asking after {job.video_id}."
    return hold(job, context.now, f"{reason}.{stake(job)}", ways_on(job, again), State.RENDERING)


def _hold_for_key(job: Job, reason: str, context: Context) -> Job:
    hint = (
        f"Put that key back, or start a machine that has it; then `sorawatch retry {job.id}` goes on. "
        f"`sorawatch cancel {job.id}` gives it up."
    )
    why = f"{reason}. The order was sent with another API key, so its video may belong to another account"
    return hold(job, context.now, f"{why}.{stake(job)}", hint, State.RENDERING)


def _give_up_clip(job: Job, reason: str, context: Context) -> Job:
    return hold(job, context.now, reason, f"`sorawatch retry {job.id}` tries again.", State.RENDERING)
