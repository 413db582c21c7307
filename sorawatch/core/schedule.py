"""When to try again and when to look again. Every wait is in milliseconds unless a name says seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sorawatch.core.http_times import LONGEST_WAIT

_AGE_SHARE = 0.12
"""Where nothing is known, a render of any length is noticed late by this share of its length."""
_STALLED_SHARE = 0.1

# What follows was chosen with tests/bench/polling.py, which simulates a wide range of renders.
_FEW = 5
"""Fewer past renders than this tell nothing."""
_QUICKEST = 0.05
_EACH_LOOK = 0.25
_OFTEN, _SELDOM = 0.5, 0.27
"""Shares of ``poll_max``: between the two lie the waits while any moment may be the last."""
_TYPICAL_SHARE = 0.07


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
        return int(1000 * max(1.5 * self.longest, self.poll_max, LONGEST_WAIT)) + 1000


def backoff(waits: Waits, failures: int, jitter: float, retry_after: float | None = None) -> int:
    """The wait after ``failures`` failures in a row: doubling, capped, spread by ``jitter`` in [0, 1).

    A server's own ``retry_after`` (seconds) is the least we wait, and after a first failure all of it.
    """
    doublings = min(failures - 1, 30)
    wait = min(waits.longest, waits.first * 2**doublings) * (0.75 + 0.5 * jitter)
    if retry_after is not None:
        wait = max(min(retry_after, LONGEST_WAIT), wait if failures > 1 else 0.0)
    return int(1000 * wait)


@dataclass(frozen=True, slots=True)
class PolledProgress:
    """What a poll saw: a render ``age`` milliseconds old, and the progress in per cent that the server told."""

    age: int
    progress: int | None


@dataclass(frozen=True, slots=True)
class RenderHistory:
    """What is known of a render beside the present look: how long its like took, and the look before."""

    past: tuple[int, ...] = ()
    """Milliseconds that renders of the same model, size and length took, in ascending order."""
    before: PolledProgress | None = None


NO_HISTORY = RenderHistory()


def next_poll(waits: Waits, look: PolledProgress, outlook: RenderHistory = NO_HISTORY) -> int:
    """The wait before the next look at a render, within the configured bounds.

    Progress that rises evenly says when the render will end, and the next look is then. Progress that is told for the
    first time, or unevenly, only shortens the wait that the past suggests; where it stands still it says nothing.
    """
    wait = _by_past(waits, look.age, outlook.past)
    before = outlook.before
    if look.progress is not None and 0 < look.progress < 100 and look.age > 0:
        left = look.age * (100 - look.progress) / look.progress
        if _rises_evenly(before, look):
            wait = left
        elif before is None or look.progress > (before.progress or 0):
            wait = min(wait, max(left, _pace(waits, outlook.past)))
    return int(min(max(wait, 1000 * waits.poll_min), 1000 * waits.poll_max))


def _by_past(waits: Waits, age: int, past: Sequence[int]) -> float:
    """First to where the quickest of the past ended, then from look to look past a quarter of those that are left."""
    often = 1000 * waits.poll_max * _OFTEN
    if len(past) < _FEW:
        return min(age * _AGE_SHARE, often)
    if age > 2 * past[-1]:
        return age * _AGE_SHARE
    pace = _pace(waits, past)
    quickest = _quantile(past, _QUICKEST)
    if age < quickest:
        return max(quickest - age, pace)
    left = past[bisect_right(past, age) :]
    return min(max(_quantile(left, _EACH_LOOK) - age, pace), often) if left else often


def _pace(waits: Waits, past: Sequence[int]) -> float:
    """The least wait that pays where nothing but the past is known."""
    typical = sum(past) / len(past) if past else 0.0
    return min(1000 * waits.poll_max * _SELDOM, typical * _TYPICAL_SHARE)


def _rises_evenly(before: PolledProgress | None, look: PolledProgress) -> bool:
    """Whether both looks foretell the same end, as far as whole per cents can tell."""
    if before is None or not before.progress or not look.progress or look.progress <= before.progress:
        return False
    ends = look.age / look.progress, before.age / before.progress
    return abs(ends[0] / ends[1] - 1) <= 1 / look.progress + 1 / before.progress + 0.02 if ends[1] else False


def _quantile(ordered: Sequence[int], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def stalled_poll(waits: Waits, waited: int) -> int:
    """The wait before the next look at a render that has stalled, after ``waited`` milliseconds in all."""
    wait = waits.poll_max + _STALLED_SHARE * max(0.0, waited / 1000 - waits.stall)
    return int(1000 * max(waits.poll_max, min(wait, waits.longest)))


def is_due(due_at: int, now: int, horizon: int) -> bool:
    """Whether a stored due time has come, or cannot be meant because the clock has been set back since."""
    return due_at <= now or due_at > now + horizon
