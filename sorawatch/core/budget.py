"""What may be submitted now: places, pace and money. Times are milliseconds, money is micro-dollars."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sorawatch.core.order import MICROS


@dataclass(frozen=True, slots=True)
class Caps:
    """The configured limits; None for no cap."""

    in_flight: int = 4
    submits_per_minute: float = 30.0
    micros_per_day: int | None = 20 * MICROS
    micros_per_month: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What is taken already.

    ``paced_until`` is the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): the
    instant at which all submits so far would have been made, had they been evenly spaced.
    """

    in_flight: int
    micros_today: int
    micros_this_month: int
    paced_until: int = 0


@dataclass(frozen=True, slots=True)
class Closed:
    """Why nothing, or not this order, may be submitted now. ``until`` is when that can change by itself."""

    reason: str
    until: int | None = None
    of_money: bool = False
    """A cap on spending is reached, which is worth telling; a full house or the pace is daily life."""


def dollars(micros: int) -> str:
    """``$0.80``; four decimals only where cents do not tell it all."""
    return f"${micros / MICROS:.2f}" if micros % 10_000 == 0 else f"${micros / MICROS:.4f}"


def admit(caps: Caps, usage: Usage, price: int | None, now: int, *, day_ends: int, month_ends: int) -> Usage | Closed:
    """Take a place, a beat of the pace and the money for one order, or say what there is none of.

    The pace allows a burst as large as ``in_flight``, for the server has agreed to that many at once. A clock that
    was set back costs no more than one beat of it.
    """
    if usage.in_flight >= caps.in_flight:
        return Closed(f"{usage.in_flight} of {caps.in_flight} places in flight are taken")
    interval = 60_000 / caps.submits_per_minute
    burst = interval * (caps.in_flight - 1)
    arrival: float = max(usage.paced_until, now)
    if arrival > now + burst + interval + 1:
        arrival = now + burst
    if arrival > now + burst:
        until = math.ceil(arrival - burst)
        return Closed(f"the pace is {caps.submits_per_minute:g} submits a minute", until=until)
    cost = price or 0
    for spent, cap, until, name in (
        (usage.micros_today, caps.micros_per_day, day_ends, "day"),
        (usage.micros_this_month, caps.micros_per_month, month_ends, "month"),
    ):
        if cap is not None and spent + cost > cap:
            reason = (
                f"limits.usd_per_{name} of {dollars(cap)} is reached: "
                f"{dollars(spent)} spent or reserved, the next clip costs {dollars(cost)}"
            )
            return Closed(reason, until=until, of_money=True)
    return replace(
        usage,
        in_flight=usage.in_flight + 1,
        micros_today=usage.micros_today + cost,
        micros_this_month=usage.micros_this_month + cost,
        paced_until=math.ceil(arrival + interval),
    )
