"""What may be submitted now: places, pace and money. Times are milliseconds, money is micro-dollars."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.order import MICROS, Order
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from sorawatch.core.limits import Limits

_CHEAPER = "Ask for fewer seconds, a smaller size or a cheaper model, or raise the limit; then move the pair back."


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Why nothing, or not this order, may be submitted now. ``until`` is when that can change by itself."""

    reason: str
    until: int | None = None
    hint: str = ""
    folder: str = ""
    """It holds for this folder of the inbox and all below it; ``""`` is the whole inbox."""
    limit: str = ""
    """Names the limit, in the same words for as long as it is reached, while the amounts in the reason change."""
    lasting: bool = False
    """Only the calendar or a person changes it, which is worth telling; a full house or the pace is daily life."""
    priced: bool = False
    """It holds for orders that cost money alone."""


@dataclass(frozen=True, slots=True)
class LimitScope:
    """Limits, and the folder of the inbox for which, with all below it, they hold."""

    limits: Limits
    folder: str = ""
    file: str = ""
    """The ``_defaults.yaml`` that states them; ``""`` is the configuration."""
    shut: LimitReached | None = None
    """Nothing goes here at all: the file that states the limits cannot be understood."""

    def covers(self, folder: str) -> bool:
        return is_below(folder, self.folder)

    def named(self, key: str) -> str:
        """``key`` with its place: ``limits.usd_per_day in cats/_defaults.yaml``."""
        return f"{key} in {self.file}" if self.file else key


@dataclass(frozen=True, slots=True)
class Usage:
    """What is taken already of one scope's limits.

    ``paced_until`` is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): the
    instant at which all submits so far would have been made, had they been evenly spaced.
    """

    in_flight: int
    micros_today: int
    micros_this_month: int
    paced_until: int = 0


def is_below(folder: str, top: str) -> bool:
    """Whether ``folder`` is ``top`` or lies below it; both are relative to the inbox, ``""`` being the inbox."""
    return not top or folder == top or folder.startswith(f"{top}/")


def dollars(micros: int) -> str:
    """``$0.80``; four decimals only where cents do not tell it all."""
    return f"${micros / MICROS:.2f}" if micros % 10_000 == 0 else f"${micros / MICROS:.4f}"


def refusal(scopes: Iterable[LimitScope], order: Order, price: int | None) -> Rejected | None:
    """Why these limits never let an order of this price through, whatever else is bought; None where they may."""
    for scope in scopes:
        limits = scope.limits
        if price is None:
            if not limits.of_money:
                continue
            what = f"the price of {order.model} at {order.size} is not known"
            add = 'Add "usd_per_second: 0.10" or "usd_per_video: 0.80", with its own price (0 if it is free)'
            return Rejected(
                f"{what}, which {scope.named(next(iter(limits.of_money)))} has to count",
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
    """Take a place, a beat of the pace and the money for one order, or say what there is none of.

    A clock that was set back costs no more than one beat of the pace.
    """
    if scope.shut is not None:
        return scope.shut
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
        return LimitReached(taken, folder=scope.folder, limit=scope.named("limits.in_flight"))
    interval, tolerance = _beat(limits)
    arrival: float = max(usage.paced_until, now)
    if arrival > now + tolerance + interval + 1:
        arrival = now + tolerance
    if arrival > now + tolerance:
        pace, until = f"the pace is {limits.submits_per_minute:g} submits a minute", math.ceil(arrival - tolerance)
        return LimitReached(pace, until, folder=scope.folder, limit=scope.named("limits.submits_per_minute"))
    return replace(
        usage,
        in_flight=usage.in_flight + 1,
        micros_today=usage.micros_today + cost,
        micros_this_month=usage.micros_this_month + cost,
        paced_until=math.ceil(arrival + interval),
    )


def next_beat(limits: Limits, paced_until: int) -> int:
    """When the pace lets the next order go."""
    return math.ceil(paced_until - _beat(limits)[1])


def _beat(limits: Limits) -> tuple[float, float]:
    """Milliseconds between two orders, and by how many one may be early."""
    interval = 60_000 / limits.submits_per_minute if limits.submits_per_minute else 0.0
    return interval, interval * (limits.burst - 1)


def _spent(scope: LimitScope, spent: int, cap: int, cost: int, until: int, period: str) -> LimitReached:
    limit = scope.named(f"limits.usd_per_{period}")
    if cap == 0:
        hint = "Raise it, or set it to null for no cap."
        reason = f"{limit} is {dollars(0)}, so nothing that costs money is bought"
        return LimitReached(reason, hint=hint, folder=scope.folder, limit=limit, lasting=True, priced=True)
    told = f"{dollars(spent)} spent or reserved, the next clip costs {dollars(cost)}"
    reason = f"{limit} of {dollars(cap)} is reached: {told}"
    return LimitReached(reason, until, folder=scope.folder, limit=limit, lasting=True, priced=True)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Jobs that are passed over: those in a folder and all below it, for ``models``, or for any where that is None."""

    folder: str = ""
    models: tuple[str, ...] | None = None

    def covers(self, folder: str, model: str | None) -> bool:
        return is_below(folder, self.folder) and (self.models is None or model in self.models)
