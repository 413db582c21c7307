"""A lost state, or an older one that was restored: later purchases are known from the ledger beside it."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow


@contextmanager
def restored_afterwards(workspace: Workspace, *, work: bool = True) -> Iterator[None]:
    """Restore the state from before the block after it. The work folder is removed unless ``work`` is true."""
    backup = workspace.root / "backup"
    shutil.rmtree(backup, ignore_errors=True)
    backup.mkdir()
    state = workspace.root / "state.db"
    if state.exists():
        shutil.copy(state, backup)
    yield
    for path in workspace.root.glob("state.db*"):
        if path.is_file() and path.name != "state.db.ledger":
            path.unlink()
    if (backup / "state.db").exists():
        shutil.copy(backup / "state.db", state)
    if not work:
        shutil.rmtree(workspace.root / "state.db.work")


def drop_again(workspace: Workspace, name: str = "beach") -> None:
    for suffix in (".yaml", ".jpg"):
        shutil.copy(workspace.processed / f"{name}{suffix}", workspace.inbox)


def ledger(workspace: Workspace) -> Path:
    return workspace.root / "state.db.ledger"


def lines(workspace: Workspace) -> list[dict[str, Any]]:
    """The lines after the header, which the first start writes."""
    header, *others = [json.loads(line) for line in ledger(workspace).read_bytes().splitlines()]
    assert header["entry"] == "ledger"
    return others


def came_back(workspace: Workspace, name: str = "beach") -> bool:
    """Whether the pair was recognised as that of a delivered order. The first one may be there or not."""
    (told,) = workspace.processed.glob(f"{name}*.returned.txt")
    return texts.SAME_ORDER in told.read_text()


def pause(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()


def resume(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").unlink()


def ready(workspace: Workspace) -> None:
    """Run a daemon until there is one ready job."""
    pause(workspace)
    with workspace.running():
        wait_until(lambda: "ready" in workspace.states("beach.jpg"))
    resume(workspace)


def test_the_ledger_has_every_purchase_and_its_result(workspace: Workspace) -> None:
    name = os.fsdecode(b"tr\xffip/beach \xfc.jpg")
    workspace.drop(name, "waves", seconds=4)
    assert workspace.run_once()
    bought, video, settled = lines(workspace)
    (job,) = workspace.status().jobs
    assert (bought["entry"], bought["job_id"], bought["micros"]) == ("bought", job.id, 400_000)
    assert (bought["folder"], bought["image"]) == (os.fsdecode(b"tr\xffip"), os.fsdecode(b"beach \xfc.jpg"))
    assert (bought["model"], bought["size"], bought["seconds"], bought["take"]) == ("sora-2", "1280x720", 4, 1)
    assert video == {"entry": "video", "token": bought["token"], "video_id": job.video_id}
    assert settled == {"entry": "settled", "token": bought["token"], "standing": "spent", "clip": job.clip}
    assert stat.S_IMODE(ledger(workspace).stat().st_mode) == 0o600
    assert b"waves" not in ledger(workspace).read_bytes()


class TestAnOlderState:
    def test_without_a_job_that_was_delivered_since(self, workspace: Workspace) -> None:
        workspace.drop("first.jpg")
        assert workspace.run_once()
        with restored_afterwards(workspace):
            workspace.drop("beach.jpg")
            assert workspace.run_once()
        drop_again(workspace)
        assert workspace.run_once()
        assert came_back(workspace)
        assert workspace.simulator.ledger().creates == 2
        assert "$1.60 spent" in workspace.cli("report")

    @pytest.mark.parametrize("work", [True, False])
    def test_with_a_ready_job_that_was_delivered_since(self, workspace: Workspace, work: bool) -> None:
        workspace.drop("beach.jpg")
        ready(workspace)
        with restored_afterwards(workspace, work=work):
            assert workspace.run_once()
        assert workspace.run_once()
        assert (workspace.simulator.ledger().creates, {*workspace.files("outbox")}) == (1, {"beach.mp4"})
        assert {*workspace.files("processed")} == {"beach.jpg", "beach.yaml"}
        assert [job.clip for job in workspace.status().jobs] == ["beach.mp4"]

    def test_with_a_rendering_job_that_was_delivered_since(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        with restored_afterwards(workspace, work=False):
            workspace.simulator.finish_all()
            assert workspace.run_once()
        assert workspace.run_once()
        assert (workspace.simulator.ledger().creates, {*workspace.files("outbox")}) == (1, {"beach.mp4"})

    @pytest.mark.parametrize("known", [True, False])
    def test_without_an_order_whose_video_is_in_the_ledger(self, stalled_workspace: Workspace, known: bool) -> None:
        """The work folder does not know the order either."""
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        if known:
            ready(workspace)
        with restored_afterwards(workspace, work=False), workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        workspace.changes.clear()
        workspace.simulator.finish_all()
        assert workspace.run_once()
        assert (workspace.simulator.ledger().creates, {*workspace.files("outbox")}) == (1, {"beach.mp4"})
        assert "submitting" not in workspace.states("beach.jpg")

    @pytest.mark.parametrize("known", [True, False])
    def test_without_an_order_whose_answer_was_lost(self, workspace: Workspace, known: bool) -> None:
        self.lose_an_answer(workspace, known)
        assert workspace.run_once()
        assert (workspace.simulator.ledger().creates, {*workspace.files("outbox")}) == (1, {"beach.mp4"})
        assert "uncertain" in workspace.states("beach.jpg") or known

    @pytest.mark.parametrize("known", [True, False])
    def test_without_an_order_whose_answer_was_lost_is_held_without_a_list(
        self, workspace: Workspace, known: bool
    ) -> None:
        self.lose_an_answer(workspace, known)
        workspace.simulator.inject(Fault("answer_before", on="list", status=404, times=None))
        assert not workspace.run_once()
        assert workspace.counts() == {"held": 1}
        assert workspace.simulator.ledger().creates == 1

    @staticmethod
    def lose_an_answer(workspace: Workspace, known: bool) -> None:
        """Make an order that the server has, but that the restored state and the work folder do not know."""
        workspace.drop("beach.jpg")
        if known:
            ready(workspace)
        workspace.simulator.inject(Fault("delay_after", on="create", seconds=30))
        with restored_afterwards(workspace, work=False):
            daemon = workspace.spawn("run")
            workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
            daemon.kill()
            daemon.communicate()
        workspace.changes.clear()

    def test_with_an_order_that_was_replaced_since(self, stalled_workspace: Workspace) -> None:
        """The video in the state has failed, and another one was ordered instead."""
        workspace = stalled_workspace
        workspace.simulator.inject(Fault("generation_fails", times=1))
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        with restored_afterwards(workspace, work=False), workspace.running():
            workspace.simulator.finish_all()
            workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
            wait_until(lambda: workspace.states("beach.jpg")[-1] == "rendering")
        workspace.simulator.finish_all()
        assert workspace.run_once()
        assert (workspace.simulator.ledger().creates, {*workspace.files("outbox")}) == (2, {"beach.mp4"})


class TestALostState:
    def test_is_replaced_by_a_new_one_with_the_delivered_orders(self, workspace: Workspace) -> None:
        with restored_afterwards(workspace):
            workspace.drop("beach.jpg")
            assert workspace.run_once()
            before = workspace.cli("report", "--json")
        drop_again(workspace)
        assert workspace.run_once()
        assert came_back(workspace)
        assert workspace.cli("report", "--json") == before

    def test_is_recovered_with_the_delivered_orders(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        with restored_afterwards(workspace):
            workspace.drop("beach.jpg")
            with workspace.running():
                wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
                workspace.simulator.finish_all()
                wait_until(lambda: "done" in workspace.states("beach.jpg"))
                workspace.drop("other.jpg")
                wait_until(lambda: "rendering" in workspace.states("other.jpg"))
        output = workspace.program("recover")
        assert "restored 1 unfinished jobs. Restored from the ledger: 2 orders." in output
        drop_again(workspace)
        workspace.simulator.finish_all()
        assert workspace.run_once()
        assert came_back(workspace)
        assert {*workspace.files("outbox")} == {"beach.mp4", "other.mp4"}
        assert workspace.simulator.ledger().creates == 2


class TestTheLedger:
    @pytest.mark.parametrize("cut", [1, 20, 100])
    def test_may_have_an_incomplete_last_line(self, workspace: Workspace, cut: int) -> None:
        with restored_afterwards(workspace):
            workspace.drop("beach.jpg")
            workspace.drop("other.jpg")
            assert workspace.run_once()
            whole = ledger(workspace).read_bytes()
            ledger(workspace).write_bytes(whole[:-cut])
        drop_again(workspace)
        drop_again(workspace, "other")
        workspace.drop("third.jpg")
        workspace.run_once()
        assert workspace.simulator.ledger().creates == 3
        assert [line["entry"] for line in lines_that_can_be_read(workspace)].count("bought") == 3

    def test_may_have_unknown_lines(self, workspace: Workspace) -> None:
        workspace.drop("beach.jpg")
        with restored_afterwards(workspace):
            assert workspace.run_once()
            junk = b'\n{"entry":"from the future","token":"t"}\n[]\n17\n\xff\xfe\n{"entry":"settled","token":"t"}\n{}\n'
            ledger(workspace).write_bytes(junk + ledger(workspace).read_bytes())
        drop_again(workspace)
        assert workspace.run_once()
        assert workspace.simulator.ledger().creates == 1

    def test_is_completed_at_the_next_start(self, workspace: Workspace) -> None:
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        ledger(workspace).unlink()
        with restored_afterwards(workspace):
            workspace.run_once()
        (workspace.root / "state.db").unlink()
        drop_again(workspace)
        assert workspace.run_once()
        assert came_back(workspace)

    def test_is_not_written_at_a_start_if_it_is_complete(self, workspace: Workspace) -> None:
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        before = ledger(workspace).read_bytes()
        assert workspace.run_once()
        assert ledger(workspace).read_bytes() == before

    def test_that_cannot_be_written_stops_only_new_orders(self, stalled_workspace: Workspace) -> None:
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            ledger(workspace).rename(workspace.root / "aside")
            ledger(workspace).mkdir()
            workspace.drop("other.jpg")
            wait_until(lambda: texts.LEDGER_UNWRITABLE in workspace.told())
            workspace.simulator.finish_all()
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
            assert workspace.simulator.ledger().creates == 1
            ledger(workspace).rmdir()
            (workspace.root / "aside").rename(ledger(workspace))
            workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
            workspace.simulator.finish_all()
            wait_until(lambda: "done" in workspace.states("other.jpg"))
        entries = [(line["entry"], line.get("clip")) for line in lines(workspace)]
        assert ("settled", "beach.mp4") in entries
        assert ("settled", "other.mp4") in entries

    def test_that_cannot_be_read_prevents_a_start(self, workspace: Workspace) -> None:
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        ledger(workspace).unlink()
        ledger(workspace).mkdir()
        assert "the ledger cannot be read" in workspace.program("run", status=1)


def lines_that_can_be_read(workspace: Workspace) -> Iterator[dict[str, Any]]:
    for line in ledger(workspace).read_bytes().splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
