"""Renders that take too long, and the history of their jobs."""

from __future__ import annotations

import json
import logging

import pytest

from sorawatch.daemon.upkeep import job_log
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.workspace import Workspace, wait_until


def test_an_endless_render_is_reported_once_then_held_and_can_still_be_fetched(
    stalled_workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = stalled_workspace
    caplog.set_level(logging.INFO)
    workspace.set("polling", stall_minutes=0.005, abandon_hours=0.0004)
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    for change in workspace.changes:
        job_log.log_change(*change)
    assert [record.message for record in caplog.records if "stalled:" in record.message] != []
    assert len([record for record in caplog.records if "stalled:" in record.message]) == 1
    assert texts.RENDERS_WITHOUT_END in workspace.cli("status")
    shown = json.loads(workspace.cli("show", "beach.jpg", "--json"))
    assert shown["state"] == "held"
    assert [event["state"] for event in shown["history"]] == [
        "found", "ready", "submitting", "rendering", "rendering", "held",
    ]  # fmt: skip
    assert all(event["at"] > 1_700_000_000 for event in shown["history"])
    workspace.simulator.finish_all()
    workspace.cli("retry", "beach.jpg")
    assert workspace.run_once()
    assert workspace.files("outbox").keys() == {"beach.mp4"}
    assert workspace.simulator.ledger().creates == 1


def test_every_attempt_is_in_the_history_with_its_reason(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("answer_before", on="retrieve", status=500, message="no GPU", times=3))
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    shown = json.loads(workspace.cli("show", "beach.jpg", "--json"))
    failed = [event for event in shown["history"] if "no GPU" in event["reason"]]
    assert [event["state"] for event in failed] == ["rendering"] * 3
    assert "3 times, last at" in " ".join(workspace.cli("show", "beach.jpg").split())


def test_old_jobs_are_deleted(workspace: Workspace) -> None:
    workspace.set("keep_days", value=1)
    workspace.drop("bad.jpg", seconds=5)
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    workspace.age(days=20)
    workspace.run_once()
    assert workspace.counts() == {"done": 1}
    workspace.drop("again.jpg", "waves around beach")
    (workspace.inbox / "again.jpg").write_bytes((workspace.processed / "beach.jpg").read_bytes())
    assert not workspace.run_once()
    assert texts.SAME_ORDER in (workspace.errors / "again.error.txt").read_text()
    workspace.age(days=20)
    workspace.run_once()
    assert workspace.counts() == {}


def test_a_failed_generation_is_ordered_again_as_often_as_configured(workspace: Workspace) -> None:
    workspace.set("retries", failed_generations=2)
    workspace.simulator.inject(Fault("generation_fails", message="out of memory", times=2))
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 3
    workspace.simulator.inject(Fault("generation_fails", message="no", code="moderation_blocked", times=None))
    workspace.drop("other.jpg")
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 4
    wait_until(lambda: "other.error.txt" in workspace.files("errors"))
