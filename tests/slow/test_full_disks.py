"""Disks that are full, of bytes or of inodes: work waits, says why, and goes on by itself when there is room."""

from __future__ import annotations

import pytest

from sorawatch.simulator import Fault
from tests.support.daemon_process import Pledge, attempts, daemon, drained, ended, pauses, reasons, start
from tests.support.disks import Disk, Disks
from tests.support.workspace import Yard, wait_until

pytestmark = pytest.mark.slow

SCARCE = pytest.mark.parametrize("scarce", ["bytes", "inodes"])


def use_up(disk: Disk, scarce: str) -> None:
    if scarce == "bytes":
        disk.fill()
    else:
        disk.take_inodes()


@SCARCE
def test_a_full_outbox_pauses_submissions_until_there_is_room(
    disks: Disks, patient_disk_yard: Yard, scarce: str
) -> None:
    yard = patient_disk_yard
    disk = disks.tmpfs(yard.outbox, size="1m", nr_inodes=64)
    pledge = Pledge(yard)
    pledge.drop("0.jpg", "1.jpg", "2.jpg")
    with daemon(yard) as running, pledge.watching():
        yard.simulator.wait_for(lambda ledger: ledger.creates == 3)
        wait_until((yard.outbox / ".sorawatch").exists)
        use_up(disk, scarce)
        yard.simulator.finish_all()
        wait_until(lambda: "disk is full" in pauses(yard), told=lambda: running.log)
        assert "The disk is full" in yard.cli("status")
        pledge.drop("later.jpg")
        wait_until(lambda: yard.counts().get("ready") == 1, told=lambda: reasons(yard))
        so_far = attempts(yard)
        wait_until(lambda: attempts(yard) >= so_far + 4)
        assert yard.simulator.ledger().creates == 3
        assert not yard.files("outbox").keys() & {"0.mp4", "1.mp4", "2.mp4"}
        disk.make_room()
        yard.simulator.wait_for(lambda ledger: ledger.creates == 4)
        yard.simulator.finish_all()
        wait_until(lambda: len(yard.files("processed")) == 8, told=lambda: reasons(yard))
        assert not pauses(yard)
    pledge.keep(clips=4)


@SCARCE
def test_a_full_work_folder_pauses_until_there_is_room(disks: Disks, disk_yard: Yard, scarce: str) -> None:
    yard = disk_yard
    disk = disks.tmpfs(yard.root / "state.db.work", size="1m", nr_inodes=64)
    pledge = Pledge(yard)
    pledge.drop("0.jpg")
    with daemon(yard) as running, pledge.watching():
        wait_until(lambda: ended(yard) and not any((yard.root / "state.db.work").iterdir()))
        use_up(disk, scarce)
        pledge.drop("1.jpg", "2.jpg")
        wait_until(lambda: "disk is full" in pauses(yard), told=lambda: running.log)
        so_far = attempts(yard)
        wait_until(lambda: attempts(yard) >= so_far + 4, told=lambda: running.log)
        assert yard.simulator.ledger().creates == 1
        disk.make_room()
        wait_until(lambda: len(yard.files("processed")) == 6, told=lambda: reasons(yard))
    pledge.keep(clips=3)


def test_a_clip_that_finds_the_work_folder_full_is_loaded_later(disks: Disks, patient_disk_yard: Yard) -> None:
    yard = patient_disk_yard
    disk = disks.tmpfs(yard.root / "state.db.work", size="1m")
    pledge = Pledge(yard)
    pledge.drop("0.jpg")
    with daemon(yard) as running, pledge.watching():
        wait_until(lambda: yard.counts() == {"rendering": 1})
        disk.fill()
        yard.simulator.finish_all()
        wait_until(lambda: "disk is full" in pauses(yard), told=lambda: running.log)
        wait_until(lambda: attempts(yard) >= 10, told=lambda: reasons(yard))
        disk.make_room()
        wait_until(lambda: len(yard.files("processed")) == 2, told=lambda: reasons(yard))
    pledge.keep(clips=1)


def test_nothing_is_submitted_that_the_state_cannot_take_down(disks: Disks, patient_disk_yard: Yard) -> None:
    yard = patient_disk_yard
    yard.set("state", value="small/state.db")
    disk = disks.tmpfs(yard.root / "small", size="2m")
    pledge = Pledge(yard)
    pledge.drop("0.jpg")
    (yard.inbox / "PAUSE").touch()
    with daemon(yard) as running, pledge.watching():
        wait_until(lambda: yard.counts().get("ready") == 1)
        disk.fill()
        (yard.inbox / "PAUSE").unlink()
        wait_until(lambda: running.log.count("database or disk is full") >= 2, told=lambda: running.log)
        assert "Make room on its disk" in running.log
        assert yard.counts() == {"ready": 1}
        assert yard.simulator.ledger().creates == 0
        disk.make_room()
        yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
        yard.simulator.finish_all()
        wait_until(lambda: len(yard.files("processed")) == 2, told=lambda: reasons(yard))
    assert "Traceback" not in running.log
    pledge.keep(clips=1)


@pytest.mark.parametrize("killed", [False, True], ids=["goes on", "killed"])
def test_an_answer_that_finds_the_disk_full_is_not_forgotten(
    disks: Disks, patient_disk_yard: Yard, killed: bool
) -> None:
    yard = patient_disk_yard
    yard.set("state", value="small/state.db")
    disk = disks.tmpfs(yard.root / "small", size="2m")
    yard.simulator.inject(Fault("delay_after", seconds=1.0))
    pledge = Pledge(yard)
    pledge.drop("0.jpg")
    running = start(yard)
    yard.simulator.wait_for(lambda ledger: ledger.creates == 1)
    disk.fill()
    wait_until(lambda: "database or disk is full" in running.log, told=lambda: running.log)
    if killed:
        running.kill()
        told = yard.cli("run", status=1)
        assert "Make room" in told
        assert "Traceback" not in told
        disk.make_room()
        running = start(yard)
    else:
        disk.make_room()
    wait_until(lambda: yard.counts() == {"rendering": 1}, told=lambda: reasons(yard))
    yard.simulator.finish_all()
    wait_until(lambda: len(yard.files("processed")) == 2, told=lambda: reasons(yard))
    assert running.stop() == 0
    pledge.keep(clips=1)


@SCARCE
def test_a_full_processed_folder_keeps_the_pair_in_the_inbox(disks: Disks, disk_yard: Yard, scarce: str) -> None:
    yard = disk_yard
    disk = disks.tmpfs(yard.processed, size="128k", nr_inodes=32)
    use_up(disk, scarce)
    disk.make_room()
    pledge = Pledge(yard)
    with daemon(yard) as running, pledge.watching():
        wait_until((yard.processed / ".sorawatch").exists)
        use_up(disk, scarce)
        pledge.drop("0.jpg")
        wait_until(lambda: "disk is full" in pauses(yard), told=lambda: running.log)
        assert set(yard.files("inbox")) == {"0.jpg", "0.yaml"}
        assert set(yard.files("outbox")) == {"0.mp4"}
        disk.make_room()
        wait_until(lambda: len(yard.files("processed")) == 2, told=lambda: reasons(yard))
    pledge.keep(clips=1)


@SCARCE
def test_a_full_errors_folder_keeps_the_pair_in_the_inbox(disks: Disks, disk_yard: Yard, scarce: str) -> None:
    yard = disk_yard
    disk = disks.tmpfs(yard.errors, size="128k", nr_inodes=32)
    pledge = Pledge(yard)
    with daemon(yard) as running:
        wait_until((yard.errors / ".sorawatch").exists)
        use_up(disk, scarce)
        pledge.drop("0.jpg", model="sora-9")
        wait_until(lambda: "disk is full" in pauses(yard), told=lambda: running.log)
        assert set(yard.files("inbox")) == {"0.jpg", "0.yaml"}
        disk.make_room()
        wait_until(lambda: len(yard.files("errors")) == 3, told=lambda: reasons(yard))
    assert yard.files("inbox") == {}
    pledge.keep(clips=0)


@SCARCE
def test_a_full_inbox_keeps_the_pair_in_the_errors_folder(disks: Disks, disk_yard: Yard, scarce: str) -> None:
    yard = disk_yard
    disk = disks.tmpfs(yard.inbox, size="128k", nr_inodes=32)
    yard.set("retries", failed_generations=0)
    yard.simulator.inject(Fault("generation_fails", times=1))
    pledge = Pledge(yard)
    pledge.drop("0.jpg")
    with daemon(yard) as running, pledge.watching():
        wait_until(lambda: len(yard.files("errors")) == 3, told=lambda: running.log)
        use_up(disk, scarce)
        yard.cli("retry", "0.jpg")
        wait_until(lambda: "disk is full" in pauses(yard), told=lambda: running.log)
        assert set(yard.files("errors")) >= {"0.jpg", "0.yaml"}
        disk.make_room()
        wait_until(lambda: len(yard.files("processed")) == 2, told=lambda: reasons(yard))
    pledge.everything_whole()
    pledge.nothing_twice()
    assert yard.files("errors") == {}


def test_a_daemon_that_starts_on_a_full_disk_says_so_and_loses_nothing(disks: Disks, disk_yard: Yard) -> None:
    yard = disk_yard
    yard.set("state", value="small/state.db")
    disk = disks.tmpfs(yard.root / "small", size="2m")
    disk.fill()
    pledge = Pledge(yard)
    pledge.drop("0.jpg")
    told = yard.cli("run", status=1)
    assert "isk is full" in told
    assert len(told.splitlines()) == 1, told
    disk.make_room()
    drained(yard, pledge, clips=1)
