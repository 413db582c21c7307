"""The power fails: what was not on the disk yet is gone, and what was is all that the next daemon has."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from sorawatch.edges import clip
from sorawatch.simulator import Fault, Ledger
from tests.support.daemon_process import Pledge, drained, reasons, start
from tests.support.disks import Disk, Disks
from tests.support.workspace import Yard, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

JOBS = 4
FOLDERS = ("inbox", "outbox", "errors", "processed")


@pytest.fixture
def disk(disks: Disks, disk_yard: Yard) -> Disk:
    """The disk that holds the state and all folders."""
    yard = disk_yard
    disk = disks.ext4(yard.root / "disk", megabytes=64)
    yard.set("state", value="disk/state.db")
    yard.set("limits", in_flight=2)
    for name in FOLDERS:
        (yard.root / name).rmdir()
        (disk.point / name).mkdir()
        (yard.root / name).symlink_to(disk.point / name)
    return disk


def restore_power(disk: Disk) -> None:
    disk.unmount()
    disk.mount()


def only_whole_clips(yard: Yard) -> None:
    for name in yard.files("outbox"):
        with open(yard.outbox / name, "rb") as file:
            clip.check(file)


def reached(state: str, jobs: int = 1) -> Callable[[Yard], bool]:
    """Read from the history: a state may be left again before anybody looks."""

    def seen(yard: Yard) -> bool:
        path = yard.root / yard.settings["state"]
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as state_file,
        ):
            query = "SELECT COUNT(DISTINCT job_id) FROM history WHERE state = ?"
            (count,) = state_file.execute(query, (state,)).fetchone()
            return bool(count >= jobs)
        return False

    return seen


def holds(folder: str, files: int) -> Callable[[Yard], bool]:
    return lambda yard: len(yard.files(folder)) >= files


MOMENTS: dict[str, Callable[[Yard], bool]] = {
    "a pair was found": reached("found"),
    "a reference is ready": reached("ready"),
    "a submit is on its way": reached("submitting"),
    "a video is rendering": reached("rendering"),
    "a clip is rendered": reached("rendered"),
    "a clip is delivered": reached("delivered"),
    "a job is done": reached("done"),
    "three jobs are done": reached("done", 3),
    "the first clip lies in the outbox": holds("outbox", 1),
    "the third clip lies in the outbox": holds("outbox", 3),
    "the first file lies in processed": holds("processed", 1),
    "the fourth file lies in processed": holds("processed", 4),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_power_fails_when(disk: Disk, disk_yard: Yard, moment: str) -> None:
    yard = disk_yard
    suffer(yard, disk, lambda: wait_until(lambda: MOMENTS[moment](yard)))


@pytest.mark.parametrize("count", range(1, JOBS + 1))
@pytest.mark.parametrize("what", ["creates", "polls", "downloads"])
def test_the_power_fails_as_soon_as_the_server_has_counted(disk: Disk, disk_yard: Yard, what: str, count: int) -> None:
    yard = disk_yard

    def counted(ledger: Ledger) -> bool:
        reached: int = getattr(ledger, what)
        return reached >= count

    suffer(yard, disk, lambda: yard.simulator.wait_for(counted))


def test_the_power_fails_again_and_again(disk: Disk, disk_yard: Yard) -> None:
    yard = disk_yard
    yard.simulator.inject(Fault("delay_after", seconds=0.3, times=None))
    pledge = lay_out(yard)
    for creates in range(1, JOBS + 1):
        running = start(yard)
        with pledge.watching():
            yard.simulator.wait_for(lambda ledger, creates=creates: ledger.creates >= creates)
            disk.cut_power()
        running.kill()
        restore_power(disk)
        only_whole_clips(yard)
    yard.simulator.clear_faults()
    drained(yard, pledge, clips=JOBS)


def lay_out(yard: Yard) -> Pledge:
    """Pairs in the inbox, on the disk before any daemon sees them."""
    pledge = Pledge(yard)
    pledge.drop(*(f"{number}.jpg" for number in range(JOBS)))
    os.sync()
    return pledge


def suffer(yard: Yard, disk: Disk, wait: Callable[[], object]) -> None:
    """Run until a moment, cut the power, run again: the promises hold."""
    pledge = lay_out(yard)
    running = start(yard)
    with pledge.watching():
        wait()
        disk.cut_power()
    running.kill()
    restore_power(disk)
    only_whole_clips(yard)
    drained(yard, pledge, clips=JOBS)
    assert "held" not in reasons(yard)
