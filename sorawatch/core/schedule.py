"""When to try again and when to look again. Every wait is in milliseconds unless a name says seconds."""

from __future__ import annotations

from dataclasses import dataclass

RETRY_AFTER_CAP = 3600.0
"""Seconds; a server that asks for more is asked again after this."""

_FIRST_LOOK_SHARE = 0.12
_REMAINING_SHARE = 0.5
_STALLED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Waits:
    """The configured bounds, in seconds."""

    first: float = 5.0
    longest: float = 900.0
    poll_min: float = 5.0
    poll_max: float = 30.0
    stall: float = 3600.0
    """After so long a render is stalled: it is asked after ever more rarely."""
    abandon: float = 86_400.0
    """After so long a render is given up, and left to a person."""

    @property
    def horizon(self) -> int:
        """No wait reaches further than this; a due time beyond it means that the clock was set back."""
        return int(1000 * max(1.5 * self.longest, self.poll_max, RETRY_AFTER_CAP)) + 1000


def backoff(waits: Waits, failures: int, jitter: float, retry_after: float | None = None) -> int:
    """The wait after ``failures`` failures in a row: doubling, capped, spread by ``jitter`` in [0, 1).

    A server's own ``retry_after`` (seconds) is the least we wait, and after a first failure all of it.
    """
    doublings = min(failures - 1, 30)
    wait = min(waits.longest, waits.first * 2**doublings) * (0.75 + 0.5 * jitter)
    if retry_after is not None:
        wait = max(min(retry_after, RETRY_AFTER_CAP), wait if failures > 1 else 0.0)
    return int(1000 * wait)


def next_poll(waits: Waits, age: int, progress: int | None) -> int:
    """The wait before the next look at a render that is ``age`` milliseconds old.

    Honest progress halves the distance to the expected end; without it the waits grow with the age, so that a
    render of any length is noticed late by a small share of its length.
    """
    wait = age * _FIRST_LOOK_SHARE
    if progress is not None and 0 < progress < 100:
        wait = min(wait * 2, age * (100 - progress) / progress * _REMAINING_SHARE)
    return int(min(max(wait, 1000 * waits.poll_min), 1000 * waits.poll_max))


def stalled_poll(waits: Waits, waited: int) -> int:
    """The wait before the next look at a render that has stalled, after ``waited`` milliseconds in all."""
    wait = waits.poll_max + _STALLED_SHARE * max(0.0, waited / 1000 - waits.stall)
    return int(1000 * max(waits.poll_max, min(wait, waits.longest)))


def is_due(due_at: int, now: int, horizon: int) -> bool:
    """Whether a stored due time has come, or cannot be meant because the clock has been set back since."""
    return due_at <= now or due_at > now + horizon
