"""Network shares as they are: silent, late, gone and back, or hanging. Nothing is bought twice, nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from sorawatch import config
from sorawatch.app import status
from sorawatch.cli.service.unit import Places, writable_folders
from tests.support import texts
from tests.support.daemon_process import Promises, daemon, pauses, reasons
from tests.support.disks import Disks
from tests.support.shares import Shares
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def shares(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shares]:
    """Shares to mount; they are gone when the test and its daemons have ended."""
    shares = Shares(tmp_path_factory.mktemp("remotes"))
    yield shares
    shares.close()


@pytest.fixture
def share_workspace(shares: Shares, workspace: Workspace) -> Workspace:
    """A workspace whose daemons end before its shares do."""
    return workspace


@pytest.fixture
def stalled_share_workspace(shares: Shares, stalled_workspace: Workspace) -> Workspace:
    """Likewise, with a simulator that finishes no video until it is told to."""
    return stalled_workspace


def watching(workspace: Workspace) -> str:
    """How the daemon notices changes, as ``status`` tells it."""
    published = status.snapshot(config.load(workspace.root / "config.yaml", {})).published
    return published.watching["told"] if published.watching else ""


def noise(path: Path) -> bytes:
    """The bytes of a picture that does not compress."""
    Image.effect_noise((900, 700), 90).convert("RGB").save(path)
    return path.read_bytes()


def test_what_the_server_writes_is_found_by_listing_and_waited_for_until_it_is_all_there(
    shares: Shares, share_workspace: Workspace
) -> None:
    """No event arrives, and for 20 seconds the size that was seen first is shown."""
    workspace = share_workspace
    share = shares.mount(workspace.inbox)
    workspace.set("watch", settle_seconds=0.5, rescan_seconds=0.5, damaged_grace_seconds=90)
    data = noise(workspace.root / "whole.jpg")
    with daemon(workspace) as running:
        wait_until(lambda: "fuse.sshfs" in watching(workspace), told=lambda: running.log)
        assert f"{texts.FOUND_BY_LISTING} 0.5 s" in workspace.cli("status")
        assert "fuse.sshfs" in workspace.cli("check")
        (share.remote / "beach.yaml").write_text("prompt: waves\n")
        with open(share.remote / "beach.jpg", "wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            wait_until(lambda: texts.READ_AGAIN in reasons(workspace), told=lambda: reasons(workspace) + running.log)
            file.write(data[len(data) // 2 :])
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace) + running.log)
    assert workspace.simulator.ledger().creates == 1
    assert workspace.files("errors") == {}
    assert (workspace.processed / "beach.jpg").read_bytes() == data
    assert sorted(path.name for path in share.remote.iterdir()) == [".sorawatch", ".sorawatch.lock"]


def test_a_picture_that_stays_damaged_counts_as_that_in_the_end(shares: Shares, share_workspace: Workspace) -> None:
    workspace = share_workspace
    share = shares.mount(workspace.inbox)
    workspace.set("watch", settle_seconds=0.2, rescan_seconds=0.5, damaged_grace_seconds=3)
    (share.remote / "beach.jpg").write_bytes(noise(workspace.root / "whole.jpg")[:5000])
    (share.remote / "beach.yaml").write_text("prompt: waves\n")
    with daemon(workspace):
        wait_until(lambda: len(workspace.files("errors")) == 3, told=lambda: reasons(workspace))
    assert texts.DAMAGED in (workspace.errors / "beach.error.txt").read_text()
    assert workspace.simulator.ledger().creates == 0


def test_a_server_that_is_killed_and_comes_back_to_a_share_that_reconnects(
    shares: Shares, stalled_share_workspace: Workspace
) -> None:
    workspace = stalled_share_workspace
    points = [workspace.inbox, workspace.outbox, workspace.errors, workspace.processed]
    mounted = [shares.mount(point, "reconnect") for point in points]
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg")
    with daemon(workspace) as running, promises.watching():
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        for share in mounted:
            share.server.kill()
        workspace.simulator.finish_all()
        wait_until(lambda: texts.INBOX_UNREADABLE in pauses(workspace), told=lambda: running.log)
        assert "(since " in workspace.cli("status")
        wait_until(lambda: workspace.counts().get("rendered") == 2, told=lambda: reasons(workspace))
        for share in mounted:
            share.server.restart()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace) + running.log)
        promises.drop("later.jpg")
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 3)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 6, told=lambda: reasons(workspace) + running.log)
        assert not pauses(workspace)
    promises.keep(clips=3)


def test_a_share_that_unmounts_itself_leaves_empty_folders_in_which_nothing_is_written(
    shares: Shares, stalled_share_workspace: Workspace
) -> None:
    workspace = stalled_share_workspace
    points = [workspace.inbox, workspace.outbox, workspace.errors, workspace.processed]
    mounted = [shares.mount(point) for point in points]
    workspace.set("limits", in_flight=1)
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1}, told=lambda: reasons(workspace))
        for share in mounted:
            share.server.kill()
            share.gone()
        workspace.simulator.finish_all()
        wait_until(lambda: texts.LOST_ITS_FILE in pauses(workspace), told=lambda: running.log)
        wait_until(lambda: workspace.counts().get("rendered") == 1, told=lambda: reasons(workspace))
        assert "(since " in workspace.cli("status")
        assert [path for point in points for path in point.iterdir()] == []
        assert workspace.counts() == {"rendered": 1, "ready": 1}
        for share in mounted:
            share.server.restart()
            share.mount()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace) + running.log)
    promises.keep(clips=2)


def test_a_share_that_hangs_holds_up_nothing_but_itself(shares: Shares, stalled_share_workspace: Workspace) -> None:
    workspace = stalled_share_workspace
    share = shares.mount(workspace.inbox)
    workspace.set("limits", in_flight=1)
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1}, told=lambda: reasons(workspace))
        share.server.freeze()
        try:
            wait_until(lambda: texts.INBOX_DOES_NOT_ANSWER in pauses(workspace), told=lambda: running.log)
            assert "(since " in workspace.cli("status")
            workspace.simulator.finish_all()
            wait_until(lambda: workspace.files("outbox"), told=lambda: reasons(workspace))
            assert workspace.simulator.ledger().creates == 1
        finally:
            share.server.thaw()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace) + running.log)
        assert not pauses(workspace)
    promises.keep(clips=2)


def test_check_names_a_share_that_hangs_and_looks_at_the_rest(shares: Shares, share_workspace: Workspace) -> None:
    workspace = share_workspace
    share = shares.mount(workspace.outbox)
    share.server.freeze()
    try:
        told = workspace.program("check", status=1)
    finally:
        share.server.thaw()
    assert f"folders.outbox, {workspace.outbox}: it has not answered for 10 s" in told
    assert f"folders.processed, {workspace.processed}: can be read and written" in told


def test_a_disk_unmounted_and_mounted_again_below_the_daemon(disks: Disks, stalled_disk_workspace: Workspace) -> None:
    workspace = stalled_disk_workspace
    disk = disks.ext4(workspace.inbox, megabytes=8)
    workspace.set("limits", in_flight=1)
    workspace.set("watch", mode="native")
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1}, told=lambda: reasons(workspace))
        subprocess.run(["umount", "-l", disk.point], check=True)
        wait_until(lambda: texts.LOST_ITS_FILE in pauses(workspace), told=lambda: running.log)
        assert list(workspace.inbox.iterdir()) == []
        assert workspace.counts() == {"rendering": 1, "ready": 1}
        assert not locks(running.process.pid)
        disk.mount()
        workspace.simulator.finish_all()
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        assert "by events" in watching(workspace)
        assert locks(running.process.pid) == [str(disk.point / ".sorawatch.lock")]
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace) + running.log)
    promises.keep(clips=2)


def locks(pid: int) -> list[str]:
    """The markers and locks that a process holds open; one on a disk that is not mounted any more keeps that disk busy."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return [link for link in links if ".sorawatch" in link]


@pytest.fixture
def caseless(tmp_path: Path) -> Iterator[Path]:
    """A file system to which ``a`` and ``A`` are one name, mounted over the outbox."""
    if shutil.which("lowntfs-3g") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs ntfs-3g and /dev/fuse")
    image, point = tmp_path / "ntfs.img", tmp_path / "outbox"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkntfs", "-F", "-Q", "-q", image], check=True, capture_output=True)
    point.mkdir(exist_ok=True)
    done = subprocess.run(
        ["lowntfs-3g", "-o", "ignore_case", image, point], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"an NTFS cannot be mounted here: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", "-l", point], check=True)


def test_names_that_differ_in_case_alone_where_they_are_one(workspace: Workspace, caseless: Path) -> None:
    (caseless / "probe").touch()
    if not (caseless / "PROBE").exists():
        pytest.skip("this file system tells a from A")
    (caseless / "probe").unlink()
    promises = Promises(workspace)
    promises.drop("beach.jpg", "BEACH.jpg")
    with daemon(workspace) as running, promises.watching():
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace) + running.log)
    assert len(workspace.files("outbox")) == 2
    assert {name.casefold() for name in workspace.files("outbox")} == {"beach.mp4", "beach (2).mp4"}
    promises.keep(clips=2)


def test_a_service_may_write_to_the_whole_of_a_share_lest_its_sandbox_holds_a_part_fast(
    shares: Shares, tmp_path: Path
) -> None:
    (tmp_path / "nas").mkdir()
    shares.mount(tmp_path / "nas")
    (tmp_path / "nas/videos").mkdir()
    below = ", ".join(f"{key}: nas/videos/{key}" for key in ("inbox", "outbox", "errors", "processed"))
    (tmp_path / "config.yaml").write_text(f"folders: {{{below}}}\nstate: /var/lib/sorawatch/state.db\n")
    found = config.load(tmp_path / "config.yaml", {})
    assert writable_folders(found, Places("sorawatch")) == (tmp_path / "nas",)
