"""The report of a month with more purchases than a page or a terminal holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from sorawatch import config
from sorawatch.cli import report
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.order import Order, Size
from sorawatch.core.purchase import Standing
from sorawatch.edges.store import Store

BOUGHT = 2_100
"""More than a page."""
TURNS = 3
MICROS = 800_000
AT = int(1000 * datetime(2026, 11, 2, 12, tzinfo=UTC).timestamp())
ORDER = Order("waves", "sora-2", Size(1280, 720), 8)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[report.MonthReport]:
    """Many purchases have the same time, so that a page ends between two of them."""
    root = tmp_path_factory.mktemp("month")
    clock = iter(range(AT, AT + TURNS))
    with closing(Store.create_or_open(root / "state.db", "one", lambda: next(clock))[0]) as store:
        for turn in range(TURNS):
            with store.transaction() as tx:
                for number in range(turn * BOUGHT // TURNS, (turn + 1) * BOUGHT // TURNS):
                    pair = Pair(f"folder {number % 3}", f"{number}.jpg", Stamp(9, number))
                    job = Job(f"{number:08}", State.DONE, pair, 1, 1, 1, ORDER, digest="d" * 64, price=MICROS)
                    tx.purchases.add(replace(job, token=f"{number:024}"))
                    tx.purchases.close(f"{number:024}", Standing.SPENT, f"{number}.mp4")
    (root / "config.yaml").write_text("state: state.db\n")
    with report.opened(config.load(root / "config.yaml", {}), "2026-11") as opened:
        yield opened


def test_the_month_is_the_sum_of_its_purchases(month: report.MonthReport) -> None:
    purchases = [*month.purchases()]
    assert month.orders == len({purchase.token for purchase in purchases}) == len(purchases) == BOUGHT
    assert month.sums == (sum(purchase.micros or 0 for purchase in purchases), 0)
    assert sum(group.clips for group in month.groups) == BOUGHT
    assert [purchase.at for purchase in purchases] == sorted(purchase.at for purchase in purchases)


def test_the_lines_of_a_spreadsheet_are_written_as_they_are_read(month: report.MonthReport) -> None:
    file = io.StringIO(newline="")
    report.write_csv(month, file)
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [row["picture"] for row in rows] == [f"{number}.jpg" for number in range(BOUGHT)]
    assert {row["usd"] for row in rows} == {"0.8"}


def test_a_terminal_shows_the_latest_and_how_to_list_the_others(month: report.MonthReport) -> None:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(report.tables(month))
    told = console.export_text()
    assert "2026-11: $1680.00 spent, $0.00 reserved" in told
    assert f"`sorawatch report --month 2026-11 --csv` lists all {BOUGHT}" in told
    assert f"{BOUGHT - 1}.mp4" in told
    assert "folder 0/0.jpg" not in told
