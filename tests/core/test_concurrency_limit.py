"""How many videos a server makes for us at once, found out by its complaints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.concurrency_limit import ConcurrencyLimit, after_refusal, after_success, effective

NOW = 1_760_000_000_000


def complain(
    before: ConcurrencyLimit | None, configured: int, in_flight: int, sent: int = NOW, now: int = NOW + 50
) -> ConcurrencyLimit | None:
    return after_refusal(before, configured, in_flight=in_flight, submitted_at=sent, now=now)


def test_the_configuration_counts_until_the_server_complains() -> None:
    assert effective(None, 8) == 8


def test_a_complaint_halves_what_was_running() -> None:
    assert complain(None, 100, in_flight=8) == ConcurrencyLimit(4, NOW + 50)
    assert complain(ConcurrencyLimit(4, NOW - 1), 100, in_flight=9) == ConcurrencyLimit(2, NOW + 50)


@pytest.mark.parametrize("in_flight", [0, 1])
def test_one_place_is_always_left(in_flight: int) -> None:
    assert complain(None, 8, in_flight) == ConcurrencyLimit(1, NOW + 50)


def test_one_complaint_counts_for_all_that_were_sent_before_it() -> None:
    first = complain(None, 8, in_flight=8)
    assert first is not None
    assert complain(first, 8, in_flight=7, sent=NOW + 20, now=NOW + 60) == first
    assert complain(first, 8, in_flight=4, sent=NOW + 51, now=NOW + 60) == ConcurrencyLimit(2, NOW + 60)


def test_a_clock_set_back_silences_no_complaint() -> None:
    assert complain(ConcurrencyLimit(4, NOW + 10**9), 8, in_flight=4) == ConcurrencyLimit(2, NOW + 50)


def test_each_video_that_is_finished_gives_a_place_back() -> None:
    allowance: ConcurrencyLimit | None = ConcurrencyLimit(1, NOW)
    seen = []
    while allowance is not None:
        allowance = after_success(allowance, 5)
        seen.append(effective(allowance, 5))
    assert seen == [2, 3, 4, 5]
    assert after_success(None, 5) is None


@given(st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.integers(0, 3)), max_size=80))
def test_it_stays_within_bounds_halves_and_grows_by_one(
    configured: int, happenings: list[tuple[bool, int, int]]
) -> None:
    allowance, now = None, NOW
    for complained, in_flight, late in happenings:
        before = effective(allowance, configured)
        now += 1
        if complained:
            allowance = after_refusal(allowance, configured, in_flight=in_flight, submitted_at=now - late, now=now)
            assert effective(allowance, configured) in {before, *range(1, max(1, before // 2) + 1)}
        else:
            allowance = after_success(allowance, configured)
            assert effective(allowance, configured) == min(before + 1, configured)
        assert 1 <= effective(allowance, configured) <= configured


@given(st.integers(1, 12), st.integers(1, 30))
def test_it_finds_what_a_server_takes_and_uses_at_least_half_of_it(takes: int, configured: int) -> None:
    """A server with ``takes`` places that always has more orders than those, and finishes one of them a round."""
    allowance, running, used = None, 0, []
    for now in range(NOW, NOW + 400):
        while running < effective(allowance, configured):
            if running == takes:
                allowance = after_refusal(allowance, configured, in_flight=running, submitted_at=now, now=now)
                break
            running += 1
        running -= 1
        allowance = after_success(allowance, configured)
        used.append(running + 1)
    best = min(takes, configured)
    assert max(used) <= takes
    assert sum(used[100:]) / len(used[100:]) >= best / 2
