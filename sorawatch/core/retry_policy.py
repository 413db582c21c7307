"""How often and how long failures are tolerated. Times are milliseconds unless a name says seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sorawatch.core.job import Billing

if TYPE_CHECKING:
    from sorawatch.core.job import Job
    from sorawatch.core.waits import Waits


LATE_TIMEOUTS = 1.5
"""Times the time-out of a request: for so long after a submit a server may still take it."""
WITNESS_TIMEOUTS = 6.0
"""Times the time-out of a request: for so long a job whose answer was lost waits for a witness."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration says about retries, waits and billing."""

    waits: Waits
    attempts: int = 8
    """Failures in a row after which an action is given up."""
    failed_generations: int = 1
    """How often a clip that the server failed to make is ordered again."""
    resubmit_lost: bool = False
    """Submit again when an answer was lost and the server cannot say whether the order arrived."""
    damaged_grace_seconds: float = 120.0
    """How long a picture on a share may look damaged before it counts as damaged."""
    late_seconds: float = 60.0
    """How long after a submit a server may still take it: until then, a list without it proves nothing."""
    witness_seconds: float = 360.0
    """How long a job whose answer was lost waits for another order to show that the list can be believed."""
    billing: Billing = field(default_factory=Billing)


_LATE_POLL = 600_000
"""How late a poll may come before the delay counts as time in which nobody polled."""


def unwatched(job: Job, now: int) -> int:
    """Milliseconds before this poll in which nobody polled, because sorawatch was stopped or the clock was set forward.

    They do not count as time that the server took.
    """
    return max(0, now - job.due_at - _LATE_POLL)


def stalled(waits: Waits) -> str:
    """The reason of a stalled job; the same for every poll, so that it is logged once."""
    return (
        f"stalled: the server has not finished it within {_duration(waits.stall)}; "
        f"it is asked more and more rarely, and the job is held after {_duration(waits.abandon)}"
    )


def unreadable(waits: Waits, last: str) -> str:
    """Why a job is held whose polls could not be read; ``last`` is the result of the last one."""
    return f"the server has told nothing of the video for {_duration(waits.abandon)} that can be understood: {last}."


def abandoned(waits: Waits) -> str:
    """Why a job is held whose render does not end."""
    return f"the server has been rendering it for {_duration(waits.abandon)} and has not finished it."


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds >= 7200 else f"{seconds / 60:g} minutes"


MAY_GROW = "On a share it may not all be there yet, so it is read again"


def may_grow_until(job: Job, now: int, grace_seconds: float) -> int | None:
    """Until when an incomplete picture may still be completed; None where that time is over.

    The job was made when its picture had stopped changing; a further change makes another job.
    """
    age, grace = now - job.created_at, int(1000 * grace_seconds)
    return job.created_at + grace if 0 <= age < grace else None
