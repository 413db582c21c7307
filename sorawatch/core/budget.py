"""What may be submitted now: places, pace and money. Times are milliseconds, money is micro-dollars."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.order import MICROS, Order
from sorawatch.core.pause import Pause
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.limits import Limits

_CHEAPER = "Ask for fewer seconds, a smaller size or a cheaper model, or raise the limit; then move the pair back."


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A limit that keeps orders back."""

    pause: Pause
    lasting: bool = False
    """Only the calendar or a person ends it, so it is published. A full server and the pace end in a moment."""
    priced: bool = False
    """It keeps back only orders that cost money."""


@dataclass(frozen=True, slots=True)
class LimitScope:
    """Limits, and the folder of the inbox, with all below it, for which they hold."""

    limits: Limits
    folder: str = ""
    file: str = ""
    """The ``_defaults.yaml`` that states them; ``""`` is the configuration."""
    blocked: LimitReached | None = None
    """Nothing is submitted from here: the file with the limits cannot be read."""

    def covers(self, folder: str) -> bool:
        return is_below(folder, self.folder)

    def named(self, key: str) -> str:
        """``key`` with the file that sets it: ``limits.usd_per_day in cats/_defaults.yaml``."""
        return f"{key} in {self.file}" if self.file else key


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used up of one scope's limits.

    ``paced_until`` is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): when all submits
    so far would have been made if they had been evenly spaced.
    """

    in_flight: int
    micros_today: int
    micros_this_month: int
    paced_until: int = 0


def is_below(folder: str, top: str) -> bool:
    """Whether ``folder`` is ``top`` or is below it; both are relative to the inbox, ``""`` being the inbox."""
    return not top or folder == top or folder.startswith(f"{top}/")


def dollars(micros: int) -> str:
    """``$0.80``; four decimals only where the amount is not a whole number of cents."""
    return f"${micros / MICROS:.2f}" if micros % 10_000 == 0 else f"${micros / MICROS:.4f}"


def refusal(scopes: Iterable[LimitScope], order: Order, price: int | None) -> Rejected | None:
    """Why these limits can never let an order of this price through; None where they can."""
    for scope in scopes:
        limits = scope.limits
        if price is None:
            if not limits.counting_money:
                continue
            what = f"the price of {order.model} at {order.size} is not known"
            add = 'Add "usd_per_second: 0.10" or "usd_per_video: 0.80", with its own price (0 if it is free)'
            return Rejected(
                f"{what}, which {scope.named(limits.counting_money[0])} has to count",
                f"{add}, to models.{order.model} in the configuration; then move the pair back.",
            )
        if limits.micros_per_clip is not None and price > limits.micros_per_clip:
            cap = f"{scope.named('limits.usd_per_clip')} of {dollars(limits.micros_per_clip)}"
            return Rejected(f"it would cost {dollars(price)}, more than {cap} allows", _CHEAPER)
        for micros, period in ((limits.micros_per_day, "day"), (limits.micros_per_month, "month")):
            # A cap of 0 refuses nothing: the pictures stay where they are until it is raised.
            if micros and price > micros:
                cap = f"{scope.named(f'limits.usd_per_{period}')} of {dollars(micros)}"
                return Rejected(f"it would cost {dollars(price)}, more than {cap} allows in a whole {period}", _CHEAPER)
    return None


def admit(
    scope: LimitScope, usage: Usage, price: int | None, now: int, *, day_ends: int, month_ends: int
) -> Usage | LimitReached:
    """Use up a place, an interval of the pace and the money for one order, or return the limit that is reached.

    A clock that was set back delays orders by one interval of the pace at most.
    """
    if scope.blocked is not None:
        return scope.blocked
    limits = scope.limits
    cost = price or 0
    for spent, cap, until, period in (
        (usage.micros_today, limits.micros_per_day, day_ends, "day"),
        (usage.micros_this_month, limits.micros_per_month, month_ends, "month"),
    ):
        if cost and cap is not None and spent + cost > cap:
            return _spent(scope, spent, cap, cost, until, period)
    if limits.in_flight is not None and usage.in_flight >= limits.in_flight:
        taken = f"{usage.in_flight} of {limits.in_flight} places in flight are taken"
        return LimitReached(Pause(taken, folder=scope.folder, limit=scope.named("limits.in_flight")))
    interval, tolerance = beat(limits)
    arrival: float = max(usage.paced_until, now)
    if arrival > now + tolerance + interval + 1:
        arrival = now + tolerance
    if arrival > now + tolerance:
        pace, until = f"the pace is {limits.submits_per_minute:g} submits a minute", math.ceil(arrival - tolerance)
        limit = scope.named("limits.submits_per_minute")
        return LimitReached(Pause(pace, until=until, folder=scope.folder, limit=limit))
    return replace(
        usage,
        in_flight=usage.in_flight + 1,
        micros_today=usage.micros_today + cost,
        micros_this_month=usage.micros_this_month + cost,
        paced_until=math.ceil(arrival + interval),
    )


def next_beat(limits: Limits, paced_until: int) -> int:
    """When the pace lets the next order go."""
    return math.ceil(paced_until - beat(limits)[1])


def beat(limits: Limits) -> tuple[float, float]:
    """Milliseconds between two orders, and by how many one may be early."""
    interval = 60_000 / limits.submits_per_minute if limits.submits_per_minute else 0.0
    return interval, interval * (limits.burst - 1)


def _spent(scope: LimitScope, spent: int, cap: int, cost: int, until: int, period: str) -> LimitReached:
    limit = scope.named(f"limits.usd_per_{period}")
    if cap == 0:
        hint = "Raise it, or set it to null for no cap."
        reason = f"{limit} is {dollars(0)}, so nothing that costs money is bought"
        return LimitReached(Pause(reason, hint, folder=scope.folder, limit=limit), lasting=True, priced=True)
    spending = f"{dollars(spent)} spent or reserved, the next clip costs {dollars(cost)}"
    reason = f"{limit} of {dollars(cap)} is reached: {spending}"
    return LimitReached(Pause(reason, until=until, folder=scope.folder, limit=limit), lasting=True, priced=True)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Jobs that are passed over: those in a folder and all below it, for ``models``, or for any model if None."""

    folder: str = ""
    models: tuple[str, ...] | None = None

    def covers(self, folder: str, model: str | None) -> bool:
        return is_below(folder, self.folder) and (self.models is None or model in self.models)
