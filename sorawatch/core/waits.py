"""When to try again and when to poll again. Every wait is in milliseconds unless a name says seconds."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.http_times import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Sequence

_AGE_SHARE = 0.12
"""Where nothing is known, the end of a render is noticed late by this share of its duration."""
_STALLED_SHARE = 0.1

# What follows was chosen with tests/bench/polling.py, which simulates a wide range of renders.
_FEW = 5
"""With fewer past renders than this, the past is not used."""
_QUICKEST = 0.05
_EACH_POLL = 0.25
_LONG_SHARE, _SHORT_SHARE = 0.5, 0.27
"""Shares of ``poll_max``: bounds of the wait while the render may end at any moment."""
_TYPICAL_SHARE = 0.07


@dataclass(frozen=True, slots=True)
class Waits:
    """The configured bounds, in seconds."""

    first: float = 5.0
    longest: float = 900.0
    poll_min: float = 5.0
    poll_max: float = 30.0
    stall: float = 3600.0
    """After so long a render is stalled: it is polled less and less often."""
    abandon: float = 86_400.0
    """After so long the job is held for a person."""

    @property
    def horizon(self) -> int:
        """Milliseconds: no wait is longer; a due time further off means that the clock was set back."""
        return int(1000 * max(1.5 * self.longest, self.poll_max, LONGEST_WAIT)) + 1000


def backoff(waits: Waits, failures: int, jitter: float, retry_after: float | None = None) -> int:
    """The wait after ``failures`` failures in a row: doubling, capped, spread by ``jitter`` in [0, 1).

    The server's own ``retry_after`` (seconds) is the least wait, and after a first failure the whole wait.
    """
    doublings = min(failures - 1, 30)
    wait = min(waits.longest, waits.first * 2**doublings) * (0.75 + 0.5 * jitter)
    if retry_after is not None:
        wait = max(min(retry_after, LONGEST_WAIT), wait if failures > 1 else 0.0)
    return int(1000 * wait)


@dataclass(frozen=True, slots=True)
class PolledProgress:
    """What a poll showed: the render's age in milliseconds, and its progress in per cent if reported."""

    age: int
    progress: int | None


@dataclass(frozen=True, slots=True)
class RenderHistory:
    """What is known of a render beside the present poll: how long similar ones took, and what the last poll showed."""

    durations: tuple[int, ...] = ()
    """Milliseconds that renders of the same model, size and length took, in ascending order."""
    last: PolledProgress | None = None


NO_HISTORY = RenderHistory()


def next_poll(waits: Waits, polled: PolledProgress, history: RenderHistory = NO_HISTORY) -> int:
    """The wait before the next poll of a render, within the configured bounds.

    Progress that rises evenly says when the render will end, and the next poll is then. Progress that is reported for
    the first time, or rises unevenly, only shortens the wait that past renders suggest. Progress that stands still is
    ignored.
    """
    wait = _by_durations(waits, polled.age, history.durations)
    last = history.last
    if polled.progress is not None and 0 < polled.progress < 100 and polled.age > 0:
        left = polled.age * (100 - polled.progress) / polled.progress
        if _rises_evenly(last, polled):
            wait = left
        elif last is None or polled.progress > (last.progress or 0):
            wait = min(wait, max(left, _pace(waits, history.durations)))
    return int(min(max(wait, 1000 * waits.poll_min), 1000 * waits.poll_max))


def _by_durations(waits: Waits, age: int, durations: Sequence[int]) -> float:
    """First until the quickest past renders ended, then with each poll past a quarter of those that took longer."""
    longest = 1000 * waits.poll_max * _LONG_SHARE
    if len(durations) < _FEW:
        return min(age * _AGE_SHARE, longest)
    if age > 2 * durations[-1]:
        return age * _AGE_SHARE
    pace = _pace(waits, durations)
    quickest = _quantile(durations, _QUICKEST)
    if age < quickest:
        return max(quickest - age, pace)
    left = durations[bisect_right(durations, age) :]
    return min(max(_quantile(left, _EACH_POLL) - age, pace), longest) if left else longest


def _pace(waits: Waits, durations: Sequence[int]) -> float:
    """The least wait that makes sense where only past renders are known."""
    typical = sum(durations) / len(durations) if durations else 0.0
    return min(1000 * waits.poll_max * _SHORT_SHARE, typical * _TYPICAL_SHARE)


def _rises_evenly(last: PolledProgress | None, polled: PolledProgress) -> bool:
    """Whether both polls predict the same end, as precisely as whole per cents allow."""
    if last is None or not last.progress or not polled.progress or polled.progress <= last.progress:
        return False
    ends = polled.age / polled.progress, last.age / last.progress
    return abs(ends[0] / ends[1] - 1) <= 1 / polled.progress + 1 / last.progress + 0.02 if ends[1] else False


def _quantile(ordered: Sequence[int], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def stalled_poll(waits: Waits, waited: int) -> int:
    """The wait before the next poll of a render that has stalled, after ``waited`` milliseconds in all."""
    wait = waits.poll_max + _STALLED_SHARE * max(0.0, waited / 1000 - waits.stall)
    return int(1000 * max(waits.poll_max, min(wait, waits.longest)))


def is_due(due_at: int, now: int, horizon: int) -> bool:
    """Whether a stored due time has come, or is invalid because the clock was set back since."""
    return due_at <= now or due_at > now + horizon
