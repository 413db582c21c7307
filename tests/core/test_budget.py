"""What may be submitted now: places, pace and money."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sorawatch.core.budget import (
    Exclusion,
    LimitReached,
    LimitScope,
    Usage,
    admit,
    dollars,
    is_below,
    next_beat,
    refusal,
)
from sorawatch.core.limits import Limits
from sorawatch.core.order import Order, Size
from sorawatch.core.pause import Pause

NOW = 1_760_000_000_000
DAY_ENDS, MONTH_ENDS = NOW + 3_600_000, NOW + 86_400_000
NOTHING = Usage(in_flight=0, micros_today=0, micros_this_month=0)
ORDER = Order("waves", "sora-2", Size(1280, 720), 8)


def ask(
    limits: Limits, usage: Usage, price: int | None = 800_000, now: int = NOW, **scope: Any
) -> Usage | LimitReached:
    return admit(LimitScope(limits, **scope), usage, price, now, day_ends=DAY_ENDS, month_ends=MONTH_ENDS)


def test_an_order_takes_a_place_a_beat_and_its_price() -> None:
    taken = ask(Limits(submits_per_minute=30), Usage(in_flight=1, micros_today=100, micros_this_month=200))
    assert taken == Usage(in_flight=2, micros_today=800_100, micros_this_month=800_200, paced_until=NOW + 2_000)


@pytest.mark.parametrize("taken", [4, 5])
def test_no_place(taken: int) -> None:
    refused = ask(Limits(in_flight=4), Usage(taken, 0, 0))
    full = Pause(f"{taken} of 4 places in flight are taken", limit="limits.in_flight")
    assert refused == LimitReached(full, lasting=False, priced=False)


@pytest.mark.parametrize(
    ("folder", "top", "below"),
    [
        ("", "", True), ("cats", "", True), ("cats", "cats", True), ("cats/old", "cats", True),
        ("catsup", "cats", False), ("", "cats", False), ("old/cats", "cats", False),
    ],
)  # fmt: skip
def test_a_folder_covers_itself_and_what_lies_below(folder: str, top: str, below: bool) -> None:
    assert is_below(folder, top) is below
    assert LimitScope(Limits(), top).covers(folder) is below
    assert Exclusion(top).covers(folder, "sora-2") is below


def test_an_exclusion_of_models_lets_the_others_go() -> None:
    exclusion = Exclusion("cats", ("sora-2", "wan"))
    places = [("cats", "wan"), ("cats", "free"), ("cats", None), ("dogs", "wan")]
    assert [exclusion.covers(folder, model) for folder, model in places] == [True, False, False, False]


class TestMoney:
    def test_a_cap_may_be_reached_exactly_but_not_passed(self) -> None:
        limits = Limits(micros_per_day=2_000_000)
        assert isinstance(ask(limits, Usage(0, 1_200_000, 0)), Usage)
        assert ask(limits, Usage(0, 1_200_001, 0)) == LimitReached(
            Pause(
                "limits.usd_per_day of $2.00 is reached: $1.2000 spent or reserved, the next clip costs $0.80",
                until=DAY_ENDS,
                limit="limits.usd_per_day",
            ),
            lasting=True,
            priced=True,
        )

    def test_the_month_has_a_cap_of_its_own(self) -> None:
        limits = Limits(micros_per_month=2_000_000)
        assert isinstance(ask(limits, Usage(0, 9**9, 1_200_000)), Usage)
        refused = ask(limits, Usage(0, 0, 1_600_000), folder="cats", file="cats/_defaults.yaml")
        assert refused == LimitReached(
            Pause(
                "limits.usd_per_month in cats/_defaults.yaml of $2.00 is reached: "
                "$1.60 spent or reserved, the next clip costs $0.80",
                until=MONTH_ENDS,
                folder="cats",
                limit="limits.usd_per_month in cats/_defaults.yaml",
            ),
            lasting=True,
            priced=True,
        )

    def test_zero_buys_nothing_until_a_person_changes_it(self) -> None:
        refused = ask(Limits(micros_per_day=0), NOTHING)
        assert isinstance(refused, LimitReached)
        assert (refused.pause.until, refused.lasting, refused.priced) == (None, True, True)
        assert refused.pause.reason == "limits.usd_per_day is $0.00, so nothing that costs money is bought"
        assert "null for no cap" in refused.pause.hint

    @pytest.mark.parametrize("cap", [0, 100])
    def test_what_is_free_passes_every_cap(self, cap: int) -> None:
        assert isinstance(ask(Limits(micros_per_day=cap), Usage(0, 9**9, 9**9), 0), Usage)

    def test_without_caps_nothing_is_too_dear(self) -> None:
        assert isinstance(ask(Limits(), Usage(0, 9**15, 9**15)), Usage)

    def test_invalid_limits_stop_all_orders_of_the_folder(self) -> None:
        unreadable = LimitReached(Pause("cats/_defaults.yaml cannot be understood", folder="cats"), lasting=True)
        scope = LimitScope(Limits(), "cats", "cats/_defaults.yaml", unreadable)
        assert admit(scope, NOTHING, 0, NOW, day_ends=DAY_ENDS, month_ends=MONTH_ENDS) is unreadable

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
    def test_dollars(self, micros: int, text: str) -> None:
        assert dollars(micros) == text


class TestWhatNeverFits:
    def told(self, limits: Limits, price: int | None, **scope: Any) -> str | None:
        refused = refusal([LimitScope(Limits()), LimitScope(limits, **scope)], ORDER, price)
        return None if refused is None else f"{refused}. {refused.hint}"

    def test_a_clip_above_its_cap(self) -> None:
        limits = Limits(micros_per_clip=700_000)
        assert self.told(limits, 700_000) is None
        told = self.told(limits, 800_000)
        assert told is not None
        assert told.startswith("it would cost $0.80, more than limits.usd_per_clip of $0.70 allows. Ask for fewer")

    @pytest.mark.parametrize("period", ["day", "month"])
    def test_a_clip_above_a_whole_periods_cap_would_wait_for_ever(self, period: str) -> None:
        limits = Limits(**{f"micros_per_{period}": 700_000})
        assert self.told(limits, 700_000) is None
        cap = f"limits.usd_per_{period} in cats/_defaults.yaml of $0.70"
        told = self.told(limits, 800_000, folder="cats", file="cats/_defaults.yaml")
        assert told is not None
        assert told.startswith(f"it would cost $0.80, more than {cap} allows in a whole {period}.")

    def test_a_cap_of_zero_is_a_pause_and_fails_nothing(self) -> None:
        assert self.told(Limits(micros_per_day=0), 800_000) is None

    def test_an_unknown_price_under_a_cap_names_the_line_to_add(self) -> None:
        assert self.told(Limits(in_flight=1), None) is None
        for limits in (Limits(micros_per_clip=1), Limits(micros_per_day=1), Limits(micros_per_month=1)):
            told = self.told(limits, None)
            assert told is not None
            assert "the price of sora-2 at 1280x720 is not known, which limits.usd_per_" in told
            assert '"usd_per_second: 0.10" or "usd_per_video: 0.80"' in told
            assert "models.sora-2" in told


class TestPace:
    LIMITS = Limits(submits_per_minute=30, burst=3)

    def run_of(self, count: int, usage: Usage = NOTHING, now: int = NOW) -> Usage | LimitReached:
        """What ``count`` orders at the same moment come to."""
        taken: Usage | LimitReached = usage
        for _ in range(count):
            assert isinstance(taken, Usage)
            taken = ask(self.LIMITS, Usage(0, 0, 0, taken.paced_until), now=now)
        return taken

    def too_soon(self, until: int) -> LimitReached:
        return LimitReached(Pause("the pace is 30 submits a minute", until=until, limit="limits.submits_per_minute"))

    def test_is_even_unless_a_burst_is_allowed(self) -> None:
        limits = Limits(submits_per_minute=30)
        first = ask(limits, NOTHING)
        assert isinstance(first, Usage)
        assert ask(limits, first, now=NOW + 1_999) == self.too_soon(NOW + 2_000)
        assert isinstance(ask(limits, first, now=NOW + 2_000), Usage)

    def test_allows_a_burst_and_then_one_each_beat(self) -> None:
        assert isinstance(self.run_of(3), Usage)
        assert self.run_of(4) == self.too_soon(NOW + 2_000)

    def test_what_it_promises_holds(self) -> None:
        full = self.run_of(3)
        assert isinstance(full, Usage)
        assert isinstance(ask(self.LIMITS, full, now=NOW), LimitReached)
        early, on_time = (self.run_of(1, full, now=NOW + wait) for wait in (1_999, 2_000))
        assert early == self.too_soon(NOW + 2_000)
        assert isinstance(on_time, Usage)

    def test_a_rest_gives_the_whole_burst_back_but_no_more(self) -> None:
        rested = Usage(0, 0, 0, paced_until=NOW - 10**9)
        assert isinstance(self.run_of(3, rested), Usage)
        assert isinstance(self.run_of(4, rested), LimitReached)

    @pytest.mark.parametrize("ahead", [8_000, 86_400_000, 10**15])
    def test_a_clock_set_back_stops_nothing_for_longer_than_a_beat(self, ahead: int) -> None:
        after = self.run_of(1, Usage(0, 0, 0, paced_until=NOW + ahead))
        assert isinstance(after, Usage)
        assert after.paced_until == NOW + 6_000
        assert self.run_of(1, after) == self.too_soon(NOW + 2_000)

    @pytest.mark.parametrize(("ahead", "goes"), [(6_001, False), (6_002, True)])
    def test_a_pace_is_believed_up_to_a_burst_and_a_beat(self, ahead: int, goes: bool) -> None:
        """And a millisecond, by which it is rounded up."""
        asked = self.run_of(1, Usage(0, 0, 0, paced_until=NOW + ahead))
        assert isinstance(asked, Usage) is goes

    def test_the_next_beat_is_when_the_next_order_goes(self) -> None:
        full = self.run_of(3)
        assert isinstance(full, Usage)
        assert next_beat(self.LIMITS, full.paced_until) == NOW + 2_000

    @given(
        st.integers(1, 20),
        st.floats(0.01, 1e6),
        st.lists(st.one_of(st.integers(0, 50), st.integers(0, 100_000)), min_size=1, max_size=60),
    )
    @settings(deadline=None)
    def test_never_more_than_a_burst_and_the_rate_over_any_time(
        self, burst: int, rate: float, pauses: list[int]
    ) -> None:
        limits = Limits(submits_per_minute=rate, burst=burst)
        now, paced_until, admitted = NOW, 0, []
        for pause in pauses:
            now += pause
            for _ in range(burst + 1):
                taken = ask(limits, Usage(0, 0, 0, paced_until), now=now)
                if isinstance(taken, LimitReached):
                    assert taken.pause.until is not None
                    assert now < taken.pause.until <= now + 60_000 / rate + 1
                    break
                paced_until = taken.paced_until
                admitted.append(now)
        for first, since in enumerate(admitted):
            for last, until in enumerate(admitted[first:], first):
                assert last - first + 1 <= burst + rate * (until - since) / 60_000 + 1e-6

    @given(st.integers(1, 20), st.floats(0.01, 1e6))
    @settings(deadline=None)
    def test_whoever_waits_as_told_gets_in(self, burst: int, rate: float) -> None:
        limits = Limits(submits_per_minute=rate, burst=burst)
        now, paced_until = NOW, 0
        for _ in range(3 * burst):
            taken = ask(limits, Usage(0, 0, 0, paced_until), now=now)
            if isinstance(taken, LimitReached):
                assert taken.pause.until is not None
                now = taken.pause.until
                taken = ask(limits, Usage(0, 0, 0, paced_until), now=now)
            assert isinstance(taken, Usage)
            paced_until = taken.paced_until


DAY = 1_000
"""Milliseconds of a day in the model below, three of which make a month: what is short is tried more often."""


@dataclass
class Bought:
    at: int
    micros: int
    counts: bool = True


class Accounts(RuleBasedStateMachine):
    """Orders admitted, settled and released in any order while days and months turn: no cap is ever passed."""

    SCOPE = LimitScope(Limits(micros_per_day=20, micros_per_month=45))

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.bought: list[Bought] = []

    def spent(self, since: int) -> int:
        return sum(each.micros for each in self.bought if each.at >= since and each.counts)

    @property
    def day(self) -> int:
        return self.now // DAY * DAY

    @property
    def month(self) -> int:
        return self.now // (3 * DAY) * 3 * DAY

    @rule(price=st.integers(0, 25))
    def order(self, price: int) -> None:
        usage = Usage(0, self.spent(self.day), self.spent(self.month))
        ends = {"day_ends": self.day + DAY, "month_ends": self.month + 3 * DAY}
        taken = admit(self.SCOPE, usage, price, self.now, **ends)
        if isinstance(taken, Usage):
            self.bought.append(Bought(self.now, price))
            assert taken == replace(
                usage,
                in_flight=1,
                micros_today=self.spent(self.day),
                micros_this_month=self.spent(self.month),
                paced_until=self.now,
            )
        else:
            fits = usage.micros_today + price <= 20 and usage.micros_this_month + price <= 45
            assert not fits
            assert taken.pause.until is not None
            assert self.now < taken.pause.until <= self.month + 3 * DAY

    @rule(which=st.integers(0, 30))
    def release(self, which: int) -> None:
        if self.bought:
            self.bought[which % len(self.bought)].counts = False

    @rule(wait=st.integers(0, 2 * DAY))
    def wait(self, wait: int) -> None:
        self.now += wait

    @invariant()
    def no_day_and_no_month_is_overspent(self) -> None:
        for length, cap in ((DAY, 20), (3 * DAY, 45)):
            sums: dict[int, int] = {}
            for each in self.bought:
                if each.counts:
                    sums[each.at // length] = sums.get(each.at // length, 0) + each.micros
            assert all(total <= cap for total in sums.values())


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
