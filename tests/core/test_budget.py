"""What may be submitted now: places, pace and money."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorawatch.core.budget import Caps, Closed, Usage, admit, dollars

NOW = 1_760_000_000_000
DAY_ENDS, MONTH_ENDS = NOW + 3_600_000, NOW + 86_400_000
NOTHING = Usage(in_flight=0, micros_today=0, micros_this_month=0)


def ask(caps: Caps, usage: Usage, price: int | None = 800_000, now: int = NOW) -> Usage | Closed:
    return admit(caps, usage, price, now, day_ends=DAY_ENDS, month_ends=MONTH_ENDS)


def test_an_order_takes_a_place_a_beat_and_its_price():
    taken = ask(Caps(in_flight=4, submits_per_minute=30), Usage(1, 100, 200, paced_until=0))
    assert taken == Usage(in_flight=2, micros_today=800_100, micros_this_month=800_200, paced_until=NOW + 2_000)


@pytest.mark.parametrize("taken", [4, 5])
def test_no_place(taken: int):
    usage = Usage(taken, 0, 0)
    assert ask(Caps(in_flight=4), usage) == Closed(f"{taken} of 4 places in flight are taken")


class TestMoney:
    def test_a_cap_may_be_reached_exactly_but_not_passed(self):
        caps = Caps(micros_per_day=2_000_000, micros_per_month=None)
        assert isinstance(ask(caps, Usage(0, 1_200_000, 0)), Usage)
        assert ask(caps, Usage(0, 1_200_001, 0)) == Closed(
            "limits.usd_per_day of $2.00 is reached: $1.2000 spent or reserved, the next clip costs $0.80",
            until=DAY_ENDS,
            of_money=True,
        )

    def test_the_month_has_a_cap_of_its_own(self):
        caps = Caps(micros_per_day=None, micros_per_month=2_000_000)
        assert isinstance(ask(caps, Usage(0, 9**9, 1_200_000)), Usage)
        assert ask(caps, Usage(0, 0, 1_600_000)) == Closed(
            "limits.usd_per_month of $2.00 is reached: $1.60 spent or reserved, the next clip costs $0.80",
            until=MONTH_ENDS,
            of_money=True,
        )

    def test_a_clip_that_costs_more_than_the_cap_says_so(self):
        refused = ask(Caps(micros_per_day=500_000), NOTHING)
        assert isinstance(refused, Closed)
        assert "limits.usd_per_day of $0.50 is reached: $0.00 spent" in refused.reason

    def test_without_caps_nothing_is_too_dear(self):
        caps = Caps(micros_per_day=None, micros_per_month=None)
        assert isinstance(ask(caps, Usage(0, 9**15, 9**15)), Usage)

    @pytest.mark.parametrize("price", [None, 0])
    def test_an_unknown_price_counts_as_nothing(self, price: int | None):
        taken = ask(Caps(micros_per_day=0), NOTHING, price)
        assert isinstance(taken, Usage)
        assert taken.micros_today == 0

    @pytest.mark.parametrize(
        ("micros", "text"),
        [
            (0, "$0.00"),
            (800_000, "$0.80"),
            (10_000, "$0.01"),
            (400, "$0.0004"),
            (123_456_789_010_000, "$123456789.01"),
            (1_234_500, "$1.2345"),
        ],
    )
    def test_dollars(self, micros: int, text: str):
        assert dollars(micros) == text


class TestPace:
    CAPS = Caps(in_flight=3, submits_per_minute=30, micros_per_day=None)

    def run_of(self, count: int, usage: Usage = NOTHING, now: int = NOW) -> Usage | Closed:
        """What ``count`` orders at the same moment come to, their places free again at once."""
        taken: Usage | Closed = usage
        for _ in range(count):
            assert isinstance(taken, Usage)
            taken = ask(self.CAPS, Usage(0, 0, 0, taken.paced_until), now=now)
        return taken

    def test_allows_as_large_a_burst_as_there_are_places_and_then_one_each_beat(self):
        assert isinstance(self.run_of(3), Usage)
        assert self.run_of(4) == Closed("the pace is 30 submits a minute", until=NOW + 2_000)

    def test_what_it_promises_holds(self):
        full = self.run_of(3)
        assert isinstance(full, Usage)
        assert isinstance(ask(self.CAPS, full, now=NOW), Closed)
        early, on_time = (self.run_of(1, full, now=NOW + wait) for wait in (1_999, 2_000))
        assert early == Closed("the pace is 30 submits a minute", until=NOW + 2_000)
        assert isinstance(on_time, Usage)

    def test_a_rest_gives_the_whole_burst_back_but_no_more(self):
        rested = Usage(0, 0, 0, paced_until=NOW - 10**9)
        assert isinstance(self.run_of(3, rested), Usage)
        assert isinstance(self.run_of(4, rested), Closed)

    @pytest.mark.parametrize("ahead", [8_000, 86_400_000, 10**15])
    def test_a_clock_set_back_stops_nothing_for_longer_than_a_beat(self, ahead: int):
        after = self.run_of(1, Usage(0, 0, 0, paced_until=NOW + ahead))
        assert isinstance(after, Usage)
        assert after.paced_until == NOW + 6_000
        assert self.run_of(1, after) == Closed("the pace is 30 submits a minute", until=NOW + 2_000)

    @given(
        st.integers(1, 20),
        st.floats(0.01, 1e6),
        st.lists(st.one_of(st.integers(0, 50), st.integers(0, 100_000)), min_size=1, max_size=60),
    )
    @settings(deadline=None)
    def test_never_more_than_a_burst_and_the_rate_over_any_time(self, places: int, rate: float, pauses: list[int]):
        caps = Caps(in_flight=places, submits_per_minute=rate, micros_per_day=None)
        now, paced_until, admitted = NOW, 0, []
        for pause in pauses:
            now += pause
            for _ in range(places + 1):
                taken = ask(caps, Usage(0, 0, 0, paced_until), now=now)
                if isinstance(taken, Closed):
                    assert taken.until is not None
                    assert now < taken.until <= now + 60_000 / rate + 1
                    break
                paced_until = taken.paced_until
                admitted.append(now)
        for first, since in enumerate(admitted):
            for last, until in enumerate(admitted[first:], first):
                assert last - first + 1 <= places + rate * (until - since) / 60_000 + 1e-6

    @given(st.integers(1, 20), st.floats(0.01, 1e6))
    @settings(deadline=None)
    def test_whoever_waits_as_told_gets_in(self, places: int, rate: float):
        caps = Caps(in_flight=places, submits_per_minute=rate, micros_per_day=None)
        now, paced_until = NOW, 0
        for _ in range(3 * places):
            taken = ask(caps, Usage(0, 0, 0, paced_until), now=now)
            if isinstance(taken, Closed):
                assert taken.until is not None
                now = taken.until
                taken = ask(caps, Usage(0, 0, 0, paced_until), now=now)
            assert isinstance(taken, Usage)
            paced_until = taken.paced_until
