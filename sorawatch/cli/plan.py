"""What ``sorawatch plan`` prints."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from sorawatch.app.plan import ASSUMED_MS, Plan, PlannedOrder, sums
from sorawatch.cli.tables import table
from sorawatch.core.budget import dollars
from sorawatch.core.naming import one_line, terminal_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from sorawatch.core.calendar import LocalTime


def screen(plan: Plan) -> RenderableType:
    """Everything, whatever its length: a list that was cut would hide costs."""
    parts: list[RenderableType] = [
        Text("nothing is submitted now: ", "bold yellow").append(terminal_text(pause), "default not bold")
        for pause in plan.pauses
    ]
    parts += [_orders(plan)] if plan.orders else []
    rows = [(each.path, "\n".join(filter(None, (each.why, each.hint)))) for each in plan.refused]
    parts += [_list("would be refused, without costs", rows)] if rows else []
    rows = [(each.path, each.why) for each in plan.waiting]
    parts += [_list("waits in the inbox", rows)] if rows else []
    rows = [(each.path, _under_way(each.state.value, each.price, each.done_at, plan.time)) for each in plan.under_way]
    parts += [_list("ordered already", rows)] if rows else []
    return Group(*parts, _total(plan))


def _orders(plan: Plan) -> Table:
    """The orders by folder, each folder with its sum."""
    made = table("picture", "order", "price", "done about", title="would be ordered", unfolded=("price", "done about"))
    by_folder = sums(plan.orders)
    for folder, orders in groupby(sorted(plan.orders, key=lambda each: each.folder), key=lambda each: each.folder):
        for each in orders:
            what = f"{each.order.model} {each.order.size} {each.order.seconds} s"
            note = f"  {each.note}" if each.note else ""
            made.add_row(Text(one_line(each.path)), Text(what + note), _price(each.price), _done(each, plan.time))
        name = one_line(folder) if folder else "the inbox itself"
        count, micros, unknown = by_folder[folder]
        made.add_row(Text(name, "bold"), Text(_counted(count), "bold"), Text(_sum(micros, unknown), "bold"), "")
    return made


def _list(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    made = table("", "", title=title)
    for path, why in rows:
        made.add_row(Text(one_line(path)), Text(terminal_text(why)))
    return made


def _under_way(state: str, price: int | None, done_at: int | None, time: LocalTime) -> str:
    paid = "" if price is None else f", {dollars(price)}"
    return f"{state}{paid}" + ("" if done_at is None else f", done about {time.clock(done_at)}")


def _done(order: PlannedOrder, time: LocalTime) -> Text:
    if order.awaits_approval:
        return Text("after approval", "yellow")
    return Text("a limit keeps it back", "yellow") if order.done_at is None else Text(time.clock(order.done_at))


def _total(plan: Plan) -> Text:
    """The sum, when all is done, and what to do next."""
    found = sums(plan.orders).values()
    micros, unknown = sum(each[1] for each in found), sum(each[2] for each in found)
    counts = [f"{_counted(len(plan.orders))} for {_sum(micros, unknown)}"]
    counts += [f"{len(plan.refused)} would be refused"] if plan.refused else []
    counts += [f"{len(plan.waiting)} {'waits' if len(plan.waiting) == 1 else 'wait'}"] if plan.waiting else []
    counts += [f"{len(plan.under_way)} ordered already"] if plan.under_way else []
    text = Text("; ".join(counts), "bold").append(". Nothing was ordered by this command.", "default not bold")
    approval = [each for each in plan.orders if each.awaits_approval]
    if approval:
        cost = dollars(sum(each.price or 0 for each in approval))
        text.append(
            f"\n{_counted(len(approval))} for {cost} wait for approval, because with what else was dropped within five "
            "minutes they cost more than limits.confirm_above_usd. `sorawatch approve` orders what a daemon has found.",
            "yellow not bold",
        )
    ends = [each.done_at for each in plan.orders if not each.awaits_approval]
    known = [end for end in ends if end is not None]
    if known:
        text.append(f"\nThe last is done about {plan.time.clock(max(known))}", "default not bold")
        text.append(", if the other limits, pauses and the server allow it.", "default not bold")
        if plan.assumed:
            minutes = ASSUMED_MS // 60_000
            text.append(f" A clip of a kind that was not made yet is assumed to take {minutes} minutes.", "not bold")
    return text


def _counted(count: int) -> str:
    return "1 order" if count == 1 else f"{count} orders"


def _price(micros: int | None) -> str:
    return "unknown" if micros is None else dollars(micros)


def _sum(micros: int, unknown: int) -> str:
    return dollars(micros) + (f" and {unknown} of unknown price" if unknown else "")
