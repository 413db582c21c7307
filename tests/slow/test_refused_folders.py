"""Folders and files that may not be written, not be read, or are not there: work waits and nothing is made up."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import texts
from tests.support.daemon_process import Promises, attempts, daemon, drained, pauses, reasons, start
from tests.support.disks import Disks
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


@contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """Files that nobody may change, move or remove."""

    def set_flag(path: Path, *, on: bool) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            flags = bytearray(8)
            fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, flags)
            (value,) = struct.unpack_from("I", flags)
            value = value | _IMMUTABLE if on else value & ~_IMMUTABLE
            fcntl.ioctl(descriptor, _FS_IOC_SETFLAGS, struct.pack("II", value, 0))
        finally:
            os.close(descriptor)

    try:
        for path in paths:
            set_flag(path, on=True)
    except OSError as error:
        pytest.skip(f"files cannot be made immutable here: {error}")
    try:
        yield
    finally:
        for path in paths:
            set_flag(path, on=False)


@pytest.fixture
def powerless() -> tuple[str, ...]:
    """A command that runs another without root's power over files; empty for those who have none."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    return ("setpriv", "--inh-caps=-all", "--bounding-set=-all")


@pytest.mark.parametrize("folder", ["outbox", "processed"])
def test_a_disk_that_becomes_read_only(disks: Disks, stalled_disk_workspace: Workspace, folder: str) -> None:
    workspace = stalled_disk_workspace
    disk = disks.tmpfs(workspace.root / folder, size="1m")
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        disk.remount("ro")
        workspace.simulator.finish_all()
        wait_until(lambda: texts.UNWRITABLE in pauses(workspace), told=lambda: running.log)
        assert str(workspace.root / folder) in pauses(workspace)
        promises.drop("later.jpg")
        wait_until(lambda: workspace.counts().get("ready") == 1, told=lambda: reasons(workspace))
        assert workspace.simulator.ledger().creates == 1
        assert set(workspace.files("inbox")) == {"0.jpg", "0.yaml", "later.jpg", "later.yaml"}
        disk.remount("rw")
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace))
    promises.keep(clips=2)


def test_an_inbox_that_becomes_read_only(disks: Disks, stalled_disk_workspace: Workspace) -> None:
    workspace = stalled_disk_workspace
    promises = Promises(workspace)
    promises.drop("0.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        with disks.read_only(workspace.inbox):
            workspace.simulator.finish_all()
            wait_until(lambda: texts.UNWRITABLE in pauses(workspace), told=lambda: running.log)
            assert set(workspace.files("outbox")) == {"0.mp4"}
            assert set(workspace.files("inbox")) == {"0.jpg", "0.yaml"}
        wait_until(lambda: workspace.files("inbox") == {}, told=lambda: reasons(workspace))
    promises.keep(clips=1)


def test_a_state_on_a_disk_that_fails(disks: Disks, stalled_disk_workspace: Workspace) -> None:
    workspace = stalled_disk_workspace
    workspace.set("state", value="small/state.db")
    disk = disks.ext4(workspace.root / "small", megabytes=16)
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg")
    running = start(workspace)
    wait_until(lambda: workspace.counts() == {"rendering": 2})
    disk.fail()
    workspace.simulator.finish_all()
    wait_until(lambda: texts.TRYING_AGAIN in running.log, told=lambda: running.log)
    running.kill()
    assert "Traceback" not in running.log
    disk.unmount()
    disk.repair()
    disk.mount()
    drained(workspace, promises, clips=2)


def test_an_immutable_picture_is_delivered_and_stays_until_it_can_be_moved(workspace: Workspace) -> None:
    promises = Promises(workspace)
    with daemon(workspace) as running, promises.watching():
        wait_until(
            lambda: workspace.counts() == {} and (workspace.inbox / ".sorawatch").exists() and "watching" in running.log
        )
        (workspace.inbox / "PAUSE").touch()
        promises.drop("0.jpg")
        with immutable(workspace.inbox / "0.jpg"):
            (workspace.inbox / "PAUSE").unlink()
            wait_until(
                lambda: texts.ACCESS_REFUSED in str(reasons(workspace)),
                told=lambda: f"{reasons(workspace)}\n{running.log}",
            )
            so_far = attempts(workspace)
            wait_until(lambda: attempts(workspace) >= so_far + 3)
            assert set(workspace.files("outbox")) == {"0.mp4"}
            assert "0.jpg" in workspace.files("inbox")
        wait_until(lambda: workspace.files("inbox") == {}, told=lambda: reasons(workspace))
    assert set(workspace.files("processed")) == {"0.jpg", "0.yaml"}
    promises.keep(clips=1)


def test_an_outbox_that_the_daemon_may_not_write(workspace: Workspace, powerless: tuple[str, ...]) -> None:
    promises = Promises(workspace)
    with daemon(workspace, prefix=powerless) as running, promises.watching():
        wait_until((workspace.outbox / ".sorawatch").exists)
        workspace.outbox.chmod(0o500)
        promises.drop("0.jpg")
        wait_until(lambda: texts.ACCESS_REFUSED in pauses(workspace), told=lambda: running.log)
        assert f"{texts.GIVE_ACCESS} {workspace.outbox}" in pauses(workspace)
        assert workspace.files("outbox") == {}
        workspace.outbox.chmod(0o700)
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.keep(clips=1)


@pytest.mark.parametrize("name", ["secret.jpg", "secret.yaml"])
def test_what_may_not_be_read_holds_up_nobody_else(workspace: Workspace, powerless: tuple[str, ...], name: str) -> None:
    promises = Promises(workspace)
    promises.drop("secret.jpg")
    secret = workspace.inbox / name
    secret.chmod(0)
    with daemon(workspace, prefix=powerless) as running, promises.watching():
        wait_until(workspace.counts if name == "secret.jpg" else lambda: "watching" in running.log)
        wait_until(lambda: " be read" in workspace.cli("status"))
        promises.drop("open.jpg")
        wait_until(lambda: "open.mp4" in workspace.files("outbox"), told=lambda: f"{reasons(workspace)}\n{running.log}")
        secret.chmod(0o600)
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace))
    promises.keep(clips=2)


def test_a_key_file_that_may_not_be_read_any_more(workspace: Workspace, powerless: tuple[str, ...]) -> None:
    promises = Promises(workspace)
    with daemon(workspace, prefix=powerless) as running:
        wait_until(lambda: "watching" in running.log)
        (workspace.root / "api.key").chmod(0)
        promises.drop("0.jpg")
        wait_until(lambda: "key" in pauses(workspace), told=lambda: running.log)
        (workspace.root / "api.key").chmod(0o600)
        workspace.cli("resume")
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace))
    promises.keep(clips=1)
