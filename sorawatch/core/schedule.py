"""Estimates when orders will be done. Times and durations are milliseconds, money is micro-dollars."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sorawatch.core.calendar import day_of, month_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

    from sorawatch.core.budget import LimitScope, Usage
    from sorawatch.core.calendar import Period

_FARTHEST = 3_653
"""Days: nothing is estimated beyond ten years."""


@dataclass(frozen=True, slots=True)
class Task:
    """One order: what it costs, how long it takes from its submit to its clip, and the limits that apply to it."""

    micros: int
    duration: int
    scopes: tuple[LimitScope, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What is used up of one scope's limits now, and when each of its orders in flight will probably end."""

    usage: Usage
    ends: tuple[int, ...] = ()


def done_at(tasks: Sequence[Task], loads: Mapping[LimitScope, Load], now: int, zone: tzinfo | None) -> list[int | None]:
    """When each order will be done, if they are sent in this order; None if a limit keeps it back for ever.

    First each order gets the earliest day on which its limits leave money for it, and then a place and an interval of
    the pace from that day on, so that orders which wait for money delay no others.
    """
    money = _Money(loads, now, zone)
    begins = [money.earliest(task) for task in tasks]
    clocks = {scope: _Clock(scope, load, now) for scope, load in loads.items()}
    ends: list[int | None] = [None] * len(tasks)
    for begin, number in sorted((begin, number) for number, begin in enumerate(begins) if begin is not None):
        task = tasks[number]
        own = [clocks[scope] for scope in task.scopes]
        at = max([begin, *(clock.free_at for clock in own)])
        ends[number] = at + task.duration
        for clock in own:
            clock.take(at, at + task.duration)
    return ends


@dataclass(slots=True)
class _Money:
    """What the orders so far will have spent on each day and in each month."""

    loads: Mapping[LimitScope, Load]
    now: int
    zone: tzinfo | None
    spent: dict[tuple[LimitScope, str, int], int] = field(default_factory=dict)
    reached: dict[tuple[tuple[LimitScope, ...], int], int] = field(default_factory=dict)
    """For orders of the same limits and price: when the last of them was sent. The days before it are full."""

    def __post_init__(self) -> None:
        day, month = day_of(self.now, self.zone).begins, month_of(self.now, self.zone).begins
        for scope, load in self.loads.items():
            self.spent[scope, "day", day] = load.usage.micros_today
            self.spent[scope, "month", month] = load.usage.micros_this_month

    def earliest(self, task: Task) -> int | None:
        if any(scope.blocked for scope in task.scopes):
            return None
        kind = task.scopes, task.micros
        at = self.reached.get(kind, self.now)
        if task.micros:
            for _ in range(_FARTHEST):
                if (until := self._full_until(task, at)) is None:
                    break
                at = until
            else:
                return None
            self._spend(task, at)
        self.reached[kind] = at
        return at

    def _full_until(self, task: Task, at: int) -> int | None:
        """When to try again, if a cap leaves too little for this order at ``at``."""
        for scope in task.scopes:
            for name, period, cap in self._caps(scope, at):
                if self.spent.get((scope, name, period.begins), 0) + task.micros > cap:
                    return period.ends
        return None

    def _spend(self, task: Task, at: int) -> None:
        for scope in task.scopes:
            for name, period, _ in self._caps(scope, at):
                key = scope, name, period.begins
                self.spent[key] = self.spent.get(key, 0) + task.micros

    def _caps(self, scope: LimitScope, at: int) -> Iterator[tuple[str, Period, int]]:
        limits = scope.limits
        if limits.micros_per_day is not None:
            yield "day", day_of(at, self.zone), limits.micros_per_day
        if limits.micros_per_month is not None:
            yield "month", month_of(at, self.zone), limits.micros_per_month


class _Clock:
    """When the places and the pace of one scope let the next order go."""

    def __init__(self, scope: LimitScope, load: Load, now: int) -> None:
        limits = scope.limits
        self._ends = None if limits.in_flight is None else sorted(load.ends)
        self._places = limits.in_flight or 0
        self._interval = 60_000 / limits.submits_per_minute if limits.submits_per_minute else 0.0
        self._next: float = max(now, load.usage.paced_until) if self._interval else now

    @property
    def free_at(self) -> int:
        """The earliest time for the next order."""
        if self._ends is None or len(self._ends) < self._places:
            return int(self._next)
        # If more orders are in flight than there are places, several of them must end first.
        return max(int(self._next), heapq.nsmallest(1 + len(self._ends) - self._places, self._ends)[-1])

    def take(self, at: int, end: int) -> None:
        """An order is sent at ``at`` and ends at ``end``."""
        self._next = at + self._interval
        if self._ends is not None:
            while len(self._ends) >= self._places and self._ends[0] <= at:
                heapq.heappop(self._ends)
            heapq.heappush(self._ends, end)
