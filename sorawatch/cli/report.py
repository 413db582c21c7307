"""``sorawatch report``: what was spent in a month, and on what, as tables, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from sorawatch.app.state import StateLocation
from sorawatch.cli.screens import bare_table
from sorawatch.core.budget import dollars
from sorawatch.core.calendar import clock_time, iso, month_named, month_of
from sorawatch.core.job import path_in
from sorawatch.core.naming import legible, on_a_line
from sorawatch.core.order import MICROS
from sorawatch.edges.store import PurchaseRow, Store
from sorawatch.errors import UsageError

if TYPE_CHECKING:
    from sorawatch.config import Config

_COLUMNS = ("time", "folder", "picture", "model", "size", "seconds", "usd", "standing", "job", "video", "clip")


@dataclass(frozen=True, slots=True)
class MonthReport:
    """The purchases of one month that cost money, or may; ``month`` is ``2026-11``."""

    month: str
    entries: tuple[PurchaseRow, ...]
    now: int
    """Milliseconds of the store's clock."""


PurchaseGroup = tuple[str, str, str, int]
"""Folder, model, size and seconds."""


def read(config: Config, month: str | None) -> MonthReport:
    """The statement of a month, by default the present one.

    Raises:
        UsageError: if there is no such month, or no state yet.
    """
    zone = config.timezone
    try:
        period = month_named(month, zone) if month else None
    except (ValueError, OverflowError) as error:
        raise UsageError(f'"{month}" is not a month. Write it as 2026-11.') from error
    with closing(Store.open_for_reading(StateLocation.of(config).keeper)) as store, store.transaction() as tx:
        period = period or month_of(tx.now, zone)
        entries = tx.books.entries(period.begins, period.ends)
        return MonthReport(iso(period.begins, zone)[:7], tuple(entries), tx.now)


def kinds(statement: MonthReport) -> dict[PurchaseGroup, list[PurchaseRow]]:
    """The purchases by what was bought, the dearest kind first."""
    found: dict[PurchaseGroup, list[PurchaseRow]] = defaultdict(list)
    for entry in statement.entries:
        found[legible(entry.folder or ""), entry.model or "", entry.size or "", entry.seconds or 0].append(entry)
    return dict(sorted(found.items(), key=lambda each: (-sum(_sums(each[1])), each[0])))


def as_csv(statement: MonthReport, config: Config) -> str:
    """A line for each purchase, by RFC 4180; amounts in dollars."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, _COLUMNS)
    writer.writeheader()
    for entry in statement.entries:
        usd = "" if entry.micros is None else f"{Decimal(entry.micros) / MICROS:f}"
        writer.writerow({**_row(entry, config), "usd": usd})
    return file.getvalue()


def as_json(statement: MonthReport, config: Config) -> dict[str, object]:
    """The statement for programs; amounts in dollars."""
    spent, reserved = _sums(statement.entries)
    return {
        "month": statement.month,
        "spent_usd": spent / MICROS,
        "reserved_usd": reserved / MICROS,
        "by_kind": [
            {**dict(zip(("folder", "model", "size", "seconds"), kind, strict=True)), **_totals(entries)}
            for kind, entries in kinds(statement).items()
        ],
        "purchases": [_row(entry, config) for entry in statement.entries],
    }


def shown(statement: MonthReport, config: Config) -> RenderableType:
    """The statement for a terminal."""
    spent, reserved = _sums(statement.entries)
    head = Text(f"{statement.month}: {dollars(spent)} spent, {dollars(reserved)} reserved")
    if not statement.entries:
        return head
    groups = bare_table("folder", "model", "size", "seconds", "orders", "clips", "spent", "reserved")
    for (folder, model, size, seconds), entries in kinds(statement).items():
        made = sum(entry.clip is not None for entry in entries)
        counts = (str(seconds or ""), str(len(entries)), str(made))
        cells = (folder or ".", model, size, *counts, *map(dollars, _sums(entries)))
        groups.add_row(*map(Text, map(on_a_line, cells)))
    single = bare_table("when", "picture", "order", "price", "clip")
    for entry in statement.entries:
        price = "unknown" if entry.micros is None else dollars(entry.micros)
        single.add_row(
            clock_time(entry.at, statement.now, config.timezone),
            Text(_path(entry)),
            Text(f"{entry.model} {entry.size} {entry.seconds} s"),
            price,
            Text(_came_of_it(entry)),
        )
    return Group(head, Text(), groups, Text(), single)


def _came_of_it(entry: PurchaseRow) -> str:
    if entry.clip:
        return on_a_line(entry.clip)
    return "under way" if entry.reserved else f"none; see `sorawatch show {entry.job_id}`"


def _row(entry: PurchaseRow, config: Config) -> dict[str, object]:
    return {
        "time": iso(entry.at, config.timezone),
        "folder": legible(entry.folder or ""),
        "picture": legible(entry.image or ""),
        "model": entry.model,
        "size": entry.size,
        "seconds": entry.seconds,
        "usd": None if entry.micros is None else entry.micros / MICROS,
        "standing": "reserved" if entry.reserved else "spent",
        "job": entry.job_id,
        "video": entry.video_id,
        "clip": None if entry.clip is None else legible(entry.clip),
    }


def _totals(entries: Sequence[PurchaseRow]) -> dict[str, object]:
    spent, reserved = _sums(entries)
    return {
        "orders": len(entries),
        "clips": sum(entry.clip is not None for entry in entries),
        "spent_usd": spent / MICROS,
        "reserved_usd": reserved / MICROS,
    }


def _sums(entries: Iterable[PurchaseRow]) -> tuple[int, int]:
    """Micro-dollars spent, and reserved."""
    sums = [0, 0]
    for entry in entries:
        sums[entry.reserved] += entry.micros or 0
    return sums[0], sums[1]


def _path(entry: PurchaseRow) -> str:
    return on_a_line(path_in(entry.folder or "", entry.image or ""))
