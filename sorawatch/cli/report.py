"""``sorawatch report``: lists the purchases of a month as tables, CSV or JSON."""

from __future__ import annotations

import csv
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from sorawatch.app.state import StateLocation
from sorawatch.cli.tables import table
from sorawatch.core.budget import dollars
from sorawatch.core.calendar import LocalTime, Period, iso, month_of, parse_month
from sorawatch.core.job import path_in
from sorawatch.core.naming import one_line, valid_text
from sorawatch.core.order import MICROS
from sorawatch.edges.store import PurchaseGroup, PurchaseRow, Store
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from sorawatch.config import Config

_COLUMNS = ("time", "folder", "picture", "model", "size", "seconds", "usd", "standing", "job", "video", "clip")


_PAGE = 2_000
"""Purchases that are read at once."""
_LISTED = 500
"""Purchases, and groups of them, that are listed on a terminal."""


@dataclass(frozen=True, slots=True)
class MonthReport:
    """The purchases of one month that cost or may cost money. ``month`` has the form ``2026-11``."""

    month: str
    period: Period
    groups: tuple[PurchaseGroup, ...]
    """The most expensive first."""
    time: LocalTime
    _store: Store

    @property
    def orders(self) -> int:
        """How many purchases there are."""
        return sum(group.orders for group in self.groups)

    @property
    def sums(self) -> tuple[int, int]:
        """Micro-dollars spent, and reserved."""
        return sum(group.spent for group in self.groups), sum(group.reserved for group in self.groups)

    def purchases(self) -> Iterator[PurchaseRow]:
        """Every purchase, the oldest first. They are read page by page, since there may be very many."""
        last = None
        while True:
            with self._store.transaction() as tx:
                page = tx.spending.purchases(self.period.begins, self.period.ends, after=last, limit=_PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]

    def latest(self, count: int) -> list[PurchaseRow]:
        """The latest purchases, the oldest of them first."""
        with self._store.transaction() as tx:
            return tx.spending.purchases(self.period.begins, self.period.ends, limit=count, latest=True)


@contextmanager
def opened(config: Config, month: str | None) -> Iterator[MonthReport]:
    """The report of a month, by default the present one. It can be read until the block ends.

    Raises:
        UsageError: if ``month`` is not a month, or there is no state yet.
    """
    zone = config.timezone
    try:
        period = parse_month(month, zone) if month else None
    except (ValueError, OverflowError) as error:
        raise UsageError(f'"{month}" is not a month. Write it as 2026-11.') from error
    with closing(Store.open_for_reading(StateLocation.of(config).database)) as store:
        with store.transaction() as tx:
            period = period or month_of(tx.now, zone)
            groups = sorted(tx.spending.groups(period.begins, period.ends), key=_most_expensive_first)
            time = LocalTime(tx.now, zone)
        yield MonthReport(iso(period.begins, zone)[:7], period, tuple(groups), time, store)


def write_csv(report: MonthReport, file: TextIO) -> None:
    """Write a line for each purchase, as in RFC 4180. Amounts are dollars."""
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    for purchase in report.purchases():
        usd = "" if purchase.micros is None else f"{Decimal(purchase.micros) / MICROS:f}"
        writer.writerow({**_row(purchase, report.time), "usd": usd})


def as_json(report: MonthReport) -> dict[str, object]:
    """The report for programs. Amounts are dollars."""
    spent, reserved = report.sums
    return {
        "month": report.month,
        "spent_usd": spent / MICROS,
        "reserved_usd": reserved / MICROS,
        "by_kind": [_group(group) for group in report.groups],
        "purchases": [_row(purchase, report.time) for purchase in report.purchases()],
    }


def tables(report: MonthReport) -> RenderableType:
    """The report for a terminal."""
    spent, reserved = report.sums
    head = Text(f"{report.month}: {dollars(spent)} spent, {dollars(reserved)} reserved")
    if not report.groups:
        return head
    by_group = table("folder", "model", "size", "seconds", "orders", "clips", "spent", "reserved")
    for group in report.groups[:_LISTED]:
        kind = (valid_text(group.folder or "") or ".", group.model or "", group.size or "", str(group.seconds or ""))
        counts = (str(group.orders), str(group.clips), dollars(group.spent), dollars(group.reserved))
        by_group.add_row(*map(Text, map(one_line, (*kind, *counts))))
    single = table("when", "picture", "order", "price", "clip")
    for purchase in report.latest(_LISTED):
        price = "unknown" if purchase.micros is None else dollars(purchase.micros)
        single.add_row(
            report.time.clock(purchase.at),
            Text(_path(purchase)),
            Text(f"{purchase.model} {purchase.size} {purchase.seconds} s"),
            price,
            Text(_result(purchase)),
        )
    parts: list[RenderableType] = [head, Text(), by_group, Text()]
    if max(report.orders, len(report.groups)) > _LISTED:
        listing = f"`sorawatch report --month {report.month} --csv` lists all {report.orders}"
        parts += [Text(f"the latest {_LISTED} orders; {listing}"), Text()]
    return Group(*parts, single)


def _most_expensive_first(group: PurchaseGroup) -> tuple[object, ...]:
    kind = (valid_text(group.folder or ""), group.model or "", group.size or "", group.seconds or 0)
    return -group.spent - group.reserved, kind


def _group(group: PurchaseGroup) -> dict[str, object]:
    return {
        "folder": valid_text(group.folder or ""),
        "model": group.model or "",
        "size": group.size or "",
        "seconds": group.seconds or 0,
        "orders": group.orders,
        "clips": group.clips,
        "spent_usd": group.spent / MICROS,
        "reserved_usd": group.reserved / MICROS,
    }


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


def _path(purchase: PurchaseRow) -> str:
    return one_line(path_in(purchase.folder or "", purchase.image or ""))
