"""Disks that are full, of bytes or of inodes: work waits, says why, and goes on by itself when there is room."""

from __future__ import annotations

import pytest

from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.daemon_process import Promises, attempts, daemon, drained, ended, pauses, reasons, start
from tests.support.disks import Disk, Disks
from tests.support.sampling import sampled
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

SCARCE = pytest.mark.parametrize("scarce", sampled(["bytes", "inodes"], 2))


def use_up(disk: Disk, scarce: str) -> None:
    if scarce == "bytes":
        disk.fill()
    else:
        disk.take_inodes()


@SCARCE
def test_a_full_outbox_pauses_submissions_until_there_is_room(
    disks: Disks, stalled_disk_workspace: Workspace, scarce: str
) -> None:
    workspace = stalled_disk_workspace
    disk = disks.tmpfs(workspace.outbox, size="1m", nr_inodes=64)
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg", "2.jpg")
    with daemon(workspace) as running, promises.watching():
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 3)
        wait_until((workspace.outbox / ".sorawatch").exists)
        use_up(disk, scarce)
        workspace.simulator.finish_all()
        wait_until(lambda: "disk is full" in pauses(workspace), told=lambda: running.log)
        assert texts.DISK_FULL in workspace.cli("status")
        promises.drop("later.jpg")
        wait_until(lambda: workspace.counts().get("ready") == 1, told=lambda: reasons(workspace))
        so_far = attempts(workspace)
        wait_until(lambda: attempts(workspace) >= so_far + 4)
        assert workspace.simulator.ledger().creates == 3
        assert not workspace.files("outbox").keys() & {"0.mp4", "1.mp4", "2.mp4"}
        disk.make_room()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 4)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 8, told=lambda: reasons(workspace))
        assert not pauses(workspace)
    promises.keep(clips=4)


@SCARCE
def test_a_full_work_folder_pauses_until_there_is_room(disks: Disks, disk_workspace: Workspace, scarce: str) -> None:
    workspace = disk_workspace
    disk = disks.tmpfs(workspace.root / "state.db.work", size="1m", nr_inodes=64)
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: ended(workspace) and not any((workspace.root / "state.db.work").iterdir()))
        use_up(disk, scarce)
        promises.drop("1.jpg", "2.jpg")
        wait_until(lambda: "disk is full" in pauses(workspace), told=lambda: running.log)
        so_far = attempts(workspace)
        wait_until(lambda: attempts(workspace) >= so_far + 4, told=lambda: running.log)
        assert workspace.simulator.ledger().creates == 1
        disk.make_room()
        wait_until(lambda: len(workspace.files("processed")) == 6, told=lambda: reasons(workspace))
    promises.keep(clips=3)


def test_an_endless_clip_leaves_room_for_the_state(disks: Disks, disk_workspace: Workspace) -> None:
    workspace = disk_workspace
    disk = disks.tmpfs(workspace.root / "disk", size="24m")
    workspace.set("state", value="disk/state.db")
    workspace.simulator.inject(Fault("endless_clip", times=None))
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: "disk is full" in workspace.cli("status"), told=lambda: running.log)
        wait_until(lambda: running.log.count("disk is full") >= 2, told=lambda: running.log)
        assert "cannot be written" not in running.log
        workspace.simulator.clear_faults()
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: running.log)
    promises.keep(clips=1)
    assert not [*disk.point.rglob("clip.part")]


def test_a_clip_that_finds_the_work_folder_full_is_loaded_later(
    disks: Disks, stalled_disk_workspace: Workspace
) -> None:
    workspace = stalled_disk_workspace
    disk = disks.tmpfs(workspace.root / "state.db.work", size="1m")
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        disk.fill()
        workspace.simulator.finish_all()
        wait_until(lambda: "disk is full" in pauses(workspace), told=lambda: running.log)
        wait_until(lambda: attempts(workspace) >= 10, told=lambda: reasons(workspace))
        disk.make_room()
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.keep(clips=1)


def test_nothing_is_submitted_that_the_state_cannot_take_down(disks: Disks, stalled_disk_workspace: Workspace) -> None:
    workspace = stalled_disk_workspace
    workspace.set("state", value="small/state.db")
    disk = disks.tmpfs(workspace.root / "small", size="2m")
    promises = Promises(workspace)
    promises.drop("0.jpg")
    (workspace.inbox / "PAUSE").touch()
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts().get("ready") == 1)
        disk.fill()
        (workspace.inbox / "PAUSE").unlink()
        wait_until(lambda: running.log.count("database or disk is full") >= 2, told=lambda: running.log)
        assert texts.MAKE_ROOM in running.log
        assert workspace.counts() == {"ready": 1}
        assert workspace.simulator.ledger().creates == 0
        disk.make_room()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    assert "Traceback" not in running.log
    promises.keep(clips=1)


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
def test_an_answer_that_finds_the_disk_full_is_not_forgotten(
    disks: Disks, stalled_disk_workspace: Workspace, killed: bool
) -> None:
    workspace = stalled_disk_workspace
    workspace.set("state", value="small/state.db")
    disk = disks.tmpfs(workspace.root / "small", size="2m")
    workspace.simulator.inject(Fault("delay_after", seconds=1.0))
    promises = Promises(workspace)
    promises.drop("0.jpg")
    running = start(workspace)
    workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
    disk.fill()
    wait_until(lambda: "database or disk is full" in running.log, told=lambda: running.log)
    if killed:
        running.kill()
        told = workspace.program("run", status=1)
        assert "Make room" in told
        assert "Traceback" not in told
        disk.make_room()
        running = start(workspace)
    else:
        disk.make_room()
    wait_until(lambda: workspace.counts() == {"rendering": 1}, told=lambda: reasons(workspace))
    workspace.simulator.finish_all()
    wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    assert running.stop() == 0
    promises.keep(clips=1)


@SCARCE
def test_a_full_processed_folder_keeps_the_pair_in_the_inbox(
    disks: Disks, disk_workspace: Workspace, scarce: str
) -> None:
    workspace = disk_workspace
    disk = disks.tmpfs(workspace.processed, size="128k", nr_inodes=32)
    use_up(disk, scarce)
    disk.make_room()
    promises = Promises(workspace)
    with daemon(workspace) as running, promises.watching():
        wait_until((workspace.processed / ".sorawatch").exists)
        use_up(disk, scarce)
        promises.drop("0.jpg")
        wait_until(lambda: "disk is full" in pauses(workspace), told=lambda: running.log)
        assert set(workspace.files("inbox")) == {"0.jpg", "0.yaml"}
        assert set(workspace.files("outbox")) == {"0.mp4"}
        disk.make_room()
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.keep(clips=1)


@SCARCE
def test_a_full_errors_folder_keeps_the_pair_in_the_inbox(disks: Disks, disk_workspace: Workspace, scarce: str) -> None:
    workspace = disk_workspace
    disk = disks.tmpfs(workspace.errors, size="128k", nr_inodes=32)
    promises = Promises(workspace)
    with daemon(workspace) as running:
        wait_until((workspace.errors / ".sorawatch").exists)
        use_up(disk, scarce)
        promises.drop("0.jpg", model="sora-9")
        wait_until(lambda: "disk is full" in pauses(workspace), told=lambda: running.log)
        assert set(workspace.files("inbox")) == {"0.jpg", "0.yaml"}
        disk.make_room()
        wait_until(lambda: len(workspace.files("errors")) == 3, told=lambda: reasons(workspace))
    assert workspace.files("inbox") == {}
    promises.keep(clips=0)


@SCARCE
def test_a_full_inbox_keeps_the_pair_in_the_errors_folder(disks: Disks, disk_workspace: Workspace, scarce: str) -> None:
    workspace = disk_workspace
    disk = disks.tmpfs(workspace.inbox, size="128k", nr_inodes=32)
    workspace.set("retries", failed_generations=0)
    workspace.simulator.inject(Fault("generation_fails", times=1))
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: len(workspace.files("errors")) == 3, told=lambda: running.log)
        use_up(disk, scarce)
        workspace.cli("retry", "0.jpg")
        wait_until(lambda: "disk is full" in pauses(workspace), told=lambda: running.log)
        assert set(workspace.files("errors")) >= {"0.jpg", "0.yaml"}
        disk.make_room()
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.everything_whole()
    promises.nothing_twice()
    assert workspace.files("errors") == {}


def test_a_daemon_that_starts_on_a_full_disk_says_so_and_loses_nothing(disks: Disks, disk_workspace: Workspace) -> None:
    workspace = disk_workspace
    workspace.set("state", value="small/state.db")
    disk = disks.tmpfs(workspace.root / "small", size="2m")
    disk.fill()
    promises = Promises(workspace)
    promises.drop("0.jpg")
    told = workspace.program("run", status=1)
    assert "isk is full" in told
    assert len(told.splitlines()) == 1, told
    disk.make_room()
    drained(workspace, promises, clips=1)
