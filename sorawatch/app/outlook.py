"""What is to be expected of a job: why it waits, what it costs, and when its clip will be there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from sorawatch.core.batches import WAITS
from sorawatch.core.budget import beat
from sorawatch.core.delay import Delay, delay_of
from sorawatch.core.estimates import Capacity, QueuedOrder, ends_of_queue, left_of_render, usual
from sorawatch.core.job import IN_FLIGHT, UNPAID, Job, State
from sorawatch.core.order import Size, parse_size
from sorawatch.daemon.actions.render_times import past_durations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sorawatch.core.calendar import LocalTime
    from sorawatch.core.limits import Limits
    from sorawatch.core.order import Model, Order
    from sorawatch.edges.store import JobGroup, Transaction

_ESTIMATED = 1_000
"""So many of the next orders get an estimate: those behind them wait for so long that it would be a guess."""
_ALIKE = "its order could not be told from one whose answer is awaited"
_NOT_RUNNING = "sorawatch is not running"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What decides about orders now. Times are milliseconds of the store's clock, money is micro-dollars."""

    time: LocalTime
    delays: Sequence[Sequence[Delay]]
    """Those of each running daemon; empty if none runs."""
    alike: frozenset[str]
    """Jobs that wait for the answer to an order like theirs."""
    catalogue: Mapping[str, Model]
    limits: Limits
    allowed: int
    """How many orders may be in flight at once."""
    paced_until: int
    """When the pace allows the next order."""
    micros_left: int | None
    """What the caps of the day and the month leave; None without one."""


@dataclass(frozen=True, slots=True)
class Total:
    """Some orders and the sum of their prices, in micro-dollars."""

    orders: int = 0
    lowest: int = 0
    highest: int = 0
    """Differs from ``lowest`` while the size of a clip depends on a picture that was not read yet."""
    unpriced: int = 0
    """Orders of unknown price, which the sum does not contain."""


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job and what is to be expected of it."""

    job: Job
    waits_for: str = ""
    """Why its order is not submitted; empty if it was."""
    prices: tuple[int, int] | None = None
    """The lowest and the highest price, in micro-dollars; None if unknown."""
    rendered_in: int | None = None
    """In how many milliseconds its clip will be rendered, judged by past renders; None if that is unknown."""
    late_after: int | None = None
    """How many milliseconds renders like this one usually take, if it has taken longer than all of them."""


def look(tx: Transaction, jobs: Iterable[Job], now: Circumstances) -> list[ShownJob]:
    """What is to be expected of each of these jobs."""
    times = _RenderTimes(tx, now.catalogue)
    shown = [*jobs]
    waiting = bool(now.delays) and any(job.state in UNPAID for job in shown)
    ends = _ends_of_queue(tx, times, now) if waiting else {}
    return [_look(job, ends, times, now) for job in shown]


def total(groups: Iterable[JobGroup], catalogue: Mapping[str, Model]) -> Total:
    """The sum of what these groups of waiting orders will cost."""
    orders = lowest = highest = unpriced = 0
    for group in groups:
        orders += group.count
        model = catalogue.get(group.model or "")
        prices = model and group.size and model.prices(parse_size(group.size), group.seconds or 0)
        if prices:
            lowest += group.count * prices[0]
            highest += group.count * prices[1]
        else:
            unpriced += group.count
    return Total(orders, lowest, highest, unpriced)


def _look(job: Job, ends: Mapping[str, int], times: _RenderTimes, now: Circumstances) -> ShownJob:
    prices = (job.price, job.price) if job.price is not None else None
    order = job.order
    if job.state in UNPAID:
        if prices is None and order is not None and order.model in now.catalogue:
            prices = now.catalogue[order.model].prices(order.size, order.seconds)
        return ShownJob(job, _why(job, now), prices, ends.get(job.id))
    if order is None or job.state not in {State.SUBMITTING, State.RENDERING}:
        return ShownJob(job, "", prices)
    past = times.of(order)
    if job.state is State.SUBMITTING:
        return ShownJob(job, "", prices, usual(past))
    left = left_of_render(job.render_age(now.time.now), past)
    return ShownJob(job, "", prices, left, usual(past) if left is None else None)


def _why(job: Job, now: Circumstances) -> str:
    """Why an order is not submitted. What happened to it before is told after that."""
    if job.reason == WAITS:
        return WAITS
    if not now.delays:
        first = _NOT_RUNNING
    elif job.due_at > now.time.now and job.reason:
        first = f"{job.reason}; tried again at {now.time.clock(job.due_at)}" if job.attempts else job.reason
    elif job.id in now.alike:
        first = _ALIKE
    elif (delay := _delay(job, now)) is not None:
        first = delay.text(now.time)
    else:
        first = "its turn to be prepared" if job.state is State.FOUND else "its turn"
    return "; ".join((first, *(text for text in (job.reason, job.note) if text and text not in first)))


def _delay(job: Job, now: Circumstances) -> Delay | None:
    """Why no daemon submits this order; None if one of them does."""
    found = [delay_of(job, delays) for delays in now.delays]
    if None in found:
        return None
    return next((delay for delay in found if delay and delay.is_turn), found[0])


def _ends_of_queue(tx: Transaction, times: _RenderTimes, now: Circumstances) -> dict[str, int]:
    in_flight = tx.jobs.in_states(IN_FLIGHT)
    shown = [_look(job, {}, times, now) for job in in_flight]
    queue = []
    for job in tx.listing.queue(_ESTIMATED):
        delay = _delay(job, now)
        if job.order is None or not (delay is None or delay.is_turn):
            continue
        model = now.catalogue.get(job.order.model)
        prices = model and model.prices(job.order.size, job.order.seconds)
        due_in = max(0, job.due_at - now.time.now)
        queue.append(QueuedOrder(job.id, usual(times.of(job.order)), prices[1] if prices else 0, due_in))
    capacity = Capacity(
        free=now.allowed - len(in_flight),
        ends=[each.rendered_in for each in shown if each.rendered_in is not None],
        paced_in=max(0, now.paced_until - now.time.now),
        interval=int(beat(now.limits)[0]),
        micros_left=now.micros_left,
    )
    return ends_of_queue(queue, capacity)


class _RenderTimes:
    """Past durations of renders by kind of order, each read once."""

    def __init__(self, tx: Transaction, catalogue: Mapping[str, Model]) -> None:
        self._tx = tx
        self._catalogue = catalogue
        self._known: dict[tuple[str, str, int], tuple[int, ...]] = {}

    def of(self, order: Order) -> tuple[int, ...]:
        """Milliseconds, in ascending order. While the size is not known, those of both possible sizes."""
        key = order.model, str(order.size), order.seconds
        if key not in self._known:
            self._known[key] = tuple(sorted(chain(*(past_durations(self._tx, each) for each in self._sized(order)))))
        return self._known[key]

    def _sized(self, order: Order) -> list[Order]:
        model = self._catalogue.get(order.model)
        if isinstance(order.size, Size) or model is None:
            return [order]
        sizes = {model.resolve(order.size, picture) for picture in (Size(16, 9), Size(9, 16))}
        return [replace(order, size=size) for size in sorted(sizes)]
