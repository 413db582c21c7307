"""Events from below a folder: every change is followed by a nudge, and nothing else is."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify_c import InotifyFD
from watchdog.utils.delayed_queue import DelayedQueue

from sorawatch.edges.events import EventWatch
from sorawatch.errors import Blocked, Deferred
from tests.support.slow_writer import writing
from tests.support.workspace import wait_until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def drop(folder: Path, *names: str, text: str = "x") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(text)


def listing(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@pytest.fixture
def nudges() -> list[set[str]]:
    """What lay in the inbox at every nudge."""
    return []


@pytest.fixture
def watch(root: Path, nudges: list[set[str]]) -> Iterator[EventWatch]:
    watch = EventWatch(root, lambda: nudges.append(listing(root)))
    yield watch
    watch.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "new.jpg").touch(),
        lambda root: (root / "old.jpg").unlink(),
        lambda root: (root / "old.jpg").rename(root / "newer.jpg"),
        lambda root: (root / "sub" / "deep" / "old.jpg").write_text("again"),
        lambda root: (root / "sub").rename(root / "other"),
        lambda root: (root.parent / "outside.jpg").rename(root / "outside.jpg"),
        lambda root: (root / "old.jpg").rename(root.parent / "away.jpg"),
        lambda root: os.link(root.parent / "outside.jpg", root / "linked.jpg"),
    ],
    ids=["create", "delete", "rename", "write", "rename a folder", "move in", "move out", "link"],
)
def test_every_change_is_followed_by_a_nudge(
    root: Path, watch: EventWatch, nudges: list[set[str]], change: Any
) -> None:
    drop(root, "old.jpg")
    drop(root / "sub" / "deep", "old.jpg")
    drop(root.parent, "outside.jpg")
    watch.start()
    change(root)
    wait_until(lambda: nudges)


def test_what_is_moved_away_holds_back_no_nudge_for_what_comes(
    watch: EventWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    make = DelayedQueue.__init__

    def recorded(queue: DelayedQueue[object], delay: float) -> None:
        delays.append(delay)
        make(queue, delay)

    monkeypatch.setattr(DelayedQueue, "__init__", recorded)
    watch.start()
    assert delays
    assert max(delays) < 0.1


def test_a_new_subfolder_is_watched_too(root: Path, watch: EventWatch, nudges: list[set[str]]) -> None:
    watch.start()
    (root / "sub").mkdir()
    wait_until(lambda: nudges)
    drop(root / "sub", "beach.jpg")
    wait_until(lambda: "sub/beach.jpg" in nudges[-1])


def test_a_tree_made_in_one_go_is_watched_to_its_leaves(root: Path, watch: EventWatch, nudges: list[set[str]]) -> None:
    watch.start()
    for number in range(50):
        (root / str(number) / "deep" / "deeper").mkdir(parents=True)
    wait_until(lambda: nudges)
    assert watch.alive
    drop(root / "49" / "deep" / "deeper", "beach.jpg")
    wait_until(lambda: "49/deep/deeper/beach.jpg" in nudges[-1])
    assert watch.alive


def test_what_happens_during_a_nudge_is_followed_by_another(root: Path) -> None:
    nudges: list[set[str]] = []
    witnessed: list[set[str]] = []

    def nudge() -> None:
        nudges.append(listing(root))
        if len(nudges) == 1:
            drop(root, "second.jpg")
            wait_until(lambda: "second.jpg" in set().union(*witnessed))

    watch, witness = EventWatch(root, nudge), EventWatch(root, lambda: witnessed.append(listing(root)))
    watch.start()
    witness.start()
    drop(root, "first.jpg")
    wait_until(lambda: "second.jpg" in set().union(*nudges))
    watch.stop()
    witness.stop()


def test_many_changes_are_few_nudges(root: Path) -> None:
    nudges: list[bool] = []
    watch = EventWatch(root, lambda: nudges.append((root / "999.jpg").exists()))
    watch.start()
    for number in range(1000):
        drop(root, f"{number}.jpg")
    wait_until(lambda: any(nudges))
    watch.stop()
    assert len(nudges) < 200


@pytest.mark.parametrize("deed", ["read", "list", "write"])
def test_reading_and_writing_on_are_no_news(root: Path, watch: EventWatch, nudges: list[set[str]], deed: str) -> None:
    drop(root, "beach.jpg")
    deeds: Mapping[str, Callable[[], object]] = {
        "read": (root / "beach.jpg").read_text,
        "list": lambda: listing(root),
        "write": lambda: os.write(descriptor, b"x"),
    }
    descriptor = os.open(root / "beach.jpg", os.O_WRONLY | os.O_APPEND)
    watch.start()
    for _ in range(2000):
        deeds[deed]()
    drop(root.parent, "end")
    (root.parent / "end").rename(root / "end")
    wait_until(lambda: nudges)
    assert all("end" in names for names in nudges)
    os.close(descriptor)


def test_a_link_to_the_inbox_is_as_good(root: Path, nudges: list[set[str]]) -> None:
    (root.parent / "link").symlink_to(root)
    watch = EventWatch(root.parent / "link", lambda: nudges.append(listing(root)))
    watch.start()
    drop(root, "beach.jpg")
    wait_until(lambda: nudges)
    watch.stop()


class TestOpenFiles:
    def test_a_file_is_open_until_the_program_that_wrote_to_it_closes_it(self, root: Path, watch: EventWatch) -> None:
        drop(root, "beach.jpg")
        assert watch.open_files() == frozenset()
        watch.start()
        with open(root / "beach.jpg", "ab") as appending, open(root / "beach.jpg", "rb"):
            appending.write(b"more")
            appending.flush()
            wait_until(lambda: watch.open_files() == {"beach.jpg"})
        wait_until(lambda: watch.open_files() == frozenset())

    def test_names_are_those_that_a_scan_finds(self, root: Path) -> None:
        (root.parent / "link").symlink_to(root)
        watch = EventWatch(root.parent / "link", lambda: None)
        watch.start()
        name = os.fsdecode(b"sub/two\nlines \xff.jpg")
        (root / "sub").mkdir()
        wait_until(lambda: watch.count() == 2)
        with writing(root / name, b"x"):
            wait_until(lambda: watch.open_files() == {name})
        wait_until(lambda: watch.open_files() == frozenset())
        watch.stop()

    @pytest.mark.parametrize(
        "end",
        [
            lambda sub: (sub / "beach.jpg").unlink(),
            lambda sub: (sub / "beach.jpg").rename(sub.parent.parent / "away.jpg"),
            lambda sub: sub.rename(sub.parent.parent / "away"),
            shutil.rmtree,
        ],
        ids=["delete", "move out", "move the folder out", "delete the folder"],
    )
    def test_what_is_gone_is_not_open(self, root: Path, watch: EventWatch, end: Callable[[Path], None]) -> None:
        (root / "sub").mkdir()
        watch.start()
        with open(root / "sub" / "beach.jpg", "wb", buffering=0) as writer:
            writer.write(b"half")
            wait_until(lambda: watch.open_files() == {"sub/beach.jpg"})
            end(root / "sub")
            wait_until(lambda: watch.open_files() == frozenset())


def test_it_is_alive_until_its_root_is_removed(root: Path, watch: EventWatch, nudges: list[set[str]]) -> None:
    assert not watch.alive
    watch.start()
    assert watch.alive
    root.rmdir()
    wait_until(lambda: nudges and not watch.alive)


def test_an_unmounted_root_disturbs_nobody(mount: Callable[[str], Path], nudges: list[set[str]]) -> None:
    disk = mount("size=1m")
    watch = EventWatch(disk, lambda: nudges.append(listing(disk)))
    watch.start()
    subprocess.run(["umount", str(disk)], check=True)
    try:
        watch.stop()
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)


def test_stopping_twice_or_before_the_start_is_nothing(root: Path, nudges: list[set[str]]) -> None:
    watch = EventWatch(root, lambda: nudges.append(set()))
    watch.stop()
    watch.stop()
    assert not watch.alive


def test_a_missing_root(root: Path, watch: EventWatch) -> None:
    root.rmdir()
    with pytest.raises(Deferred, match="watching the inbox: No such file"):
        watch.start()
    assert not watch.alive


def test_a_system_without_room_for_a_watch(watch: EventWatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
        with pytest.raises(Blocked, match="max_user_instances"):
            watch.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_every_folder_that_is_watched_is_counted_and_no_other(root: Path, watch: EventWatch) -> None:
    drop(root / "a" / "b", "beach.jpg")
    assert watch.count() == 0
    watch.start()
    assert watch.count() == 3
    other = EventWatch(root / "a", lambda: None)
    other.start()
    assert (watch.count(), other.count()) == (3, 2)
    other.stop()
    (root / "c").mkdir()
    wait_until(lambda: watch.count() == 4)


def test_watches_that_end_with_their_disk_are_counted_no_more(
    mount: Callable[[str], Path], nudges: list[set[str]]
) -> None:
    disk = mount("size=1m")
    watch = EventWatch(disk, lambda: nudges.append(listing(disk)))
    watch.start()
    assert watch.count() == 1
    subprocess.run(["umount", str(disk)], check=True)
    try:
        wait_until(lambda: watch.count() == 0)
    finally:
        watch.stop()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)


def test_a_thread_of_the_observer_that_dies_is_noticed(root: Path, watch: EventWatch) -> None:
    before = {*threading.enumerate()}
    watch.start()
    (reader,) = [thread for thread in {*threading.enumerate()} - before if isinstance(thread, InotifyFD)]
    assert watch.alive
    reader.stop()
    wait_until(lambda: not watch.alive)
