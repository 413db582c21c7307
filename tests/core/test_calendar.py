"""Days and months of the calendar, whatever the clocks do in them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sorawatch.core.calendar import LocalTime, Period, clock_time, day_of, lasted, month_of

HOUR = 3_600_000
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [
    UTC,
    BERLIN,
    ZoneInfo("America/Havana"),
    ZoneInfo("America/Sao_Paulo"),
    ZoneInfo("America/St_Johns"),
    ZoneInfo("Africa/Cairo"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Pacific/Apia"),
    timezone(timedelta(hours=14)),
]


def at(text: str) -> int:
    """Milliseconds of an instant, written with its offset."""
    return int(datetime.fromisoformat(text).timestamp()) * 1000


@pytest.mark.parametrize(
    ("zone", "now", "begins", "ends"),
    [
        (UTC, "2026-03-01T00:00+00:00", "2026-03-01T00:00+00:00", "2026-03-02T00:00+00:00"),
        (BERLIN, "2026-01-01T00:30+01:00", "2026-01-01T00:00+01:00", "2026-01-02T00:00+01:00"),
        # 23 hours, then 25.
        (BERLIN, "2026-03-29T12:00+02:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        (BERLIN, "2026-10-25T02:30+01:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        # The hour from midnight to one comes twice.
        (ZONES[2], "2026-11-01T00:30-04:00", "2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00"),
        (ZONES[2], "2026-11-01T00:30-05:00", "2026-11-01T00:00-04:00", "2026-11-02T00:00-05:00"),
        # There is no midnight.
        (ZONES[3], "2018-11-04T01:00-02:00", "2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00"),
        (ZONES[3], "2018-11-03T23:59-03:00", "2018-11-03T00:00-03:00", "2018-11-04T01:00-02:00"),
        # There is no 30 December.
        (ZONES[8], "2011-12-29T12:00-10:00", "2011-12-29T00:00-10:00", "2011-12-31T00:00+14:00"),
    ],
)
def test_days(zone: tzinfo, now: str, begins: str, ends: str) -> None:
    assert day_of(at(now), zone) == Period(at(begins), at(ends))


@pytest.mark.parametrize(
    ("now", "begins", "ends"),
    [
        ("2026-01-31T23:59+01:00", "2026-01-01T00:00+01:00", "2026-02-01T00:00+01:00"),
        ("2026-02-28T12:00+01:00", "2026-02-01T00:00+01:00", "2026-03-01T00:00+01:00"),
        ("2028-02-29T12:00+01:00", "2028-02-01T00:00+01:00", "2028-03-01T00:00+01:00"),
        ("2026-03-31T12:00+02:00", "2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00"),
        ("2026-12-31T23:59+01:00", "2026-12-01T00:00+01:00", "2027-01-01T00:00+01:00"),
    ],
)
def test_months(now: str, begins: str, ends: str) -> None:
    assert month_of(at(now), BERLIN) == Period(at(begins), at(ends))


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(ZONES))
@example(at("2026-11-01T00:30-05:00"), ZONES[2])
@example(at("2018-11-04T01:00-02:00"), ZONES[3])
@settings(deadline=None)
def test_days_and_months_follow_on_each_other_without_a_gap(now: int, zone: tzinfo) -> None:
    for period_of, shortest, longest in ((day_of, 22 * HOUR, 50 * HOUR), (month_of, 27 * 24 * HOUR, 32 * 24 * HOUR)):
        period = period_of(now, zone)
        assert period.begins <= now < period.ends
        assert shortest <= period.ends - period.begins <= longest
        assert period_of(period.begins, zone) == period == period_of(period.ends - 1, zone)
        assert period_of(period.ends, zone).begins == period.ends
        assert period_of(period.begins - 1, zone).ends == period.begins


def test_the_time_of_day_stands_alone_unless_the_day_is_another() -> None:
    now = at("2026-03-29T12:00+02:00")
    assert clock_time(at("2026-03-29T14:05+02:00"), now, BERLIN) == "14:05"
    assert clock_time(at("2026-03-30T00:00+02:00"), now, BERLIN) == "2026-03-30 00:00"
    assert clock_time(at("2026-03-28T23:59+01:00"), now, BERLIN) == "2026-03-28 23:59"


@pytest.fixture
def system_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system's time zone is Berlin's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("system_zone")
@pytest.mark.parametrize("now", ["2026-03-29T12:00+02:00", "2026-10-25T02:30+01:00", "2026-07-01T00:00+02:00"])
def test_without_a_zone_the_systems_counts(now: str) -> None:
    assert os.environ["TZ"] == "Europe/Berlin"
    assert day_of(at(now), None) == day_of(at(now), BERLIN)
    assert month_of(at(now), None) == month_of(at(now), BERLIN)
    assert clock_time(at(now), at(now), None) == clock_time(at(now), at(now), BERLIN)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (119, "1 min"),
        (7_199, "119 min"),
        (7_200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (40 * 86_400, "40 d"),
    ],
)
def test_a_duration_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert lasted(int(1000 * seconds)) == text


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("2026-11-28T00:10+01:00", "00:10"),
        ("2026-11-27T23:50+01:00", "Nov 27"),
        ("2026-01-05T12:00+01:00", "Jan 5"),
        ("2025-12-31T23:59+01:00", "2025-12-31"),
    ],
)
def test_a_day_is_told_as_shortly_as_it_is_clear(when: str, text: str) -> None:
    assert LocalTime(at("2026-11-28T18:00+01:00"), BERLIN).day(at(when)) == text
