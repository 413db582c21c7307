"""How many videos the server makes for us at once, if it makes fewer than the configuration allows.

Additive increase, multiplicative decrease, as in TCP (RFC 5681): when the server reports too many running tasks, the
number of places is halved; each video that it finishes adds one again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """How many jobs the server takes at once.

    ``places`` is at least 1. ``cut_at`` is when it was last halved, in milliseconds of the store's clock.
    """

    places: int
    cut_at: int


def effective(limit: ConcurrencyLimit | None, configured: int) -> int:
    """The number of places that applies now."""
    return configured if limit is None else max(1, min(limit.places, configured))


def after_refusal(
    before: ConcurrencyLimit | None, configured: int, *, in_flight: int, submitted_at: int, now: int
) -> ConcurrencyLimit | None:
    """The limit after the server refused a submit because of too many running tasks.

    The number of running jobs is halved, or the limit if that is lower. A submit that was sent before the last cut
    and refused after it changes nothing.

    Args:
        in_flight: the orders that run or may run, without the refused one.
        submitted_at: when the refused submit was sent.
    """
    if before is not None and submitted_at <= before.cut_at <= now:
        return before
    return ConcurrencyLimit(max(1, min(effective(before, configured), max(in_flight, 1)) // 2), now)


def after_success(before: ConcurrencyLimit | None, configured: int) -> ConcurrencyLimit | None:
    """The limit after the server finished a video: one place more; None once the configured number is reached."""
    if before is None or before.places + 1 >= configured:
        return None
    return ConcurrencyLimit(before.places + 1, before.cut_at)
