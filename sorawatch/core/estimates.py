"""When clips will be there, judged by how long past renders took. Times are milliseconds."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class QueuedOrder:
    """An order that waits only for those ahead of it."""

    job_id: str
    duration: int | None
    """How long renders of its kind usually take; None if that is not known."""
    price: int
    """Micro-dollars."""
    due_in: int = 0
    """How long it is not submitted in any case."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the orders in a queue share."""

    free: int
    """Places in flight that are free now; negative if too many are taken."""
    ends: Sequence[int]
    """When other places will be free, as far as that is known."""
    paced_in: int
    """When the pace allows the next order."""
    interval: int
    """Between two orders of the pace."""
    micros_left: int | None
    """What the caps on spending leave; None without a cap."""


def usual(durations: Sequence[int]) -> int | None:
    """The median of past durations, which are in ascending order; None without any."""
    return durations[len(durations) // 2] if durations else None


def left_of_render(age: int, durations: Sequence[int]) -> int | None:
    """How much longer a render of this age takes, by those that took longer; None where all were quicker."""
    middle = usual(durations[bisect_right(durations, age) :])
    return None if middle is None else middle - age


def ends_of_queue(queue: Iterable[QueuedOrder], capacity: Capacity) -> dict[str, int]:
    """In how many milliseconds each order will be rendered, by job.

    Orders after the first one of unknown duration, or that the caps on spending do not allow, are left out.
    """
    taken_too_many = max(0, -capacity.free)
    places = [0] * max(0, capacity.free) + sorted(capacity.ends)[taken_too_many:]
    heapq.heapify(places)
    found: dict[str, int] = {}
    paced, left = capacity.paced_in, capacity.micros_left
    for order in queue:
        if order.duration is None or not places or (left is not None and order.price > left):
            break
        begins = max(heapq.heappop(places), paced, order.due_in)
        paced = begins + capacity.interval
        left = None if left is None else left - order.price
        found[order.job_id] = begins + order.duration
        heapq.heappush(places, found[order.job_id])
    return found
