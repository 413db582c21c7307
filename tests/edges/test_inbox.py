"""The watched folder: what lies there, what has settled, and what it waits for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch.core.job import Pair, Stamp
from sorawatch.edges import inbox
from sorawatch.edges.inbox import Inbox, Listing
from sorawatch.errors import Blocked, Deferred

SETTLE = 3.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


class Scans:
    """Scans of an inbox at times of the test's choosing."""

    def __init__(self, root: Path, ignore: tuple[str, ...] = ()) -> None:
        self.inbox = Inbox(root, ignore=ignore, settle_seconds=SETTLE)
        self.known: dict[str, Pair] = {}

    def at(self, now: float, *open_files: str) -> Listing:
        return self.inbox.scan(self.known, now, frozenset(open_files))

    def settled(self) -> Listing:
        """What two looks find that are far enough apart."""
        self.at(0.0)
        return self.at(SETTLE)


@pytest.fixture
def scans(root: Path) -> Scans:
    return Scans(root)


def arrived(scan: Listing) -> list[tuple[str, str | None]]:
    return sorted((arrival.pair.path, arrival.pair.sidecar) for arrival in scan.settled)


def waiting(scan: Listing) -> dict[str, str]:
    return {each.path: each.why for each in scan.waiting}


def drop(folder: Path, *names: str, text: str = "x") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(text)


class TestSettling:
    def test_a_pair_arrives_when_two_looks_far_enough_apart_agree(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg", "beach.yaml")
        first, early, late = scans.at(10.0), scans.at(10.0 + SETTLE / 2), scans.at(10.0 + SETTLE)
        assert (arrived(first), arrived(early)) == ([], [])
        assert (first.settles_in, early.settles_in) == (SETTLE, SETTLE / 2)
        assert early.settling == 1
        assert waiting(early) == {"beach.jpg": "still being written, or just now"}
        assert arrived(late) == [("beach.jpg", "beach.yaml")]
        assert (late.settling, late.settles_in, waiting(late)) == (0, None, {})

    @pytest.mark.parametrize("name", ["sub/beach.jpg", "sub/beach.yaml", "sub/_defaults.yaml", "_defaults.yaml"])
    def test_a_pair_waits_while_one_of_its_files_is_open_for_an_hour_at_most(
        self, root: Path, scans: Scans, name: str
    ) -> None:
        drop(root, "other.jpg", "_defaults.yaml")
        drop(root / "sub", "beach.jpg", "beach.yaml", "_defaults.yaml")
        scans.at(0.0, name)
        late = scans.at(3599.0, name)
        assert ("sub/beach.jpg", "sub/beach.yaml") not in arrived(late)
        told = waiting(late)["sub/beach.jpg"]
        assert told == (
            f"{name} is still open for writing in another program; an hour after its last change it is used as it is"
        )
        assert late.settling == (2 if name == "_defaults.yaml" else 1)
        assert late.settles_in == 1.0
        assert len(arrived(scans.at(3600.0, name))) == 2

    def test_a_pair_whose_file_is_closed_has_settled_if_it_had_not_changed_before(
        self, root: Path, scans: Scans
    ) -> None:
        drop(root, "beach.jpg", "beach.yaml")
        scans.at(0.0, "beach.yaml")
        assert arrived(scans.at(2 * SETTLE, "beach.yaml")) == []
        assert arrived(scans.at(2 * SETTLE + 0.1)) == [("beach.jpg", "beach.yaml")]

    def test_an_open_file_holds_back_no_other_pair(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg", "beach.yaml", "other.jpg", "_default.yaml")
        scans.at(0.0, "other.jpg", "_default.yaml", "sub/beach.yaml", "gone.jpg")
        found = scans.at(SETTLE, "other.jpg", "_default.yaml", "sub/beach.yaml", "gone.jpg")
        assert arrived(found) == [("beach.jpg", "beach.yaml")]

    def test_one_look_is_never_enough_however_old_the_file_says_it_is(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg")
        os.utime(root / "beach.jpg", (0, 0))
        assert arrived(scans.at(10**9)) == []
        assert arrived(scans.at(10**9 + SETTLE)) == [("beach.jpg", None)]

    def test_a_slow_copy_waits_as_long_as_it_takes(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg", "beach.yaml")
        for step in range(20):
            assert arrived(scans.at(step * SETTLE)) == []
            with (root / "beach.jpg").open("a") as file:
                file.write("more")
        scans.at(20 * SETTLE)
        assert arrived(scans.at(21 * SETTLE)) == [("beach.jpg", "beach.yaml")]

    def test_a_change_that_hides_its_time_is_seen(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg")
        before = (root / "beach.jpg").stat()
        scans.at(0.0)
        drop(root, "beach.jpg", text="y")
        os.utime(root / "beach.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))
        assert arrived(scans.at(SETTLE)) == []

    def test_a_sidecar_that_comes_later_starts_the_wait_again(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg")
        scans.at(0.0)
        drop(root, "beach.yaml")
        assert arrived(scans.at(SETTLE)) == []
        assert arrived(scans.at(2 * SETTLE)) == [("beach.jpg", "beach.yaml")]

    def test_a_temporary_name_is_not_looked_at_until_it_is_renamed(self, root: Path, scans: Scans) -> None:
        drop(root, ".beach.jpg.Xy12", "beach.jpg.part", "beach.yaml")
        assert waiting(scans.settled()) == {"beach.yaml": "no image of this name"}
        (root / "beach.jpg.part").rename(root / "beach.jpg")
        scans.at(10.0)
        assert arrived(scans.at(10.0 + SETTLE)) == [("beach.jpg", "beach.yaml")]

    @pytest.mark.parametrize("empty", ["beach.jpg", "beach.yaml", "_defaults.yaml"])
    def test_an_empty_file_waits_without_being_looked_at_all_the_time(
        self, root: Path, scans: Scans, empty: str
    ) -> None:
        drop(root, "beach.jpg", "beach.yaml", "_defaults.yaml")
        drop(root, empty, text="")
        scan = scans.settled()
        assert (arrived(scan), scan.settling, scan.settles_in) == ([], 0, None)
        assert waiting(scan) == {"beach.jpg": f"{empty} is still empty"}
        assert waiting(scans.at(100.0)) == {
            "beach.jpg": f"{empty} is still empty. Write it; or, if a cloud service keeps it online only, "
            "make it available offline there"
        }

    def test_defaults_settle_with_the_pairs_they_hold_for(self, root: Path, scans: Scans) -> None:
        drop(root / "sub" / "deep", "beach.jpg")
        drop(root / "other", "hill.jpg")
        drop(root / "sub", "_defaults.yaml")
        scans.at(0.0)
        drop(root / "sub", "_defaults.yaml", text="longer")
        assert arrived(scans.at(SETTLE)) == [("other/hill.jpg", None)]
        (arrival,) = (each for each in scans.at(2 * SETTLE).settled if each.pair.folder == "sub/deep")
        assert arrival.defaults == ("sub/_defaults.yaml",)

    def test_a_settled_pair_is_reported_until_it_is_known_and_again_when_it_changes(
        self, root: Path, scans: Scans
    ) -> None:
        drop(root, "beach.jpg")
        scans.settled()
        scan = scans.at(2 * SETTLE)
        assert arrived(scan) == [("beach.jpg", None)]
        scans.known = dict(scan.present)
        assert arrived(scans.at(3 * SETTLE)) == []
        drop(root, "beach.jpg", text="another")
        scans.at(4 * SETTLE)
        assert arrived(scans.at(5 * SETTLE)) == [("beach.jpg", None)]


class TestListing:
    def test_subfolders_and_their_defaults(self, root: Path, scans: Scans) -> None:
        drop(root, "_defaults.yml", "a.jpg")
        drop(root / "b", "_Defaults.YAML", "_defaults.yml", "b.jpg", "b.jpg.yaml")
        drop(root / "b" / "c", "c.jpg", "c.txt")
        scan = scans.settled()
        assert {each.pair.path: (each.pair.sidecar, each.defaults) for each in scan.settled} == {
            "a.jpg": (None, ("_defaults.yml",)),
            "b/b.jpg": ("b.jpg.yaml", ("b/_Defaults.YAML", "b/_defaults.yml", "_defaults.yml")),
            "b/c/c.jpg": ("c.txt", ("b/_Defaults.YAML", "b/_defaults.yml", "_defaults.yml")),
        }
        assert {*scan.present} == {"a.jpg", "b/b.jpg", "b/c/c.jpg"}
        assert waiting(scan) == {}

    def test_what_is_present_is_told_as_it_looks(self, root: Path, scans: Scans) -> None:
        drop(root / "sub", "beach.jpg", "beach.yaml", text="1234567")
        os.utime(root / "sub" / "beach.jpg", ns=(0, 5))
        os.utime(root / "sub" / "beach.yaml", ns=(0, 6))
        expected = Pair("sub", "beach.jpg", Stamp(7, 5), "beach.yaml", Stamp(7, 6))
        assert scans.at(0.0).present == {"sub/beach.jpg": expected}
        assert inbox.stamp(root, "sub/beach.jpg") == Stamp(7, 5)

    def test_a_date_beyond_64_bits_is_kept_within_them(self, root: Path, scans: Scans) -> None:
        drop(root, "beach.jpg")
        os.utime(root / "beach.jpg", (10**10, 10**10))
        if (root / "beach.jpg").stat().st_mtime != 10**10:
            pytest.skip("this file system has no such dates")
        stamp = scans.at(0.0).present["beach.jpg"].image_stamp
        assert -(2**63) <= stamp.mtime_ns < 2**63
        assert stamp == inbox.stamp(root, "beach.jpg")

    def test_what_belongs_to_nothing_is_told(self, root: Path, scans: Scans) -> None:
        drop(root, "lonely.yaml", "notes.pdf")
        drop(root / "sub", "clip.mp4")
        assert waiting(scans.settled()) == {
            "lonely.yaml": "no image of this name",
            "notes.pdf": "a PDF document, which is not read. Export the page as JPEG or PNG",
            "sub/clip.mp4": "a video, which is not read. Save one of its frames as JPEG or PNG",
        }

    def test_two_images_of_one_sidecar_arrive_with_their_conflict(self, root: Path, scans: Scans) -> None:
        drop(root, "a.jpg", "a.png", "a.yaml")
        scan = scans.settled()
        assert [arrival.pair.path for arrival in scan.settled] == ["a.jpg", "a.png"]
        assert all("a.jpg.yaml, a.png.yaml" in arrival.conflict for arrival in scan.settled)

    def test_junk_is_passed_over_in_silence(self, root: Path) -> None:
        names = (
            ".hidden.jpg ._beach.jpg .DS_Store Thumbs.db THUMBS.DB DESKTOP.INI ~$beach.jpg beach.jpg~ a.jpg.crdownload "
            "a.jpg.TMP a.jpg.part a.jpg.Partial a.jpg.download a.jpg.filepart a.jpg.!sync beach.error.txt x.bak"
        )
        drop(root, *names.split())
        folders = (
            ".git @eaDir @EADIR #recycle #snapshot @Recycle @Recently-Snapshot @tmp .stfolder .stversions .Trash-1000 "
            "__MACOSX lost+found $RECYCLE.BIN drafts"
        )
        for folder in (*folders.split(), "System Volume Information"):
            drop(root / folder, "beach.jpg")
        scan = Scans(root, ignore=("*.bak", "Drafts")).settled()
        assert (arrived(scan), waiting(scan), scan.present) == ([], {}, {})

    @pytest.mark.parametrize("stem", ["b\udcff\udcfe", "ä", "a\u0308", " ", "line\nbreak", "-rf", "*[?", "x" * 251])
    def test_any_name(self, root: Path, scans: Scans, stem: str) -> None:
        drop(root / stem[:100], f"{stem}.jpg")
        scan = scans.settled()
        assert arrived(scan) == [(f"{stem[:100]}/{stem}.jpg", None)]
        assert (root / scan.settled[0].pair.path).read_text() == "x"

    def test_links_pipes_and_sockets_are_refused_unopened(
        self, root: Path, scans: Scans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drop(tmp_path / "elsewhere", "beach.jpg")
        (root / "link.jpg").symlink_to(tmp_path / "elsewhere" / "beach.jpg")
        (root / "dangling.jpg").symlink_to("nowhere")
        (root / "folder").symlink_to(tmp_path / "elsewhere")
        (root / "loop").symlink_to(root)
        os.mkfifo(root / "pipe.jpg")
        monkeypatch.chdir(root)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket.jpg")
            scan = scans.settled()
        assert scan.present == {}
        links = dict.fromkeys(("link.jpg", "dangling.jpg", "folder", "loop"), "a symbolic link")
        odd = {**links, "pipe.jpg": "a named pipe", "socket.jpg": "a socket"}
        assert waiting(scan) == {
            name: f"is {kind}, which is never opened; put the file itself here" for name, kind in odd.items()
        }

    def test_hard_links_are_files(self, root: Path, scans: Scans, tmp_path: Path) -> None:
        drop(tmp_path, "beach.jpg")
        os.link(tmp_path / "beach.jpg", root / "beach.jpg")
        assert arrived(scans.settled()) == [("beach.jpg", None)]

    @pytest.mark.parametrize("name", ["PAUSE", "Pause", "pause.txt", "PAUSE.TXT"])
    def test_a_file_named_pause(self, root: Path, scans: Scans, name: str) -> None:
        drop(root, name, text="")
        scan = scans.at(0.0)
        assert scan.pause_file == scans.inbox.pause_file() == name
        assert waiting(scan) == {}

    def test_one_in_a_subfolder_stops_nothing_and_says_so(self, root: Path, scans: Scans) -> None:
        drop(root / "sub", "PAUSE", text="")
        scan = scans.at(0.0)
        assert scan.pause_file is scans.inbox.pause_file() is None
        assert waiting(scan) == {"sub/PAUSE": "stops submissions only at the top of the inbox"}

    def test_a_folder_named_pause_stops_nothing(self, root: Path, scans: Scans) -> None:
        drop(root / "Pause", "beach.jpg")
        assert scans.at(0.0).pause_file is scans.inbox.pause_file() is None
        assert arrived(scans.settled()) == [("Pause/beach.jpg", None)]

    def test_the_sidecar_of_a_picture_named_pause_stops_nothing(self, root: Path, scans: Scans) -> None:
        drop(root, "pause.jpg", "pause.txt")
        assert scans.at(0.0).pause_file is scans.inbox.pause_file() is None
        assert arrived(scans.settled()) == [("pause.jpg", "pause.txt")]

    def test_no_pause_file_in_an_inbox_that_is_gone(self, root: Path, scans: Scans) -> None:
        root.rmdir()
        assert scans.inbox.pause_file() is None

    def test_a_link_named_pause_pauses_too(self, root: Path, scans: Scans) -> None:
        (root / "Pause").symlink_to("nowhere")
        scan = scans.at(0.0)
        assert scan.pause_file == scans.inbox.pause_file() == "Pause"
        assert waiting(scan) == {}

    def test_ten_thousand_pairs(self, root: Path, scans: Scans) -> None:
        drop(root / "many", "first.jpg", "first.yaml")
        for number in range(9_999):
            for suffix in ("jpg", "yaml"):
                os.link(root / "many" / f"first.{suffix}", root / "many" / f"{number}.{suffix}")
        assert len(scans.settled().settled) == 10_000


class TestTrouble:
    def test_a_missing_inbox(self, root: Path, scans: Scans) -> None:
        root.rmdir()
        with pytest.raises(Deferred, match="inbox: No such file"):
            scans.at(0.0)

    def test_an_unmounted_inbox_is_an_empty_one_for_the_marker_to_tell(self, mount: Callable[[str], Path]) -> None:
        disk = mount("size=1m")
        drop(disk, "beach.jpg")
        scans = Scans(disk)
        assert {*scans.at(0.0).present} == {"beach.jpg"}
        subprocess.run(["umount", str(disk)], check=True)
        try:
            assert {*scans.at(1.0).present} == set()
        finally:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)

    def test_an_inbox_that_may_not_be_listed(self, unprivileged: Path) -> None:
        closed = unprivileged / "closed"
        closed.mkdir()
        closed.chmod(0)
        with pytest.raises(Blocked, match="Permission denied"):
            Scans(closed).at(0.0)

    def test_a_subfolder_that_may_not_be_listed_hides_only_itself(self, unprivileged: Path) -> None:
        drop(unprivileged, "a.jpg")
        drop(unprivileged / "sub" / "deep", "b.jpg")
        drop(unprivileged / "subway", "c.jpg")
        scans = Scans(unprivileged)
        scans.known = dict(scans.settled().present)
        (unprivileged / "subway" / "c.jpg").unlink()
        (unprivileged / "sub").chmod(0)
        scan = scans.at(SETTLE)
        assert {*scan.present} == {"a.jpg", "sub/deep/b.jpg"}
        assert scan.present["sub/deep/b.jpg"] == scans.known["sub/deep/b.jpg"]
        assert waiting(scan) == {"sub": "cannot be listed: Permission denied"}
        (unprivileged / "sub").chmod(0o777)
        assert waiting(scans.at(SETTLE)) == {}

    def test_subfolders_are_listed_to_a_certain_depth(
        self, root: Path, scans: Scans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The path of the deepest is longer than a system call accepts."""
        monkeypatch.chdir(root)
        for _ in range(70):
            drop(Path(), "a.jpg")
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        scan = scans.settled()
        assert len(arrived(scan)) == 65
        assert waiting(scan) == {"/".join(["d" * 250] * 65): "cannot be listed: it is more than 64 folders deep"}

    def test_files_that_may_not_be_looked_at_wait_and_are_not_forgotten(self, unprivileged: Path) -> None:
        drop(unprivileged / "sub", "a.jpg", "a.yaml", "b.jpg")
        scans = Scans(unprivileged)
        scans.known = {path: pair for path, pair in scans.settled().present.items() if path == "sub/a.jpg"}
        (unprivileged / "sub").chmod(0o444)
        scan = scans.at(SETTLE)
        (unprivileged / "sub").chmod(0o777)
        assert arrived(scan) == []
        assert scan.present == scans.known
        names = ("sub/a.jpg", "sub/a.yaml", "sub/b.jpg")
        assert waiting(scan) == dict.fromkeys(names, "cannot be read: Permission denied")

    def test_a_file_that_may_not_be_asked_about(self, root: Path) -> None:
        with pytest.raises(Deferred, match="File name too long"):
            inbox.stamp(root, "x" * 300)
        assert inbox.stamp(root, "gone") is None
        assert inbox.stamp(root, "gone/below") is None
        drop(root, "file")
        with pytest.raises(Deferred, match="file is in the way"):
            inbox.stamp(root, "file/below")

    def test_what_vanishes_while_it_is_listed_was_never_there(self, root: Path, scans: Scans) -> None:
        drop(root, "stays.jpg")
        ended = threading.Event()

        def churn() -> None:
            while not ended.is_set():
                for number in range(20):
                    drop(root, f"{number}.jpg")
                    drop(root / f"{number}", "in.jpg")
                for number in range(20):
                    (root / f"{number}.jpg").unlink()
                    shutil.rmtree(root / f"{number}")

        churning = threading.Thread(target=churn)
        churning.start()
        try:
            for step in range(200):
                scan = scans.at(float(step))
                assert "stays.jpg" in scan.present
                assert not [why for why in waiting(scan).values() if "cannot" in why]
        finally:
            ended.set()
            churning.join()
