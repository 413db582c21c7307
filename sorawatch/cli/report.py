"""``sorawatch report``: lists the purchases of a month as tables, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from sorawatch.app.state import StateLocation
from sorawatch.cli.tables import table
from sorawatch.core.budget import dollars
from sorawatch.core.calendar import LocalTime, iso, month_of, parse_month
from sorawatch.core.job import path_in
from sorawatch.core.naming import one_line, valid_text
from sorawatch.core.order import MICROS
from sorawatch.edges.store import PurchaseRow, Store
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sorawatch.config import Config

_COLUMNS = ("time", "folder", "picture", "model", "size", "seconds", "usd", "standing", "job", "video", "clip")


@dataclass(frozen=True, slots=True)
class MonthReport:
    """The purchases of one month that cost or may cost money. ``month`` has the form ``2026-11``."""

    month: str
    purchases: tuple[PurchaseRow, ...]
    time: LocalTime


PurchaseGroup = tuple[str, str, str, int]
"""Folder, model, size and seconds."""


def read(config: Config, month: str | None) -> MonthReport:
    """The report of a month, by default the present one.

    Raises:
        UsageError: if ``month`` is not a month, or there is no state yet.
    """
    zone = config.timezone
    try:
        period = parse_month(month, zone) if month else None
    except (ValueError, OverflowError) as error:
        raise UsageError(f'"{month}" is not a month. Write it as 2026-11.') from error
    with closing(Store.open_for_reading(StateLocation.of(config).database)) as store, store.transaction() as tx:
        period = period or month_of(tx.now, zone)
        purchases = tx.spending.purchases(period.begins, period.ends)
        return MonthReport(iso(period.begins, zone)[:7], tuple(purchases), LocalTime(tx.now, zone))


def groups(report: MonthReport) -> dict[PurchaseGroup, list[PurchaseRow]]:
    """The purchases in groups of the same folder, model, size and seconds, the most expensive group first."""
    found: dict[PurchaseGroup, list[PurchaseRow]] = defaultdict(list)
    for purchase in report.purchases:
        found[
            valid_text(purchase.folder or ""), purchase.model or "", purchase.size or "", purchase.seconds or 0
        ].append(purchase)
    return dict(sorted(found.items(), key=lambda each: (-sum(_sums(each[1])), each[0])))


def as_csv(report: MonthReport) -> str:
    """A line for each purchase, as in RFC 4180. Amounts are dollars."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    for purchase in report.purchases:
        usd = "" if purchase.micros is None else f"{Decimal(purchase.micros) / MICROS:f}"
        writer.writerow({**_row(purchase, report.time), "usd": usd})
    return file.getvalue()


def as_json(report: MonthReport) -> dict[str, object]:
    """The report for programs. Amounts are dollars."""
    spent, reserved = _sums(report.purchases)
    return {
        "month": report.month,
        "spent_usd": spent / MICROS,
        "reserved_usd": reserved / MICROS,
        "by_kind": [
            {**dict(zip(("folder", "model", "size", "seconds"), kind, strict=True)), **_totals(purchases)}
            for kind, purchases in groups(report).items()
        ],
        "purchases": [_row(purchase, report.time) for purchase in report.purchases],
    }


def tables(report: MonthReport) -> RenderableType:
    """The report for a terminal."""
    spent, reserved = _sums(report.purchases)
    head = Text(f"{report.month}: {dollars(spent)} spent, {dollars(reserved)} reserved")
    if not report.purchases:
        return head
    by_group = table("folder", "model", "size", "seconds", "orders", "clips", "spent", "reserved")
    for (folder, model, size, seconds), purchases in groups(report).items():
        made = _delivered(purchases)
        counts = (str(seconds or ""), str(len(purchases)), str(made))
        cells = (folder or ".", model, size, *counts, *map(dollars, _sums(purchases)))
        by_group.add_row(*map(Text, map(one_line, cells)))
    single = table("when", "picture", "order", "price", "clip")
    for purchase in report.purchases:
        price = "unknown" if purchase.micros is None else dollars(purchase.micros)
        single.add_row(
            report.time.clock(purchase.at),
            Text(_path(purchase)),
            Text(f"{purchase.model} {purchase.size} {purchase.seconds} s"),
            price,
            Text(_result(purchase)),
        )
    return Group(head, Text(), by_group, Text(), single)


def _result(purchase: PurchaseRow) -> str:
    if purchase.clip:
        return one_line(purchase.clip)
    return "under way" if purchase.reserved else f"none; see `sorawatch show {purchase.job_id}`"


def _row(purchase: PurchaseRow, time: LocalTime) -> dict[str, object]:
    return {
        "time": iso(purchase.at, time.zone),
        "folder": valid_text(purchase.folder or ""),
        "picture": valid_text(purchase.image or ""),
        "model": purchase.model,
        "size": purchase.size,
        "seconds": purchase.seconds,
        "usd": None if purchase.micros is None else purchase.micros / MICROS,
        "standing": "reserved" if purchase.reserved else "spent",
        "job": purchase.job_id,
        "video": purchase.video_id,
        "clip": None if purchase.clip is None else valid_text(purchase.clip),
    }


def _totals(purchases: Sequence[PurchaseRow]) -> dict[str, object]:
    spent, reserved = _sums(purchases)
    return {
        "orders": len(purchases),
        "clips": _delivered(purchases),
        "spent_usd": spent / MICROS,
        "reserved_usd": reserved / MICROS,
    }


def _sums(purchases: Iterable[PurchaseRow]) -> tuple[int, int]:
    """Micro-dollars spent, and reserved."""
    listed = [*purchases]
    reserved = sum(purchase.micros or 0 for purchase in listed if purchase.reserved)
    return sum(purchase.micros or 0 for purchase in listed) - reserved, reserved


def _delivered(purchases: Iterable[PurchaseRow]) -> int:
    """How many of the purchases have a clip."""
    return len([purchase for purchase in purchases if purchase.clip is not None])


def _path(purchase: PurchaseRow) -> str:
    return one_line(path_in(purchase.folder or "", purchase.image or ""))
