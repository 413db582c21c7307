"""When to try again and when to look again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorawatch.core.http_times import LONGEST_WAIT
from sorawatch.core.waits import PolledProgress, RenderHistory, Waits, backoff, is_due, next_poll
from tests.bench import polling

WAITS = Waits(first=5, longest=900, poll_min=5, poll_max=30)
JITTER = st.floats(0, 1, exclude_max=True)


def any_waits() -> st.SearchStrategy[Waits]:
    seconds = st.floats(0.01, 1e5)
    return st.builds(
        lambda first, longest, low, high: Waits(first, longest, min(low, high), max(low, high)),
        seconds,
        seconds,
        seconds,
        seconds,
    )


class TestBackoff:
    def test_doubles_up_to_the_longest(self) -> None:
        waits = [backoff(WAITS, failures, jitter=0.5) for failures in range(1, 12)]
        assert waits[:8] == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000]
        assert waits[8:] == [900_000] * 3

    def test_is_spread_by_a_quarter_either_way(self) -> None:
        assert backoff(WAITS, 2, jitter=0.0) == 7_500
        assert 12_490 < backoff(WAITS, 2, jitter=0.999) < 12_500

    def test_survives_any_number_of_failures(self) -> None:
        assert backoff(WAITS, 10**9, jitter=0.5) == 900_000

    @pytest.mark.parametrize(
        ("failures", "retry_after", "expected"),
        [
            (1, 0.0, 0),
            (1, 2.5, 2_500),
            (1, 120.0, 120_000),
            (2, 0.0, 10_000),
            (2, 9.0, 10_000),
            (2, 120.0, 120_000),
            (1, LONGEST_WAIT + 1, 3_600_000),
            (1, float("inf"), 3_600_000),
        ],
    )
    def test_obeys_the_server_and_after_the_first_failure_its_own_growth_too(
        self, failures: int, retry_after: float, expected: int
    ) -> None:
        assert backoff(WAITS, failures, 0.5, retry_after) == expected

    @given(any_waits(), st.integers(1, 10**6), JITTER, st.none() | st.floats(0, allow_nan=False))
    @settings(deadline=None)
    def test_never_reaches_beyond_the_horizon(
        self, waits: Waits, failures: int, jitter: float, retry_after: float | None
    ) -> None:
        assert 0 <= backoff(waits, failures, jitter, retry_after) <= waits.horizon

    @given(any_waits(), st.integers(1, 40), JITTER)
    @settings(deadline=None)
    def test_never_shrinks_as_failures_add_up(self, waits: Waits, failures: int, jitter: float) -> None:
        assert backoff(waits, failures, jitter) <= backoff(waits, failures + 1, jitter)


REFUSALS_TO_OPEN = tuple(range(90_000, 110_000, 1_000))
"""A past in which every render took about 100 seconds."""


class TestNextPoll:
    @pytest.mark.parametrize(
        ("age", "progress", "expected"),
        [
            (0, None, 5_000),
            (41_666, None, 5_000),
            (100_000, None, 12_000),
            (250_000, None, 15_000),
            (10**9, None, 15_000),
            (100_000, 0, 12_000),
            (100_000, 100, 12_000),
            (100_000, 50, 12_000),
            (100_000, 95, 5_263),
            (-(10**12), None, 5_000),
            (-(10**12), 50, 5_000),
        ],
    )
    def test_follows_the_age_where_nothing_is_known(self, age: int, progress: int | None, expected: int) -> None:
        assert next_poll(WAITS, PolledProgress(age, progress)) == expected

    @pytest.mark.parametrize(
        ("age", "expected"),
        [(0, 30_000), (80_000, 10_950), (98_000, 7_000), (108_900, 7_000), (109_000, 15_000), (1_000_000, 30_000)],
    )
    def test_follows_the_past(self, age: int, expected: int) -> None:
        assert next_poll(WAITS, PolledProgress(age, None), RenderHistory(REFUSALS_TO_OPEN)) == pytest.approx(
            expected, abs=1_000
        )

    def test_a_few_renders_are_no_past_yet(self) -> None:
        assert next_poll(WAITS, PolledProgress(100_000, None), RenderHistory(REFUSALS_TO_OPEN[:4])) == 12_000

    @pytest.mark.parametrize(
        ("before", "look", "expected"),
        [
            (PolledProgress(30_000, 25), PolledProgress(60_000, 50), 30_000),
            (PolledProgress(60_000, 50), PolledProgress(90_000, 75), 30_000),
            (PolledProgress(90_000, 75), PolledProgress(108_000, 90), 12_000),
            (PolledProgress(90_000, 75), PolledProgress(118_000, 99), 5_000),
        ],
        ids=str,
    )
    def test_even_progress_tells_the_end(self, before: PolledProgress, look: PolledProgress, expected: int) -> None:
        assert next_poll(WAITS, look, RenderHistory(REFUSALS_TO_OPEN, before)) == expected

    @pytest.mark.parametrize(
        ("before", "look"),
        [
            (PolledProgress(80_000, 99), PolledProgress(85_000, 99)),
            (PolledProgress(80_000, 60), PolledProgress(95_000, 50)),
            (PolledProgress(1_000, 0), PolledProgress(95_000, 0)),
        ],
        ids=str,
    )
    def test_progress_that_stands_still_or_goes_back_tells_nothing(
        self, before: PolledProgress, look: PolledProgress
    ) -> None:
        silent = next_poll(
            WAITS, PolledProgress(look.age, None), RenderHistory(REFUSALS_TO_OPEN, PolledProgress(before.age, None))
        )
        assert next_poll(WAITS, look, RenderHistory(REFUSALS_TO_OPEN, before)) == silent

    @given(
        any_waits(),
        st.lists(
            st.builds(PolledProgress, st.integers(-(10**13), 10**13), st.none() | st.integers(0, 100)),
            min_size=2,
            max_size=2,
        ),
        st.lists(st.integers(0, 10**10), max_size=40).map(sorted),
    )
    @settings(deadline=None)
    def test_never_leaves_the_configured_bounds(
        self, waits: Waits, looks: list[PolledProgress], past: list[int]
    ) -> None:
        wait = next_poll(waits, looks[1], RenderHistory(tuple(past), looks[0]))
        assert int(1000 * waits.poll_min) <= wait <= int(1000 * waits.poll_max) <= waits.horizon

    @given(st.integers(10_000, 10**7), st.booleans())
    @settings(deadline=None)
    def test_finds_a_render_of_any_length_soon_after_its_end(self, length: int, honest: bool) -> None:
        waits = Waits(poll_min=0.001, poll_max=1e6)
        now = looks = 1000
        before = None
        while now < length:
            look = PolledProgress(now, 100 * now // length if honest else None)
            now += next_poll(waits, look, RenderHistory((), before))
            before, looks = look, looks + 1
        assert now - length <= max(1, 0.12 * length)
        assert looks - 1000 < 120

    def test_beats_a_fixed_wait_on_every_kind_of_render(self) -> None:
        """The bench with its seed: clips are found sooner, for fewer polls, and never much worse where nothing helps."""
        for kind, told, stamped, ours, reference in polling.compare(seed=1):
            lag, polls = ours.over(reference)
            assert max(lag, polls) <= 1.1, (kind, told, stamped)
            if (kind, told) == ("log-normal", "honest"):
                assert lag <= 0.5
                assert polls <= 0.7


@pytest.mark.parametrize(
    ("due_at", "due"),
    [(999_999, True), (1_000_000, True), (1_000_001, False), (1_500_000, False), (1_500_001, True), (9**20, True)],
)
def test_a_time_beyond_the_horizon_means_that_the_clock_was_set_back(due_at: int, due: bool) -> None:
    assert is_due(due_at, now=1_000_000, horizon=500_000) is due
