"""Whether events from the inbox are trusted, and what becomes of them when the ground below them moves."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.utils import BaseThread

from sorawatch import config
from sorawatch.app import status
from sorawatch.config import WatchMode
from sorawatch.daemon.intake.watcher import InboxWatcher, WatchMethod, method_for, watch_method
from sorawatch.edges.mounts import Mount
from sorawatch.errors import UsageError
from tests.support.slow_writer import writing
from tests.support.workspace import Workspace, wait_until


def mounted(*kinds: str) -> tuple[Mount, ...]:
    """The inbox's own mount, then what is mounted in it."""
    return tuple(Mount(str(number), "0:1", f"/inbox/{number}", kind) for number, kind in enumerate(kinds))


class TestJudging:
    @pytest.mark.parametrize("kind", ["ext4", "btrfs", "tmpfs", "vfat", "fuseblk", ""])
    def test_disks_of_this_machine_tell_all(self, kind: str) -> None:
        means = method_for(mounted(kind), WatchMode.AUTO)
        assert means.events
        assert means.description(30).startswith("changes in the inbox are noticed by events: it is on ")

    @pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.rclone", "9p", "virtiofs"])
    def test_shares_do_not(self, kind: str) -> None:
        means = method_for(mounted(kind), WatchMode.AUTO)
        assert not means.events
        told = means.description(30)
        assert told.startswith("changes in the inbox are found by listing it every 30 s: ")
        assert kind in told

    def test_layers_and_shares_within_the_inbox_do_so_in_part(self) -> None:
        assert "a layer below" in method_for(mounted("overlay"), WatchMode.AUTO).why
        means = method_for(mounted("ext4", "xfs", "nfs4"), WatchMode.AUTO)
        assert means.events
        assert "/inbox/2 (nfs4)" in means.why
        assert "/inbox/1" not in means.why

    @pytest.mark.parametrize(("mode", "events"), [(WatchMode.NATIVE, True), (WatchMode.POLLING, False)])
    def test_a_person_decides_otherwise(self, mode: WatchMode, events: bool) -> None:
        assert method_for(mounted("fuse.sshfs" if events else "ext4"), mode).events is events

    def test_this_machine(self, mount: Callable[[str], Path], tmp_path: Path) -> None:
        disk = mount("size=1m")
        assert watch_method(disk, WatchMode.AUTO).why == "it is on tmpfs"
        assert watch_method(tmp_path / "not there", WatchMode.AUTO).events


class WatchedFolder:
    """A watcher of a folder, called as the scan scheduler does."""

    def __init__(self, root: Path, mode: WatchMode = WatchMode.NATIVE) -> None:
        self.root = root
        self.watcher = InboxWatcher(root, mode)
        self.nudged = threading.Event()

    def look(self) -> bool:
        """One look. Returns whether it covered the whole tree."""
        self.watcher.prepare(self.nudged.set)
        return self.watcher.covers(sum(1 for _ in os.walk(self.root)))

    @property
    def method(self) -> WatchMethod:
        assert self.watcher.method is not None
        return self.watcher.method

    def hears(self, name: str = "news.jpg") -> bool:
        """Whether a new file raises an event."""
        self.nudged.clear()
        (self.root / name).write_text("x")
        return self.nudged.wait(5)


def observer_threads() -> set[BaseThread]:
    """Watchdog's threads in this process."""
    return {thread for thread in threading.enumerate() if isinstance(thread, BaseThread)}


def inotify_instances() -> int:
    """How many this process has."""
    return sum("inotify" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink())


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[WatchedFolder]:
    root = tmp_path / "inbox"
    (root / "sub" / "deep").mkdir(parents=True)
    watched = WatchedFolder(root)
    yield watched
    watched.watcher.stop()


class TestWatcher:
    def test_it_hears_what_happens_after_the_first_look(self, watched: WatchedFolder) -> None:
        assert watched.watcher.method is None
        assert watched.look()
        assert watched.hears("sub/deep/beach.jpg")
        assert watched.method.events

    def test_it_does_not_listen_where_it_is_not_to(self, tmp_path: Path) -> None:
        before = inotify_instances()
        watched = WatchedFolder(tmp_path, WatchMode.POLLING)
        assert watched.look()
        watched.nudged.clear()
        (tmp_path / "beach.jpg").write_text("x")
        assert not watched.method.events
        assert inotify_instances() == before

    def test_an_observer_that_dies_is_made_anew(self, watched: WatchedFolder, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        before = observer_threads()
        watched.look()
        threads = observer_threads() - before
        for thread in threads:
            thread.stop()
        wait_until(lambda: not any(thread.is_alive() for thread in threads))
        assert watched.look()
        assert "the watch of the inbox has ended" in caplog.text
        assert watched.hears()

    def test_a_folder_that_was_replaced_is_watched_anew(self, watched: WatchedFolder) -> None:
        watched.look()
        watched.root.rename(watched.root.with_name("old"))
        watched.root.mkdir()
        assert watched.look()
        assert watched.hears()

    def test_a_folder_that_is_gone_for_a_while_is_watched_again(self, watched: WatchedFolder) -> None:
        watched.look()
        shutil.rmtree(watched.root)
        watched.watcher.prepare(watched.nudged.set)
        watched.root.mkdir()
        watched.look()
        assert watched.look()
        assert watched.hears()

    def test_a_disk_mounted_over_the_folder_is_watched_and_the_folder_after_it(
        self, mount: Callable[[str], Path]
    ) -> None:
        disk = mount("size=1m")
        watched = WatchedFolder(disk)
        try:
            watched.look()
            subprocess.run(["umount", disk], check=True)
            try:
                assert watched.look()
                assert watched.hears()
            finally:
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=True)
            assert watched.look()
            assert watched.hears()
        finally:
            watched.watcher.stop()

    def test_watches_that_are_missing_are_asked_for_again_and_given_up_with_the_line_that_mends_it(
        self, watched: WatchedFolder, caplog: pytest.LogCaptureFixture
    ) -> None:
        watched.look()
        more_than_there_are = 9
        for _ in range(2):
            assert not watched.watcher.covers(more_than_there_are)
            watched.watcher.prepare(watched.nudged.set)
            assert watched.method.events
        assert not watched.watcher.covers(more_than_there_are)
        assert not watched.method.events
        assert "not all of its 9 folders can be watched" in watched.method.why
        assert "sysctl -w fs.inotify.max_user_watches=" in watched.method.hint
        assert "sysctl -w" in caplog.text
        watched.watcher.prepare(watched.nudged.set)
        assert watched.watcher.covers(more_than_there_are)
        assert not watched.method.events

    def test_a_folder_made_during_a_look_makes_no_open_file_forgotten(self, watched: WatchedFolder) -> None:
        assert watched.watcher.open_files() == frozenset()
        watched.look()
        with writing(watched.root / "sub" / "beach.yaml", b"prompt: waves"):
            wait_until(lambda: watched.watcher.open_files() == {"sub/beach.yaml"})
            assert not watched.watcher.covers(4)
            assert watched.look()
            assert watched.watcher.open_files() == {"sub/beach.yaml"}
        wait_until(lambda: watched.watcher.open_files() == frozenset())

    def test_a_folder_removed_during_a_look_is_no_miss(self, watched: WatchedFolder) -> None:
        watched.look()
        for _ in range(5):
            assert not watched.watcher.covers(4)
            assert watched.look()
        assert watched.method.events


def own_limit(watches: int) -> list[str]:
    """A prefix that gives a command a limit of watches that nobody else shares; see user_namespaces(7)."""
    script = f'echo {watches} > /proc/sys/user/max_inotify_watches && exec "$@"'
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a user namespace with a limit of its own cannot be had here")
    return prefix


def watching(workspace: Workspace) -> dict[str, str]:
    """What the daemon has posted of how it notices changes."""
    try:
        return status.snapshot(config.load(workspace.root / "config.yaml", {})).published.watching or {}
    except UsageError:
        return {}  # it has not made its state yet


def test_at_the_limit_of_watches_the_daemon_polls_and_says_what_to_do(workspace: Workspace) -> None:
    prefix = own_limit(20)
    for number in range(30):
        (workspace.inbox / str(number)).mkdir()
    workspace.set("watch", mode="native", rescan_seconds=0.2)
    workspace.write_config()
    daemon = subprocess.Popen(
        [*prefix, sys.executable, "-m", "sorawatch", "run"], cwd=workspace.root, stderr=subprocess.PIPE, text=True
    )
    workspace.processes.append(daemon)
    wait_until(lambda: "sysctl -w fs.inotify.max_user_watches=" in watching(workspace).get("hint", ""))
    workspace.drop("29/beach.jpg")
    wait_until(lambda: [*workspace.files("outbox")] == ["29/beach.mp4"])
    told = workspace.cli("status")
    assert "found by listing it every 0.2 s" in told
    assert "sysctl -w fs.inotify.max_user_watches=" in told
    daemon.terminate()
    assert "not all of its 31 folders can be watched" in daemon.communicate()[1]
