"""Batches: orders that settle close together wait for approval if they cost more than the configuration allows.

An order settles when its job is added. Times are milliseconds of the store's clock, money is micro-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.budget import dollars
from sorawatch.core.naming import one_line, valid_text
from sorawatch.core.order import Aim, Model, Order, Size
from sorawatch.core.pause import Pause

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW_MS = 300_000
"""Orders that settle within this time of one another belong together."""

WAITS = (
    "waits for `sorawatch approve`: with the orders that settled with it, it costs more than limits.confirm_above_usd"
)

NOTICE_HEADING = "Waiting for approval"
"""How every notice begins. A file of that name that begins otherwise was written by somebody else."""

_LIMIT = "limits.confirm_above_usd"
_SHAPES = (Size(16, 9), Size(9, 16))


@dataclass(frozen=True, slots=True)
class Recent:
    """The priced orders of the last `WINDOW_MS` that nobody has approved."""

    micros: int
    """What they cost together, those included that were sent already."""
    has_waiting: bool
    """One of them already waits for approval."""


@dataclass(frozen=True, slots=True)
class Share:
    """The orders of one first-level folder that wait for approval."""

    orders: int = 0
    micros: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders that wait together for approval."""

    number: int
    shares: Mapping[str, Share]
    """Those that wait, by their first-level folder; ``""`` is the inbox itself."""
    micros: int
    """What the whole batch costs, with the orders of it that were sent before it waited, or were approved since."""

    @property
    def waiting(self) -> Share:
        """All orders that wait."""
        shares = self.shares.values()
        return Share(sum(each.orders for each in shares), sum(each.micros for each in shares))


def expected_price(model: Model, order: Order) -> int | None:
    """The price of an order before its picture was read: the highest of the sizes that it may get; None if unknown."""
    shapes = _SHAPES if isinstance(order.size, Aim) else _SHAPES[:1]
    prices = [model.price(model.resolve(order.size, shape), order.seconds) for shape in shapes]
    return None if None in prices else max(price for price in prices if price is not None)


def must_wait(limit: int | None, recent: Recent) -> bool:
    """Whether all recent orders that were not sent yet wait for approval.

    As long as the sum is not above the limit, orders are sent at once. The order that exceeds it makes all wait that
    were not sent yet; others join while less than `WINDOW_MS` pass between two of them.
    """
    return limit is not None and (recent.has_waiting or recent.micros > limit)


def needs_no_approval(limit: int | None, batch: Batch) -> bool:
    """Whether a batch that waits may go: pictures were removed, or the limit was raised or removed."""
    return limit is None or batch.micros <= limit


def pause_of(batch: Batch, limit: int | None) -> Pause:
    """What is published of a batch that waits."""
    waiting = batch.waiting
    folders = ", ".join(one_line(folder) if folder else "the inbox itself" for folder in sorted(batch.shares))
    reason = f"{counted(waiting)} from {folders} {_wait(waiting)} for approval{_cause(batch, limit)}"
    hint = (
        "Nothing of it is sent or paid before. `sorawatch plan` lists it, `sorawatch approve` orders all of it, "
        "`sorawatch approve FOLDER` that of one folder; to order less, take pictures out of the inbox."
    )
    return Pause(reason, hint, limit=f"{_LIMIT}, batch {batch.number}", approval=True)


def notice(folder: str, share: Share, limit: int | None) -> str:
    """The text in the errors folder about the orders of a first-level folder that wait.

    Args:
        folder: ``""`` is the inbox itself.
        share: its orders in all batches.
    """
    name = one_line(folder) if folder else "the inbox"
    command = f"`sorawatch approve {one_line(folder)}` orders those of {name}, " if folder else ""
    above = "" if limit is None else f" of {dollars(limit)}"
    sections = (
        (
            NOTICE_HEADING,
            f"{counted(share)} in {name} {_wait(share)}, because together with what was dropped\n"
            f"within five minutes they cost more than {_LIMIT}{above} in the configuration.",
        ),
        ("Was it charged?", "No. What waits was not ordered. The pictures are still in the inbox."),
        (
            "What to do",
            f"`sorawatch plan` lists what would be ordered, with prices.\n{command}`sorawatch approve` everything.\n"
            "To order less, take pictures out of the inbox. If the rest costs no more than the limit, it is ordered\n"
            "without approval. `sorawatch cancel PICTURE…` moves pairs to the errors folder.",
        ),
        ("This text", "It goes away by itself once nothing waits."),
    )
    return valid_text(
        "\n\n".join(f"{title}\n    {text.replace(chr(10), chr(10) + '    ')}" for title, text in sections)
    )


def counted(share: Share) -> str:
    """``12 orders for $9.60``."""
    return f"{share.orders} {'order' if share.orders == 1 else 'orders'} for {dollars(share.micros)}"


def _wait(share: Share) -> str:
    return "waits" if share.orders == 1 else "wait"


def _cause(batch: Batch, limit: int | None) -> str:
    if limit is None:
        return ""
    others = batch.micros - batch.waiting.micros
    whole = f"with {dollars(others)} sent or approved before, " if others else ""
    cost = "costs" if batch.waiting.orders == 1 and not others else "cost"
    return f": {whole}{'it' if cost == 'costs' else 'they'} {cost} more than {_LIMIT} of {dollars(limit)}"
