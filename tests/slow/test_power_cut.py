"""The power fails: what was not on the disk yet is gone, and what was is all that the next daemon has."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress

import pytest

from sorawatch.edges import mp4
from sorawatch.simulator import Fault, Ledger
from tests.support.daemon_process import Promises, drained, reasons, start
from tests.support.disks import Disk, Disks
from tests.support.sampling import sampled
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOBS = 4
FOLDERS = ("inbox", "outbox", "errors", "processed")


@pytest.fixture
def disk(disks: Disks, disk_workspace: Workspace) -> Disk:
    """The disk that holds the state and all folders."""
    workspace = disk_workspace
    disk = disks.ext4(workspace.root / "disk", megabytes=64)
    workspace.set("state", value="disk/state.db")
    workspace.set("limits", in_flight=2)
    for name in FOLDERS:
        (workspace.root / name).rmdir()
        (disk.point / name).mkdir()
        (workspace.root / name).symlink_to(disk.point / name)
    return disk


def restore_power(disk: Disk) -> None:
    disk.unmount()
    disk.mount()


def only_whole_clips(workspace: Workspace) -> None:
    for name in workspace.files("outbox"):
        with open(workspace.outbox / name, "rb") as file:
            mp4.check(file)


def reached(state: str, jobs: int = 1) -> Callable[[Workspace], bool]:
    """Read from the history: a state may be left again before anybody looks."""

    def seen(workspace: Workspace) -> bool:
        path = workspace.root / workspace.settings["state"]
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as state_file,
        ):
            query = "SELECT COUNT(DISTINCT job_id) FROM history WHERE state = ?"
            (count,) = state_file.execute(query, (state,)).fetchone()
            return bool(count >= jobs)
        return False

    return seen


def holds(folder: str, files: int) -> Callable[[Workspace], bool]:
    return lambda workspace: len(workspace.files(folder)) >= files


MOMENTS: dict[str, Callable[[Workspace], bool]] = {
    "a pair was found": reached("found"),
    "a reference is ready": reached("ready"),
    "a submit is on its way": reached("submitting"),
    "a video is rendering": reached("rendering"),
    "a clip is rendered": reached("rendered"),
    "a clip is delivered": reached("delivered"),
    "a job is done": reached("done"),
    "three jobs are done": reached("done", 3),
    "the first clip is in the outbox": holds("outbox", 1),
    "the third clip is in the outbox": holds("outbox", 3),
    "the first file is in processed": holds("processed", 1),
    "the fourth file is in processed": holds("processed", 4),
}


@pytest.mark.parametrize("moment", sampled(MOMENTS, 2))
def test_the_power_fails_when(disk: Disk, disk_workspace: Workspace, moment: str) -> None:
    workspace = disk_workspace
    suffer(workspace, disk, lambda: wait_until(lambda: MOMENTS[moment](workspace)))


@pytest.mark.parametrize("count", sampled(range(1, JOBS + 1), JOBS))
@pytest.mark.parametrize("what", ["creates", "polls", "downloads"])
def test_the_power_fails_as_soon_as_the_server_has_counted(
    disk: Disk, disk_workspace: Workspace, what: str, count: int
) -> None:
    workspace = disk_workspace

    def counted(ledger: Ledger) -> bool:
        reached: int = getattr(ledger, what)
        return reached >= count

    suffer(workspace, disk, lambda: workspace.simulator.wait_for(counted))


def test_the_power_fails_again_and_again(disk: Disk, disk_workspace: Workspace) -> None:
    workspace = disk_workspace
    workspace.simulator.inject(Fault("delay_after", seconds=0.3, times=None))
    promises = lay_out(workspace)
    for creates in range(1, JOBS + 1):
        running = start(workspace)
        with promises.watching():
            workspace.wait_for_creates(creates)
            disk.cut_power()
        running.kill()
        restore_power(disk)
        only_whole_clips(workspace)
    workspace.simulator.clear_faults()
    drained(workspace, promises, clips=JOBS)


def lay_out(workspace: Workspace) -> Promises:
    """Pairs in the inbox, on the disk before any daemon sees them."""
    promises = Promises(workspace)
    promises.drop(*(f"{number}.jpg" for number in range(JOBS)))
    os.sync()
    return promises


def suffer(workspace: Workspace, disk: Disk, wait: Callable[[], object]) -> None:
    """Run until a moment, cut the power, run again: the promises hold."""
    promises = lay_out(workspace)
    running = start(workspace)
    with promises.watching():
        wait()
        disk.cut_power()
    running.kill()
    restore_power(disk)
    only_whole_clips(workspace)
    drained(workspace, promises, clips=JOBS)
    assert "held" not in reasons(workspace)
