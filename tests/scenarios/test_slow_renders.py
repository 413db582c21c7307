"""Renders that take too long, and what is told of a job afterwards."""

from __future__ import annotations

import json
import logging

import pytest

from sorawatch.daemon.upkeep import job_log
from sorawatch.simulator import Fault
from tests.support.workspace import Yard, wait_until


def test_a_render_without_end_is_reported_once_then_held_and_fetched_after_all(
    patient_yard: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    yard = patient_yard
    caplog.set_level(logging.INFO)
    yard.set("polling", stall_minutes=0.005, abandon_hours=0.0004)
    yard.drop("beach.jpg")
    assert not yard.run_once()
    for change in yard.changes:
        job_log.log_change(*change)
    assert [record.message for record in caplog.records if "stalled:" in record.message] != []
    assert len([record for record in caplog.records if "stalled:" in record.message]) == 1
    assert "comes to no end" in yard.cli("status")
    told = json.loads(yard.cli("show", "beach.jpg", "--json"))
    assert told["state"] == "held"
    assert [event["state"] for event in told["history"]] == [
        "found", "ready", "submitting", "rendering", "rendering", "held",
    ]  # fmt: skip
    assert all(event["at"] > 1_700_000_000 for event in told["history"])
    yard.simulator.finish_all()
    yard.cli("retry", "beach.jpg")
    assert yard.run_once()
    assert yard.files("outbox").keys() == {"beach.mp4"}
    assert yard.simulator.ledger().creates == 1


def test_every_attempt_is_told_with_its_reason(yard: Yard) -> None:
    yard.simulator.inject(Fault("answer_before", on="retrieve", status=500, message="no GPU", times=3))
    yard.drop("beach.jpg")
    assert yard.run_once()
    told = json.loads(yard.cli("show", "beach.jpg", "--json"))
    failed = [event for event in told["history"] if "no GPU" in event["reason"]]
    assert [event["state"] for event in failed] == ["rendering"] * 3
    assert "3 times, last at" in " ".join(yard.cli("show", "beach.jpg").split())


def test_what_ended_long_ago_is_forgotten(yard: Yard) -> None:
    yard.set("keep_days", value=1)
    yard.drop("bad.jpg", seconds=5)
    yard.drop("beach.jpg")
    assert not yard.run_once()
    yard.age(days=20)
    yard.run_once()
    assert yard.counts() == {"done": 1}
    yard.drop("again.jpg", "waves around beach")
    (yard.inbox / "again.jpg").write_bytes((yard.processed / "beach.jpg").read_bytes())
    assert not yard.run_once()
    assert "it is the same order as job" in (yard.errors / "again.error.txt").read_text()
    yard.age(days=20)
    yard.run_once()
    assert yard.counts() == {}


def test_a_failed_generation_is_ordered_again_as_often_as_configured(yard: Yard) -> None:
    yard.set("retries", failed_generations=2)
    yard.simulator.inject(Fault("generation_fails", message="out of memory", times=2))
    yard.drop("beach.jpg")
    assert yard.run_once()
    assert yard.simulator.ledger().creates == 3
    yard.simulator.inject(Fault("generation_fails", message="no", code="moderation_blocked", times=None))
    yard.drop("other.jpg")
    assert not yard.run_once()
    assert yard.simulator.ledger().creates == 4
    wait_until(lambda: "other.error.txt" in yard.files("errors"))
