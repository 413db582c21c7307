"""`sorawatch plan`: what lies in the inbox, with prices and times; it orders and writes nothing."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.support.workspace import Workspace, wait_until


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    """Each clip costs 0.40."""
    workspace.set("video", seconds=4)
    return workspace


def planned(workspace: Workspace, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(workspace.cli("plan", *arguments, "--json"))
    return found


def everything(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """All files of the workspace but its configuration, with their sizes and times."""
    paths = (path for path in workspace.root.rglob("*") if path.is_file() and path.name != "config.yaml")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def test_before_the_first_run(workspace: Workspace) -> None:
    workspace.drop("anna/1.jpg")
    workspace.drop("anna/2.jpg", seconds=8)
    workspace.drop("ben/trip/3.jpg", priority=2)
    workspace.drop("ben/4.jpg", seconds=5)
    workspace.drop("5.jpg", prompt="")
    (workspace.inbox / "notes.doc").write_text("x")
    workspace.set("limits", in_flight=1)
    before = everything(workspace)
    told = workspace.cli("plan")
    found = planned(workspace)
    assert everything(workspace) == before
    assert workspace.simulator.ledger().requests == 0
    assert [each["image"] for each in found["orders"]] == ["ben/trip/3.jpg", "anna/1.jpg", "anna/2.jpg"]
    assert [each["price_usd"] for each in found["orders"]] == [0.4, 0.4, 0.8]
    assert found["folders"] == [
        {"folder": "anna", "orders": 2, "usd": 1.2, "unknown_prices": 0},
        {"folder": "ben/trip", "orders": 1, "usd": 0.4, "unknown_prices": 0},
    ]
    (refused,) = found["refused"]
    assert refused["image"] == "ben/4.jpg"
    assert "seconds: is 5" in refused["why"]
    assert {each["path"]: each["why"] for each in found["waiting"]} == {
        "5.jpg": "no sidecar yet, and no default prompt",
        "notes.doc": "not a picture format sorawatch reads",
    }
    ends = [each["done_at"] for each in found["orders"]]
    assert [round(end - ends[0]) for end in ends] == [0, 180, 360]
    assert found["total"] == {"orders": 3, "usd": 1.6, "unknown_prices": 0, "done_at": ends[-1]}
    assert "3 orders for $1.60; 1 would be refused; 2 wait. Nothing was ordered by this command." in told
    assert "A clip of a kind that was not made yet is assumed to take 3 minutes." in told
    assert "2 orders" in told
    assert "$1.20" in told


def test_it_is_what_a_run_then_does(workspace: Workspace) -> None:
    workspace.drop("first.jpg", "done before")
    assert workspace.run_once()
    for name in ("first.jpg", "first.yaml"):
        shutil.copy(workspace.processed / name, workspace.inbox)
    workspace.drop("anna/1.jpg", "the same", size="auto")
    for suffix in (".jpg", ".yaml"):
        shutil.copy(workspace.inbox / "anna" / f"1{suffix}", workspace.inbox / "anna" / f"2{suffix}")
    workspace.drop("dear.jpg", seconds=12)
    workspace.set("limits", usd_per_clip=1)
    found = planned(workspace)
    assert [each["image"] for each in found["orders"]] == ["anna/1.jpg"]
    whys = {each["image"]: each["why"] for each in found["refused"]}
    assert whys.keys() == {"first.jpg", "anna/2.jpg", "dear.jpg"}
    assert "delivered as first.mp4" in whys["first.jpg"]
    assert "it is the same order as that of anna/1.jpg" in whys["anna/2.jpg"]
    assert "more than limits.usd_per_clip of $1.00" in whys["dear.jpg"]
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    pictures = {name for name in workspace.files("errors") if name.endswith(".jpg")}
    assert (pictures - {"anna/1.jpg", "anna/2.jpg"}, len(pictures)) == ({"dear.jpg"}, 2)


@pytest.mark.slow
def test_while_a_daemon_runs(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("video", seconds=4)
    workspace.set("limits", in_flight=1, usd_per_day=1)
    workspace.drop("a/1.jpg")
    with workspace.running():
        workspace.wait_for_creates(1)
        for number in (2, 3):
            workspace.drop(f"a/{number}.jpg")
        wait_until(lambda: sum(workspace.counts().values()) == 3)
        found, told = planned(workspace, "a"), workspace.cli("plan", str(workspace.inbox / "a"))
        assert [(each["image"], each["state"]) for each in found["under_way"]] == [("a/1.jpg", "rendering")]
        assert [each["image"] for each in found["orders"]] == ["a/2.jpg", "a/3.jpg"]
        assert found["orders"][1]["done_at"] > found["orders"][0]["done_at"], "tomorrow, or when the place is free"
        assert "a/1.jpg" in told
        assert "1 ordered already" in told
        (workspace.inbox / "b").mkdir()
        assert planned(workspace, "b")["orders"] == []
        assert "there is no folder c in the inbox" in workspace.cli("plan", "c", status=2)
        workspace.cli("pause")
        wait_until(lambda: planned(workspace)["pauses"])
        assert "nothing is submitted now: paused with `sorawatch pause`" in workspace.cli("plan")


def test_times_are_learnt_from_earlier_renders(workspace: Workspace) -> None:
    workspace.drop("first.jpg")
    assert workspace.run_once()
    workspace.drop("second.jpg")
    found = planned(workspace)
    assert found["assumed_seconds"] is None
    assert "is assumed to take" not in workspace.cli("plan")


def test_a_batch_that_would_wait(workspace: Workspace) -> None:
    workspace.set("limits", confirm_above_usd=1)
    for number in range(3):
        workspace.drop(f"{number}.jpg")
    said = "3 orders for $1.20 wait for approval"
    assert said in workspace.cli("plan")
    assert not workspace.run_once()
    assert said in workspace.cli("plan")
    assert [each["awaits_approval"] for each in planned(workspace)["orders"]] == [True] * 3
    workspace.cli("approve")
    assert [each["awaits_approval"] for each in planned(workspace)["orders"]] == [False] * 3


def test_nothing_is_cut(workspace: Workspace) -> None:
    (workspace.inbox / "_defaults.yaml").write_text("prompt: waves\n")
    for number in range(300):
        (workspace.inbox / f"{number:03}.jpg").write_bytes(b"%d" % number * 7)
    told = workspace.cli("plan")
    assert all(f"{number:03}.jpg" in told for number in range(300))
    assert "300 orders for $120.00" in told


def test_an_inbox_that_is_not_mounted_is_not_taken_for_an_empty_one(workspace: Workspace) -> None:
    assert workspace.run_once()
    (workspace.inbox / ".sorawatch").unlink()
    assert "has lost its file .sorawatch" in workspace.cli("plan", status=1)
