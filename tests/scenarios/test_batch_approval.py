"""Orders that settle together and cost more than `limits.confirm_above_usd` wait until a person approves them."""

from __future__ import annotations

import json
import logging
import time

import pytest

from tests.support.daemon_process import daemon, start
from tests.support.workspace import Workspace, wait_until

MINUTES = 60_000
"""Milliseconds."""
NOTICE = "WAITING-FOR-APPROVAL.txt"


class Clock:
    """The system clock plus an offset in milliseconds."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead


@pytest.fixture(autouse=True)
def limit(workspace: Workspace) -> None:
    """Two dollars; each clip costs 0.40."""
    workspace.set("limits", confirm_above_usd=2, in_flight=2)
    workspace.set("video", seconds=4)


def put(workspace: Workspace, folder: str, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        workspace.drop(f"{folder}/{number}.jpg" if folder else f"{number}.jpg", f"{folder or 'top'} {number}")


def waiting(workspace: Workspace) -> int:
    """How many orders wait for approval."""
    if not workspace.counts():
        return 0
    return sum("waits for `sorawatch approve`" in job.reason for job in workspace.status().jobs)


def wait_for_waiting(workspace: Workspace, count: int) -> None:
    wait_until(lambda: waiting(workspace) == count, told=workspace.told)


def creates(workspace: Workspace) -> int:
    return workspace.simulator.ledger().creates


def notices(workspace: Workspace) -> set[str]:
    return {name for name in workspace.files("errors") if name.endswith(NOTICE)}


class TestABatch:
    def test_waits_as_a_whole_and_goes_when_it_is_approved(
        self, workspace: Workspace, caplog: pytest.LogCaptureFixture
    ) -> None:
        put(workspace, "anna/trip", 5)
        put(workspace, "", 1)
        with caplog.at_level(logging.INFO, "sorawatch"), workspace.running():
            wait_for_waiting(workspace, 6)
            wait_until(lambda: notices(workspace) == {NOTICE, f"anna/{NOTICE}"})
            assert creates(workspace) == 0
            told = workspace.told()
            assert (
                "a batch waits for approval: 6 orders for $2.40 from the inbox itself, anna wait for approval" in told
            )
            assert "they cost more than limits.confirm_above_usd of $2.00" in told
            text = (workspace.errors / "anna" / NOTICE).read_text()
            assert text.startswith("Waiting for approval\n    5 orders for $2.00 in anna wait")
            assert "`sorawatch approve anna` orders those of anna, `sorawatch approve` everything." in text
            assert "No. What waits was not ordered." in text
            said = workspace.cli("approve")
            assert "Approved 6 orders for $2.40; the other limits still apply.\n" in said
            workspace.wait_for_clips(6)
            wait_until(lambda: not notices(workspace))
            wait_until(lambda: not workspace.status().pauses)
        assert creates(workspace) == 6
        assert workspace.files("errors") == {}
        logged = [record.getMessage() for record in caplog.records if "approval" in record.getMessage()]
        assert len(logged) == 1
        assert "`sorawatch approve` orders all of it" in logged[0]

    @pytest.mark.slow
    def test_begins_with_the_order_that_exceeds_the_limit_and_others_join(self, workspace: Workspace) -> None:
        clock = Clock()
        with workspace.running(clock):
            put(workspace, "", 5)
            workspace.wait_for_clips(5)
            put(workspace, "anna", 1)
            wait_for_waiting(workspace, 1)
            clock.ahead = 4 * MINUTES
            put(workspace, "ben", 1)
            wait_for_waiting(workspace, 2)
            clock.ahead = 8 * MINUTES
            put(workspace, "ben", 1, begin=1)
            wait_for_waiting(workspace, 3)
            assert "with $2.00 sent or approved before, they cost more than limits.confirm" in workspace.told()
            clock.ahead = 14 * MINUTES
            put(workspace, "carla", 1)
            workspace.wait_for_clips(6)
            assert waiting(workspace) == 3, "after five minutes something new begins"
            assert creates(workspace) == 6

    @pytest.mark.slow
    def test_is_approved_by_folder(self, workspace: Workspace) -> None:
        put(workspace, "anna", 4)
        put(workspace, "anna/trip", 1)
        put(workspace, "ben", 1)
        with workspace.running():
            wait_for_waiting(workspace, 6)
            said = workspace.cli("approve", "inbox/anna")
            assert "Approved 5 orders for $2.00; the other limits still apply. 1 order for $0.40 in other fold" in said
            workspace.wait_for_clips(5)
            wait_until(lambda: notices(workspace) == {f"ben/{NOTICE}"})
            assert waiting(workspace) == 1
            assert "nothing waits for approval in anna. In other folders 1 order for $0.40 wait" in workspace.cli(
                "approve", "anna", status=1
            )
            workspace.cli("approve", str(workspace.errors / "ben"))
            workspace.wait_for_clips(6)
        assert creates(workspace) == 6
        assert "nothing waits for approval." in workspace.cli("approve", status=1)
        assert "is no folder of the inbox" in workspace.cli("approve", "/", status=2)

    def test_goes_without_approval_once_what_is_left_costs_no_more_than_the_limit(self, workspace: Workspace) -> None:
        put(workspace, "anna", 8)
        with workspace.running():
            wait_for_waiting(workspace, 8)
            workspace.cli("cancel", "anna/0.jpg")
            (workspace.inbox / "anna" / "1.jpg").unlink()
            wait_for_waiting(workspace, 6)
            assert creates(workspace) == 0
            (workspace.inbox / "anna" / "2.jpg").unlink()
            workspace.wait_for_clips(5)
            wait_until(lambda: not notices(workspace))
            wait_until((workspace.errors / "anna" / "0.jpg").exists)
        assert creates(workspace) == 5

    @pytest.mark.slow
    def test_what_comes_after_the_approval_is_counted_anew(self, workspace: Workspace) -> None:
        put(workspace, "anna", 6)
        with workspace.running():
            wait_for_waiting(workspace, 6)
            workspace.cli("approve")
            put(workspace, "anna", 5, begin=6)
            workspace.wait_for_clips(11)
            put(workspace, "anna", 1, begin=11)
            wait_for_waiting(workspace, 1)
        assert creates(workspace) == 11

    def test_survives_restarts_and_ends_a_run_once(self, workspace: Workspace) -> None:
        put(workspace, "anna", 6)
        assert not workspace.run_once()
        assert not workspace.run_once()
        assert (creates(workspace), waiting(workspace)) == (0, 6)
        assert "a batch waits for approval: 6 orders for $2.40" in workspace.told()
        said = workspace.cli("approve")
        assert "No daemon is running: `sorawatch run` orders them." in said
        assert workspace.run_once()
        assert creates(workspace) == 6

    def test_of_free_orders_never_waits(self, workspace: Workspace) -> None:
        workspace.set("models", **{"sora-2": {"usd_per_second": 0}})
        put(workspace, "anna", 8)
        assert workspace.run_once()
        assert creates(workspace) == 8

    def test_is_counted_by_the_highest_price_until_the_pictures_are_read(self, workspace: Workspace) -> None:
        price = {"1280x720": 0.1, "720x1280": 1}
        workspace.set("models", **{"sora-2": {"usd_per_second": price}})
        workspace.drop("tall.jpg", size="auto")
        assert not workspace.run_once()
        assert waiting(workspace) == 1
        assert "1 order for $4.00 from the inbox itself waits for approval: it costs more" in workspace.told()

    @pytest.mark.slow
    def test_a_higher_limit_lets_it_go(self, workspace: Workspace) -> None:
        put(workspace, "anna", 6)
        assert not workspace.run_once()
        workspace.set("limits", confirm_above_usd=3)
        assert workspace.run_once()
        assert creates(workspace) == 6


class TestItsText:
    @pytest.mark.slow
    def test_leaves_the_file_of_somebody_else_alone(self, workspace: Workspace) -> None:
        (workspace.errors / NOTICE).write_text("mine")
        put(workspace, "", 6)
        with workspace.running():
            wait_for_waiting(workspace, 6)
            workspace.cli("approve")
            workspace.wait_for_clips(6)
        assert (workspace.errors / NOTICE).read_text() == "mine"

    @pytest.mark.slow
    def test_is_no_sidecar_if_it_is_dragged_along(self, workspace: Workspace) -> None:
        (workspace.inbox / NOTICE).write_text("Waiting for approval")
        workspace.drop("waiting-for-approval.jpg", "waves")
        assert workspace.run_once()
        (job,) = workspace.status().jobs
        assert job.order is not None
        assert job.order.prompt == "waves"
        assert not workspace.status().published.waiting


@pytest.mark.slow
def test_a_killed_daemon_neither_forgets_a_batch_nor_its_approval(workspace: Workspace) -> None:
    put(workspace, "anna", 6)
    killed = start(workspace)
    wait_for_waiting(workspace, 6)
    wait_until(lambda: notices(workspace))
    killed.kill()
    with daemon(workspace):
        wait_until(lambda: "running (pid" in workspace.cli("status"))
        assert (creates(workspace), waiting(workspace)) == (0, 6)
    workspace.cli("approve")
    killed = start(workspace)
    workspace.wait_for_creates(1)
    killed.kill()
    with daemon(workspace):
        workspace.wait_for_clips(6)
        wait_until(lambda: not notices(workspace))
    assert creates(workspace) == 6


def test_a_folder_cannot_have_such_a_limit(workspace: Workspace) -> None:
    (workspace.inbox / "anna").mkdir()
    (workspace.inbox / "anna" / "_defaults.yaml").write_text("limits: {confirm_above_usd: 1}\n")
    put(workspace, "anna", 1)
    assert not workspace.run_once()
    assert "confirm_above_usd: is only for the whole inbox" in workspace.told()


def test_every_price_must_be_known(workspace: Workspace) -> None:
    workspace.set("models", wan={"sizes": "any", "seconds": "any"})
    assert "which limits.confirm_above_usd has to count" in workspace.cli("check", status=1)


def test_programs_see_it(workspace: Workspace) -> None:
    put(workspace, "anna", 6)
    assert not workspace.run_once()
    status = json.loads(workspace.cli("status", "--json"))
    assert status["limits"]["confirm_above_usd"] == 2
    (pause,) = status["pauses"]
    assert pause["approval"] is True
