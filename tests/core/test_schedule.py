"""When orders will be done, by places, pace and money."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sorawatch.core.budget import LimitReached, LimitScope, Usage
from sorawatch.core.limits import Limits
from sorawatch.core.pause import Pause
from sorawatch.core.schedule import Load, Task, done_at

NOW = int(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp() * 1000)
MINUTE, HOUR = 60_000, 3_600_000
DAY = 24 * HOUR
IDLE = Load(Usage(0, 0, 0))


def minutes(limits: Limits, count: int, load: Load = IDLE, micros: int = 1, duration: int = 10) -> list[float | None]:
    """The minutes from now until each of so many equal orders is done."""
    scope = LimitScope(limits)
    tasks = [Task(micros, duration * MINUTE, (scope,))] * count
    return [end and (end - NOW) / MINUTE for end in done_at(tasks, {scope: load}, NOW, UTC)]


def test_without_limits_all_are_made_at_once() -> None:
    assert minutes(Limits(), 3) == [10, 10, 10]


def test_places_are_taken_one_after_the_other() -> None:
    assert minutes(Limits(in_flight=2), 5) == [10, 10, 20, 20, 30]


def test_what_is_in_flight_takes_its_place_until_it_ends() -> None:
    load = Load(Usage(3, 0, 0), (NOW + 4 * MINUTE, NOW + 6 * MINUTE, NOW + 5 * MINUTE))
    assert minutes(Limits(in_flight=2), 3, load) == [15, 16, 25]
    assert minutes(Limits(in_flight=4), 2, load) == [10, 14]


def test_the_pace_spreads_them() -> None:
    assert minutes(Limits(submits_per_minute=0.5), 3) == [10, 12, 14]
    assert minutes(Limits(submits_per_minute=0.5), 2, Load(Usage(0, 0, 0, NOW + 3 * MINUTE))) == [13, 15]


def test_when_the_money_of_a_day_is_spent_the_next_goes_on() -> None:
    assert minutes(Limits(micros_per_day=2), 5) == [10, 10, 730, 730, 2170]
    assert minutes(Limits(micros_per_day=2), 2, Load(Usage(0, 1, 1))) == [10, 730]


def test_a_month_goes_on_with_the_next() -> None:
    assert minutes(Limits(micros_per_month=2), 3) == [10, 10, (2 * DAY + 12 * HOUR) / MINUTE + 10]


def test_a_cap_of_nothing_lets_only_free_orders_go() -> None:
    assert minutes(Limits(micros_per_day=0), 1) == [None]
    assert minutes(Limits(micros_per_day=0), 1, micros=0) == [10]


def test_a_folder_at_its_limit_delays_only_its_own() -> None:
    total, cats = LimitScope(Limits(in_flight=2)), LimitScope(Limits(micros_per_day=1), "cats")
    cat, other = Task(1, 10 * MINUTE, (total, cats)), Task(1, 10 * MINUTE, (total,))
    ends = done_at([cat, cat, other, other], {total: IDLE, cats: IDLE}, NOW, UTC)
    assert [end and (end - NOW) / MINUTE for end in ends] == [10, 730, 10, 20]


def test_a_folder_whose_file_cannot_be_read_waits_for_a_person() -> None:
    scope = LimitScope(Limits(), "cats", blocked=LimitReached(Pause("unreadable")))
    assert done_at([Task(0, 1, (scope,))], {scope: IDLE}, NOW, UTC) == [None]


@pytest.mark.parametrize("count", [3000])
def test_years_of_orders_are_estimated_quickly_enough_to_be_asked_for(count: int) -> None:
    ends = minutes(replace(Limits(), micros_per_day=1, in_flight=1), count)
    assert ends[-1] == (count - 1) * 1440 - 720 + 10
