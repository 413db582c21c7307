"""When to look again: the exact waits at the edges between one rule and the next."""

from __future__ import annotations

import pytest

from sorawatch.core.waits import PolledProgress, RenderHistory, Waits, backoff, next_poll, stalled_poll

WAITS = Waits(poll_min=1, poll_max=100, longest=900, stall=3600)
FIVE = (100_000, 110_000, 120_000, 130_000, 140_000)
"""Their quickest twentieth ends at 102 s; 7 % of their mean is 8.4 s."""


def test_the_waits_without_a_configuration() -> None:
    assert Waits() == Waits(first=5, longest=900, poll_min=5, poll_max=30, stall=3_600, abandon=86_400)


def test_a_wait_doubles_thirty_times_at_most() -> None:
    waits = Waits(first=1e-6, longest=10**6)
    assert backoff(waits, 31, jitter=0.5) == backoff(waits, 32, jitter=0.5) == 1_073_741


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (0, 100_000),
        (3_600_000, 100_000),
        (4_600_000, 200_000),
        (11_599_000, 899_900),
        (11_600_000, 900_000),
        (99_999_000, 900_000),
    ],
)
def test_a_stalled_render_is_asked_after_ever_more_rarely(waited: int, expected: int) -> None:
    assert stalled_poll(WAITS, waited) == expected


def test_a_stalled_render_is_never_asked_after_more_often_than_another() -> None:
    assert stalled_poll(Waits(poll_max=100, longest=50), 10**9) == 100_000


def test_the_horizon_is_a_second_beyond_the_longest_wait() -> None:
    assert Waits(longest=10_000).horizon == 15_001_000
    assert Waits(longest=900, poll_max=30_000).horizon == 30_001_000
    assert Waits(longest=900, poll_max=30).horizon == 3_601_000


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, 100_000),
        (50_000, 52_000),
        (93_599, 8_401),
        (95_000, 8_400),
        (102_000, 15_500),
        (110_000, 15_000),
        (120_000, 12_500),
        (129_999, 8_400),
        (139_999, 8_400),
        (140_000, 50_000),
        (280_000, 50_000),
        (280_001, 33_600),
        (500_000, 60_000),
    ],
)
def test_the_waits_that_five_renders_suggest(age: int, expected: int) -> None:
    assert next_poll(WAITS, PolledProgress(age, None), RenderHistory(FIVE)) == expected


def test_the_wait_that_ten_renders_suggest() -> None:
    ten = tuple(range(100_000, 200_000, 10_000))
    assert next_poll(WAITS, PolledProgress(105_000, None), RenderHistory(ten)) == 25_000


@pytest.mark.parametrize(("age", "expected"), [(100_000, 12_000), (416_000, 49_920), (416_667, 50_000)])
def test_four_renders_suggest_nothing(age: int, expected: int) -> None:
    assert next_poll(WAITS, PolledProgress(age, None), RenderHistory(FIVE[:4])) == expected


def test_the_least_wait_is_bounded_by_a_share_of_the_longest() -> None:
    long = tuple(1_000_000 + 10_000 * number for number in range(5))
    assert next_poll(WAITS, PolledProgress(1_040_000 - 1, None), RenderHistory(long)) == 27_000


@pytest.mark.parametrize(
    ("before", "look", "expected"),
    [
        (None, PolledProgress(0, 50), 100_000),
        (None, PolledProgress(1, 50), 8_400),
        (None, PolledProgress(100, 1), 9_900),
        (PolledProgress(50, None), PolledProgress(100, 1), 9_900),
        (None, PolledProgress(50_000, 1), 52_000),
        (None, PolledProgress(50_000, 60), 33_333),
        (None, PolledProgress(50_000, 99), 8_400),
        (PolledProgress(40_000, None), PolledProgress(50_000, 60), 33_333),
        (PolledProgress(40_000, 60), PolledProgress(50_000, 60), 52_000),
        (PolledProgress(40_000, 10), PolledProgress(50_000, 60), 33_333),
        (PolledProgress(0, 10), PolledProgress(50_000, 60), 33_333),
        (PolledProgress(0, 10), PolledProgress(50_000, 40), 52_000),
        (PolledProgress(95_000, 60), PolledProgress(100_000, 60), 8_400),
        (PolledProgress(20_000, 20), PolledProgress(50_000, 50), 50_000),
    ],
    ids=str,
)
def test_progress_shortens_the_wait_or_tells_the_end(
    before: PolledProgress | None, look: PolledProgress, expected: int
) -> None:
    assert next_poll(WAITS, look, RenderHistory(FIVE, before)) == expected


@pytest.mark.parametrize(
    ("age", "even"),
    [(54_400, True), (54_600, False), (45_600, True), (45_400, False)],
)
def test_two_looks_foretell_the_same_end_within_what_whole_per_cents_tell(age: int, even: bool) -> None:
    """From 20 % to 50 %: the ends may differ by a twentieth, a fiftieth and two per cent, hence by 9 %."""
    waits = Waits(poll_min=0.001, poll_max=10**6)
    wait = next_poll(waits, PolledProgress(age, 50), RenderHistory((), PolledProgress(20_000, 20)))
    assert (wait == age) is even
