"""How long a render may take: when it counts as stalled, and when it is given up. Times are milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.core.job import Job
    from sorawatch.core.schedule import Waits

_UNWATCHED = 600_000
"""How late a poll may come before the delay counts as time in which nobody looked."""


def watched_since(job: Job, now: int) -> int:
    """When the wait for a render began that is polled ``now``.

    Time in which nobody looked, because sorawatch was stopped or the clock was set forward, tries no patience.
    """
    return job.changed_at + max(0, now - job.due_at - _UNWATCHED)


def stalled(waits: Waits) -> str:
    """Why a person should know; the same for every poll, so that it is told once."""
    return (
        f"stalled: the server has not finished it within {_told(waits.stall)}; "
        f"it is asked more and more rarely, and the job is held after {_told(waits.abandon)}"
    )


def abandoned(waits: Waits) -> str:
    """Why the job is held."""
    return f"the server has been rendering it for {_told(waits.abandon)} and comes to no end."


def _told(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds >= 7200 else f"{seconds / 60:g} minutes"


MAY_GROW = "On a share it may not all be there yet, so it is read again"


def may_grow_until(job: Job, now: int, grace_seconds: float) -> int | None:
    """Until when a picture that is not whole may become so; None where it had its time.

    The job was made when its picture had stopped changing; a further change makes another job.
    """
    age, grace = now - job.created_at, int(1000 * grace_seconds)
    return job.created_at + grace if 0 <= age < grace else None
