"""Spending limits with the real daemon: files in, files out, and what the server billed."""

from __future__ import annotations

import csv
import io
import json
import logging
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sorawatch import config
from sorawatch.cli import report
from sorawatch.core.pause import Pause
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.workspace import Workspace, wait_until

HOURS = 3_600_000
"""Milliseconds."""


class Clock:
    """The system clock plus an offset in milliseconds."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead


def noon() -> str:
    """A time zone in which it is about noon now, so that no day ends during the test."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


@pytest.fixture(autouse=True)
def at_noon(workspace: Workspace) -> None:
    workspace.set("timezone", value=noon())


def limit(workspace: Workspace, folder: str, text: str) -> None:
    (workspace.inbox / folder).mkdir(exist_ok=True)
    (workspace.inbox / folder / "_defaults.yaml").write_text(f"seconds: 4\nlimits: {{{text}}}\n")


def paused(workspace: Workspace) -> tuple[Pause, ...]:
    return workspace.status().pauses


def error(workspace: Workspace, name: str) -> str:
    return (workspace.errors / name).read_text()


@pytest.mark.slow
def test_at_the_daily_cap_it_pauses_logs_once_and_continues_on_the_next_day(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    workspace.set("limits", usd_per_day=2.0)
    for number in range(12):
        workspace.drop(f"{number:02}.jpg", seconds=4)
    with caplog.at_level(logging.INFO, "sorawatch"), workspace.running(clock):
        wait_until(lambda: workspace.counts().get("done") == 5 and paused(workspace))
        assert workspace.simulator.ledger().creates == 5
        (pause,) = paused(workspace)
        output = workspace.told()
        assert (
            f"{texts.NOTHING_IS_SUBMITTED}: limits.usd_per_day of $2.00 is reached: $2.00 spent or reserved" in output
        )
        assert "the next clip costs $0.40" in output
        assert " 00:00." in output.partition("It goes on by itself at ")[2]
        assert "today: $2.00 spent, $0.00 reserved, $0.00 left of $2.00, 5 clips delivered" in output
        assert "this month: $2.00 spent, $0.00 reserved, no cap, 5 clips delivered" in output
        assert pause.until is not None
        assert pause.until - clock() < 13 * HOURS
        for days, creates in ((1, 10), (2, 12)):
            clock.ahead = days * 24 * HOURS
            workspace.wait_for_clips(creates)
        assert workspace.simulator.ledger().creates == 12
        wait_until(lambda: not paused(workspace))
    messages = [record.getMessage() for record in caplog.records if "usd_per_day" in record.getMessage()]
    assert len(messages) == 2, "once each day"
    assert "It goes on by itself at" in messages[0]


def test_a_folder_at_its_cap_stops_no_other_and_continues_after_its_limits_are_raised(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    limit(workspace, "cats", "usd_per_day: 0.8, usd_per_clip: 0.4")
    workspace.set("limits", in_flight=1, submits_per_minute=600)
    for number in range(14):
        workspace.drop(f"cats/{'old/' if number % 2 else ''}{number}.jpg")
    with caplog.at_level(logging.INFO, "sorawatch"), workspace.running():
        wait_until(lambda: paused(workspace))
        for number in range(3):
            workspace.drop(f"dogs/{number}.jpg", seconds=4)
        wait_until(lambda: len(workspace.files("outbox")) == 5, told=workspace.told)
        assert sum(name.startswith("cats/") for name in workspace.files("outbox")) == 2
        (pause,) = paused(workspace)
        assert (pause.folder, pause.limit) == ("cats", "limits.usd_per_day in cats/_defaults.yaml")
        assert (
            f"{texts.NOTHING_IS_SUBMITTED} from cats: limits.usd_per_day in cats/_defaults.yaml of $0.80"
            in workspace.told()
        )
        messages = [record.getMessage() for record in caplog.records if "submit" in record.getMessage()]
        assert len(messages) == 1, "the pace of the others brings it up no more"
        limit(workspace, "cats", "usd_per_day: 1.2")
        wait_until(lambda: len(workspace.files("outbox")) == 6)
    assert not workspace.run_once(), "what is left waits for its folder's next day"
    assert workspace.simulator.ledger().creates == 6


@pytest.mark.slow
def test_the_budget_of_a_folder_is_part_of_the_total(workspace: Workspace) -> None:
    limit(workspace, "cats", "usd_per_month: 100")
    workspace.set("limits", usd_per_month=0.8)
    for number in range(3):
        workspace.drop(f"cats/{number}.jpg")
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    assert "month: $0.80 spent, $0.00 reserved, $0.00 left of $0.80, 2 clips" in workspace.told()


@pytest.mark.slow
def test_a_folder_has_its_own_in_flight_limit(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("generation_hangs", prompt="slow", times=None))
    limit(workspace, "cats", "in_flight: 1")
    for number in range(3):
        workspace.drop(f"cats/{number}.jpg", "slow one")
    with workspace.running():
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
        for number in range(3):
            workspace.drop(f"{number}.jpg", seconds=4)
        wait_until(lambda: len(workspace.files("outbox")) == 3)
        assert workspace.simulator.ledger().creates == 4
        assert not paused(workspace), "a full house is daily life"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limits: {usd_per_day: lots}", 'cats/_defaults.yaml line 1, limits.usd_per_day: is "lots"'),
        ("limts: {usd_per_day: 1}", 'Did you mean "limits"?'),
        ("limits: {usd_per_day: 1", texts.OPEN_BRACKET),
    ],
)
def test_invalid_limits_stop_all_orders_of_the_folder(
    workspace: Workspace, caplog: pytest.LogCaptureFixture, text: str, words: str
) -> None:
    limit(workspace, "cats", "usd_per_day: 0.4")
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("cats/a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1})
        (workspace.inbox / "cats/_defaults.yaml").write_text(text)
        workspace.drop("b.jpg")
        wait_until(lambda: workspace.counts() == {"ready": 2})
        (workspace.inbox / "PAUSE").unlink()
        wait_until(lambda: len(workspace.files("outbox")) == 1 and paused(workspace))
        assert words in " ".join(workspace.told().split())
        assert ".." not in caplog.text
        assert workspace.simulator.ledger().creates == 1
        limit(workspace, "cats", "usd_per_day: 0.8")
        wait_until(lambda: len(workspace.files("outbox")) == 2)


def test_limits_are_refused_in_a_sidecar(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", limits={"usd_per_day": 100})
    assert not workspace.run_once()
    assert f"limits: {texts.UNKNOWN_KEY}" in error(workspace, "beach.error.txt")


@pytest.mark.parametrize("size", ["1280x720", "auto"])
def test_a_clip_above_its_cap_is_refused_with_its_price(workspace: Workspace, size: str) -> None:
    workspace.set("limits", usd_per_clip=0.5)
    workspace.drop("long.jpg", seconds=12, size=size)
    workspace.drop("short.jpg", seconds=4, size=size)
    assert not workspace.run_once()
    text = error(workspace, "long.error.txt")
    assert "it would cost $1.20, more than limits.usd_per_clip of $0.50 allows" in text
    assert f"{texts.WAS_IT_CHARGED}\n    No." in text
    assert [video.seconds for video in workspace.simulator.ledger().videos] == ["4"]


def test_an_unknown_price_below_a_folder_cap_is_refused_with_the_line_to_add(workspace: Workspace) -> None:
    workspace.set("models", wan={"sizes": "any", "seconds": "any"})
    limit(workspace, "cats", "usd_per_month: 100")
    workspace.drop("cats/a.jpg", model="wan")
    assert not workspace.run_once()
    text = " ".join(error(workspace, "cats/a.error.txt").split())
    assert "the price of wan at 1280x720 is not known, which limits.usd_per_month in cats/_defaults.yaml" in text
    assert (
        'Add "usd_per_second: 0.10" or "usd_per_video: 0.80", with its own price (0 if it is free), to models.wan in the'
        " configuration" in text
    )
    assert workspace.simulator.ledger().creates == 0


@pytest.mark.slow
def test_a_price_per_clip_applies_to_any_length(workspace: Workspace) -> None:
    workspace.set("models", **{"sora-2": {"usd_per_video": 0.5}})
    workspace.set("limits", usd_per_day=1.1)
    for name, seconds in (("a.jpg", 4), ("b.jpg", 12), ("c.jpg", 8)):
        workspace.drop(name, seconds=seconds)
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    assert "$1.00 spent, $0.00 reserved" in workspace.told()


def test_a_cap_of_zero_buys_nothing_and_fails_no_job(workspace: Workspace) -> None:
    workspace.set("limits", usd_per_day=0)
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    with workspace.running():
        wait_until(lambda: f"limits.usd_per_day is $0.00, {texts.NOTHING_BOUGHT}" in workspace.told())
        wait_until(lambda: f"Raise it, or set it to {texts.NO_CAP}." in workspace.told(), told=workspace.told)
    assert set(workspace.files("inbox")) == {"beach.jpg", "beach.yaml"}


class TestBilling:
    MODERATED = Fault("generation_fails", code="moderation_blocked", message="blocked by our moderation system")

    def test_by_default_failed_generations_are_free_and_ordered_again(self, workspace: Workspace) -> None:
        workspace.set("limits", usd_per_day=1.2)
        workspace.simulator.inject(Fault("generation_fails"))
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        assert workspace.status().today.spent == 800_000

    def test_if_they_are_billed_none_is_bought_again(self, workspace: Workspace) -> None:
        workspace.set("billing", failed=True)
        workspace.simulator.inject(Fault("generation_fails"))
        workspace.drop("beach.jpg")
        assert not workspace.run_once()
        assert workspace.simulator.ledger().creates == 1
        assert workspace.status().today.spent == 800_000
        assert "Failed generations are billed." in error(workspace, "beach.error.txt")

    @pytest.mark.parametrize(("billed", "spent"), [(True, 800_000), (False, 0)])
    def test_what_moderation_refused(self, workspace: Workspace, billed: bool, spent: int) -> None:
        workspace.set("billing", moderated=billed)
        workspace.simulator.inject(self.MODERATED)
        workspace.drop("beach.jpg")
        assert not workspace.run_once()
        assert workspace.status().today.spent == spent
        assert (f"{texts.WAS_IT_CHARGED}\n    No." in error(workspace, "beach.error.txt")) is not billed

    def test_a_held_order_stays_reserved(self, workspace: Workspace) -> None:
        workspace.set("limits", usd_per_day=1.2)
        workspace.simulator.inject(
            Fault("lost_after", on="create"), Fault("answer_before", on="list", status=404, times=None)
        )
        workspace.drop("held.jpg")
        workspace.drop("waits.jpg")
        assert not workspace.run_once()
        assert workspace.counts() == {"held": 1, "ready": 1}
        assert "today: $0.00 spent, $0.80 reserved, $0.40 left of $1.20, 0 clips" in workspace.told()


class TestReport:
    @pytest.fixture
    def spent(self, workspace: Workspace) -> Workspace:
        workspace.simulator.inject(Fault("generation_hangs", prompt="slow", times=None))
        workspace.drop("a,b.jpg", seconds=4)
        workspace.drop("cats/c.jpg", seconds=8)
        workspace.drop("cats/d.jpg", seconds=8)
        workspace.drop("e.jpg", "slow one", seconds=12)
        with workspace.running():
            wait_until(lambda: workspace.counts() == {"done": 3, "rendering": 1})
        return workspace

    def test_on_a_terminal(self, spent: Workspace) -> None:
        lines = spent.cli("report").splitlines()
        month = datetime.now(UTC).strftime("%Y-")
        assert lines[0].startswith(month)
        assert lines[0].endswith(": $2.00 spent, $1.20 reserved")
        (cats,) = (line.split() for line in lines if line.startswith("cats "))
        assert cats == ["cats", "sora-2", "1280x720", "8", "2", "2", "$1.60", "$0.00"]
        (under_way,) = (line for line in lines if "e.jpg" in line)
        assert under_way.split()[-3:] == ["$1.20", "under", "way"]
        assert any("cats/c.jpg" in line and "cats/c.mp4" in line and "$0.80" in line for line in lines)

    def test_for_spreadsheets(self, spent: Workspace) -> None:
        rows = list(csv.DictReader(io.StringIO(spent.cli("report", "--csv"))))
        assert [row["usd"] for row in rows if row["standing"] == "spent"].count("0.8") == 2
        first = next(row for row in rows if row["picture"] == "a,b.jpg")
        assert (first["folder"], first["model"], first["size"], first["seconds"]) == ("", "sora-2", "1280x720", "4")
        assert (first["usd"], first["clip"]) == ("0.4", "a,b.mp4")
        assert datetime.fromisoformat(first["time"]).tzinfo is not None
        assert sum(float(row["usd"]) for row in rows) == pytest.approx(3.2)

    def test_for_programs_and_of_other_months(self, spent: Workspace) -> None:
        found = json.loads(spent.cli("report", "--json"))
        assert (found["spent_usd"], found["reserved_usd"]) == (2.0, 1.2)
        dearest = {"folder": "cats", "model": "sora-2", "size": "1280x720", "seconds": 8, "orders": 2, "clips": 2}
        assert found["by_kind"][0] == {**dearest, "spent_usd": 1.6, "reserved_usd": 0.0}
        assert len(found["purchases"]) == 4
        assert json.loads(spent.cli("report", "--json", "--month", "2001-02"))["purchases"] == []
        assert '"2001" is not a month. Write it as 2026-11.' in spent.cli("report", "--month", "2001", status=2)
        assert "--csv and --json" in spent.cli("report", "--csv", "--json", status=2)

    def test_months_are_those_of_the_time_zone(self, tmp_path: Path, workspace: Workspace) -> None:
        clock = Clock()
        clock.ahead = int(1000 * datetime(2026, 2, 28, 23, 30, tzinfo=UTC).timestamp()) - clock()
        workspace.set("timezone", value="Europe/Berlin")
        workspace.drop("beach.jpg", seconds=4)
        with workspace.running(clock):
            wait_until(lambda: len(workspace.files("outbox")) == 1)
        loaded = config.load(workspace.root / "config.yaml", {})
        found = []
        for month in ("2026-02", "2026-03"):
            with report.opened(loaded, month) as opened:
                found.append((opened.orders, len([*opened.purchases()])))
        assert found == [(0, 0), (1, 1)]
