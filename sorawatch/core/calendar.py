"""Days and months, for the caps on spending. Times are milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begins`` to ``ends``, which is not part of it."""

    begins: int
    ends: int


def day_of(now: int, zone: tzinfo | None) -> Period:
    """The day that contains ``now``. ``zone`` None is the time zone of the system."""
    midnight = _local(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(_millis(midnight, zone), _millis(midnight + timedelta(days=1), zone))


def month_of(now: int, zone: tzinfo | None) -> Period:
    """The month that contains ``now``. ``zone`` None is the time zone of the system."""
    first = _local(now, zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=31)).replace(day=1)
    return Period(_millis(first, zone), _millis(following, zone))


def parse_month(text: str, zone: tzinfo | None) -> Period:
    """The month written as ``2026-11``.

    Raises:
        ValueError: if ``text`` has another form, or the year cannot be represented.
    """
    first = datetime.strptime(text, "%Y-%m")  # noqa: DTZ007 -- wall time, which becomes a moment in the zone
    return month_of(_millis(first, zone), zone)


def iso(at: int, zone: tzinfo | None) -> str:
    """``2026-11-22T14:05:07+01:00``."""
    moment = datetime.fromtimestamp(at // 1000, zone)
    return (moment if zone else moment.astimezone()).isoformat()


@dataclass(frozen=True, slots=True)
class LocalTime:
    """Now, in the configured time zone, for showing other times. ``now`` is milliseconds since 1970."""

    now: int
    zone: tzinfo | None

    def clock(self, at: int) -> str:
        """``14:05``, with its date if that is another day than today."""
        return clock_time(at, self.now, self.zone)

    def day(self, at: int) -> str:
        """``14:05`` today, ``Nov 22`` this year, else ``2025-11-22``."""
        local, today = _local(at, self.zone), _local(self.now, self.zone)
        if local.date() == today.date():
            return f"{local:%H:%M}"
        return f"{local:%b} {local.day}" if local.year == today.year else f"{local:%Y-%m-%d}"


def clock_time(at: int, now: int, zone: tzinfo | None) -> str:
    """``14:05``, with the date if ``now`` is on another day."""
    local = _local(at, zone)
    return f"{local:%H:%M}" if local.date() == _local(now, zone).date() else f"{local:%Y-%m-%d %H:%M}"


def lasted(millis: int) -> str:
    """A duration in its largest unit: ``41 s``, ``3 min``, ``2 h``, ``5 d``. A clock that was set back makes none."""
    seconds = max(0, millis) // 1000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _local(millis: int, zone: tzinfo | None) -> datetime:
    """Wall time without a zone, so that adding a day moves to the next calendar day and not by 24 hours.

    A wall time that occurs twice, when clocks are set back, means its first occurrence: a day whose midnight occurs
    twice begins with the first one.
    """
    return datetime.fromtimestamp(millis / 1000, zone).replace(tzinfo=None, fold=0)


def _millis(wall: datetime, zone: tzinfo | None) -> int:
    return int(1000 * (wall.replace(tzinfo=zone) if zone else wall.astimezone()).timestamp())
