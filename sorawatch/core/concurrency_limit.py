"""How many videos the server is thought to make for us at once, where that is fewer than the configuration allows.

Additive increase, multiplicative decrease, as TCP finds its way (RFC 5681): a server that complains of too many
running tasks halves the places, each video that it finishes gives one back.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """``places`` at once, at least 1. ``cut_at`` is when they were last halved, milliseconds of the store's clock."""

    places: int
    cut_at: int


def effective(allowance: ConcurrencyLimit | None, configured: int) -> int:
    """The places that count now."""
    return configured if allowance is None else max(1, min(allowance.places, configured))


def after_refusal(
    before: ConcurrencyLimit | None, configured: int, *, in_flight: int, submitted_at: int, now: int
) -> ConcurrencyLimit | None:
    """The allowance after the server refused a submit for too many running tasks.

    What is halved is what was running, where that was less than was allowed. Submits that were sent before the
    last cut, and refused after it, tell nothing new.

    Args:
        in_flight: the orders that run or may run, the refused one left out.
        submitted_at: when the refused submit was sent.
    """
    if before is not None and submitted_at <= before.cut_at <= now:
        return before
    return ConcurrencyLimit(max(1, min(effective(before, configured), max(in_flight, 1)) // 2), now)


def after_success(before: ConcurrencyLimit | None, configured: int) -> ConcurrencyLimit | None:
    """The allowance after the server finished a video: one place more, until the configured ones are reached."""
    if before is None or before.places + 1 >= configured:
        return None
    return ConcurrencyLimit(before.places + 1, before.cut_at)
