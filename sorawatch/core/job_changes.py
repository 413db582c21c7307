"""The changes that transitions are made of: enter a state, reject, hold, try again later, forget a submit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.error_text import tried
from sorawatch.core.job import Charged, Job, State
from sorawatch.core.waits import NO_HISTORY, PolledProgress, RenderHistory, backoff, next_poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.core.outcome import TemporaryFailure
    from sorawatch.core.retry_policy import Policy

MOST_REORDERS = 3
"""How often an order that costs nothing is sent again after its answer or its video was lost, before it is held."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a transition depends on beside the job and the outcome."""

    now: int
    """Milliseconds of the store's clock."""
    policy: Policy
    jitter: float = 0.5
    """A random number in [0, 1) that spreads retries."""
    history: RenderHistory = NO_HISTORY
    """What is known of the job's render."""

    @property
    def list_delay(self) -> int:
        """Milliseconds by which a server's list may lag behind its videos."""
        return int(1000 * self.policy.waits.first)


def enter(job: Job, state: State, now: int) -> Job:
    """The job in ``state``, with nothing left of the waits, failures and reasons of the state before."""
    return replace(
        job,
        state=state,
        changed_at=now,
        due_at=now,
        attempts=0,
        misses=0,
        unwatched_ms=0,
        retry_state=None,
        reason="",
        hint="",
        obstacle="",
    )


def reject(job: Job, now: int, reason: str, hint: str = "") -> Job:
    """Give a job up for good; its pair goes to the errors folder."""
    return replace(enter(job, State.REJECTED, now), reason=reason, hint=hint)


def hold(job: Job, now: int, reason: str, hint: str, retry_state: State) -> Job:
    """Leave a job to a person; ``retry_state`` is where ``sorawatch retry`` takes it."""
    return replace(enter(job, State.HELD, now), reason=reason, hint=hint, retry_state=retry_state)


def without_submit(job: Job) -> Job:
    """The job without any trace of its last submit, which is known not to count, or is counted elsewhere."""
    return replace(
        job,
        token=None,
        account=None,
        price=None,
        submitted_at=None,
        lost_at=None,
        lost_reason="",
        witness_until=None,
        charged=Charged.NO,
    )


def follow(job: Job, video_id: str, context: Context) -> Job:
    """The server has the order as ``video_id``: poll it from now on."""
    charged = Charged.PERHAPS if job.price != 0 else Charged.NO
    rendering = enter(job, State.RENDERING, context.now)
    wait = next_poll(context.policy.waits, PolledProgress(0, None), context.history)
    return replace(rendering, video_id=video_id, progress=None, charged=charged, losses=0, due_at=context.now + wait)


def retry_later(job: Job, reason: str, retry_after: float | None, context: Context) -> Job:
    """Try the same action again after a growing wait, at least ``retry_after`` seconds where the server names them."""
    failures = job.attempts + 1
    due_at = context.now + backoff(context.policy.waits, failures, context.jitter, retry_after)
    return replace(job, attempts=failures, reason=reason, due_at=due_at)


def retry_or(give_up: Callable[[Job, str, Context], Job], job: Job, outcome: TemporaryFailure, context: Context) -> Job:
    """Try again until this job itself has failed ``policy.attempts`` times, then ``give_up`` with the reason.

    For a job with a video such failures are counted as misses, because an outage adds any number to the attempts.
    """
    misses = job.misses + 1 if outcome.counts and job.video_id is not None else job.misses
    failures = misses if job.video_id is not None else job.attempts + 1
    if not outcome.counts or failures < context.policy.attempts:
        return retry_later(replace(job, misses=misses), outcome.reason, outcome.retry_after, context)
    return give_up(job, f"{outcome.reason} ({tried(failures)})", context)


def order_again(job: Job, reason: str, context: Context) -> Job:
    """Send an order again that costs nothing, unless that was done too often."""
    if job.reorders >= MOST_REORDERS:
        hint = f"See whether the server runs. `sorawatch retry {job.id}` orders it again."
        held = hold(job, context.now, f"{reason}. It was ordered {job.reorders + 1} times", hint, State.READY)
        return replace(held, video_id=None)
    again = replace(
        without_submit(enter(job, State.READY, context.now)),
        video_id=None,
        progress=None,
        reorders=job.reorders + 1,
        reason=f"{reason}. It costs nothing, so it is ordered again",
    )
    return replace(again, due_at=context.now + context.list_delay)
