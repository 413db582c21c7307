"""How many videos a server makes for us at once: complaints at the very moment of a cut, and with nothing running."""

from __future__ import annotations

from sorawatch.core.concurrency_limit import ConcurrencyLimit, after_refusal

CUT = 1_760_000_000_000
BEFORE = ConcurrencyLimit(8, CUT)


def complain(*, submitted_at: int, now: int, in_flight: int = 8) -> ConcurrencyLimit | None:
    return after_refusal(BEFORE, 8, in_flight=in_flight, submitted_at=submitted_at, now=now)


def test_what_was_sent_in_the_moment_of_the_cut_tells_nothing_new() -> None:
    assert complain(submitted_at=CUT, now=CUT + 5) == BEFORE


def test_a_refusal_in_the_moment_of_the_cut_tells_nothing_new() -> None:
    assert complain(submitted_at=CUT - 5, now=CUT) == BEFORE


def test_three_running_leave_one_place() -> None:
    assert complain(submitted_at=CUT + 1, now=CUT + 5, in_flight=3) == ConcurrencyLimit(1, CUT + 5)
