"""Files on their way out: whole, once, under a name of their own, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorawatch.core.naming import LONGEST_NAME
from sorawatch.core.permissions import Permissions
from sorawatch.edges import outbox
from sorawatch.edges.outbox import Item
from sorawatch.errors import Blocked, Deferred
from tests.support import outbox_crashes, texts
from tests.support.sampling import nightly


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


@pytest.fixture
def intent(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder / "intent.json"


def put(folder: Path, **files: str) -> list[Item]:
    """Files named as the keywords, with ``_`` for the dot, and the items that move them."""
    names = {name.replace("_", "."): text for name, text in files.items()}
    for name, text in names.items():
        (folder / name).write_text(text)
    return [Item(folder / name, name) for name in names]


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


class TestNames:
    def test_a_pair_moves_under_its_own_names(self, inbox: Path, root: Path, intent: Path) -> None:
        assert outbox.place(put(inbox, a_jpg="A", a_yaml="B"), root, "", intent) == ("a.jpg", "a.yaml")
        assert files(root) == {"a.jpg": "A", "a.yaml": "B"}
        assert files(inbox) == {}

    def test_a_copy_leaves_its_source(self, inbox: Path, root: Path, intent: Path) -> None:
        (inbox / "clip").write_text("C")
        assert outbox.place([Item(inbox / "clip", "a.mp4", keep=True)], root, "", intent) == ("a.mp4",)
        assert files(root) == {"a.mp4": "C"}
        assert files(inbox) == {"clip": "C"}

    def test_subfolders_are_made(self, inbox: Path, root: Path, intent: Path) -> None:
        outbox.place(put(inbox, a_jpg="A"), root, "2026/summer", intent)
        assert files(root) == {"2026/summer/a.jpg": "A"}

    def test_a_taken_name_gets_a_number_and_the_whole_group_with_it(
        self, inbox: Path, root: Path, intent: Path
    ) -> None:
        put(root, a_yaml="first")
        assert outbox.place(put(inbox, a_jpg="A", a_yaml="B"), root, "", intent) == ("a (2).jpg", "a (2).yaml")
        assert files(root) == {"a.yaml": "first", "a (2).jpg": "A", "a (2).yaml": "B"}

    def test_numbers_go_on(self, inbox: Path, root: Path, tmp_path: Path) -> None:
        for number in range(1, 4):
            outbox.place(put(inbox, a_jpg=str(number)), root, "", tmp_path / f"{number}.json")
        assert files(root) == {"a.jpg": "1", "a (2).jpg": "2", "a (3).jpg": "3"}

    def test_a_dangling_link_takes_a_name_too(self, inbox: Path, root: Path, intent: Path) -> None:
        (root / "a.jpg").symlink_to("nowhere")
        assert outbox.place(put(inbox, a_jpg="A"), root, "", intent) == ("a (2).jpg",)
        assert (root / "a.jpg").is_symlink()

    @pytest.mark.parametrize("stem", ["x" * 251, "ä" * 125, "\udcff" * 251, "line\nbreak", "-rf", " "])
    def test_every_name_a_file_can_have(self, inbox: Path, root: Path, tmp_path: Path, stem: str) -> None:
        for number in range(2):
            (inbox / f"{stem}.jpg").write_text(str(number))
            item = Item(inbox / f"{stem}.jpg", f"{stem}.jpg")
            (name,) = outbox.place([item], root, "", tmp_path / f"{number}.json")
            assert len(os.fsencode(name)) <= LONGEST_NAME
            assert (root / name).read_text() == str(number)
        assert len(files(root)) == 2

    @pytest.mark.parametrize("system", outbox_crashes.ANSWERS)
    def test_threads_that_want_one_name_get_different_ones(self, tmp_path: Path, system: str) -> None:
        assert run_outbox_crashes("race", tmp_path, tmp_path, system)["points"] == 16


class TestCallingAgain:
    def test_the_same_call_changes_nothing_more(self, inbox: Path, root: Path, intent: Path) -> None:
        (inbox / "clip").write_text("C")
        items = [*put(inbox, a_jpg="A"), Item(inbox / "clip", "a.mp4", keep=True)]
        names = outbox.place(items, root, "", intent)
        assert outbox.place(items, root, "", intent) == names
        assert files(root) == {"a.jpg": "A", "a.mp4": "C"}

    def test_a_source_taken_away_is_nothing_to_do(self, inbox: Path, root: Path, intent: Path) -> None:
        items = put(inbox, a_jpg="A", a_yaml="B")
        (inbox / "a.yaml").unlink()
        outbox.place(items, root, "", intent)
        assert files(root) == {"a.jpg": "A"}

    def test_a_name_planned_but_taken_since_is_given_up(self, inbox: Path, root: Path, intent: Path) -> None:
        items = put(inbox, a_jpg="A")
        intent.write_text(json.dumps({"a.jpg": "a.jpg"}))
        put(root, a_jpg="somebody else's")
        with pytest.raises(Deferred, match=r"a\.jpg was just taken"):
            outbox.place(items, root, "", intent)
        assert outbox.place(items, root, "", intent) == ("a (2).jpg",)
        assert files(root) == {"a.jpg": "somebody else's", "a (2).jpg": "A"}

    def test_an_empty_file_of_somebody_else_is_not_taken_for_ours(self, inbox: Path, root: Path, intent: Path) -> None:
        intent.write_text(json.dumps({"a.jpg": "a.jpg"}))
        (root / "a.jpg").touch()
        with pytest.raises(Deferred):
            outbox.place(put(inbox, a_jpg="A"), root, "", intent)
        assert files(root) == {"a.jpg": ""}

    @pytest.mark.parametrize("keep", [True, False])
    def test_an_empty_file_that_reserved_the_name_without_links_is_taken_back(
        self, inbox: Path, root: Path, intent: Path, keep: bool
    ) -> None:
        item = replace(put(inbox, a_jpg="A")[0], keep=keep)
        (root / "a.jpg").touch()
        intent.write_text(json.dumps({"a.jpg": "a.jpg"}))
        assert at("never", "pass", item, root, intent, "rclone") == "placed"
        assert files(root) == {"a.jpg": "A"}

    def test_a_write_cache_that_may_hold_back_a_reservation_gets_a_copy(
        self, inbox: Path, root: Path, intent: Path
    ) -> None:
        item = put(inbox, a_jpg="A")[0]
        inode = item.source.stat().st_ino
        assert at("never", "pass", item, root, intent, "rclone") == "placed"
        assert files(root) == {"a.jpg": "A"}
        assert files(inbox) == {}
        assert (root / "a.jpg").stat().st_ino != inode

    def test_what_is_placed_keeps_its_name_when_another_must_be_found_for_the_rest(
        self, inbox: Path, root: Path, intent: Path
    ) -> None:
        (inbox / "text").write_text("why")
        kept = Item(inbox / "text", "a.error.txt", keep=True)
        outbox.place([kept], root, "", intent)
        intent.write_text(json.dumps({"a.error.txt": "a.error.txt", "a.jpg": "a.jpg"}))
        put(root, a_jpg="somebody else's")
        items = [kept, *put(inbox, a_jpg="A")]
        with pytest.raises(Deferred):
            outbox.place(items, root, "", intent)
        assert outbox.place(items, root, "", intent) == ("a.error.txt", "a (2).jpg")
        assert files(root) == {"a.error.txt": "why", "a.jpg": "somebody else's", "a (2).jpg": "A"}

    def test_an_item_that_joins_later_gets_a_name_of_its_own(self, inbox: Path, root: Path, intent: Path) -> None:
        first, second = put(inbox, a_txt="T", a_jpg="A")
        outbox.place([first], root, "", intent)
        put(root, a_jpg="somebody else's")
        assert outbox.place([first, second], root, "", intent) == ("a.txt", "a (2).jpg")


class TestMeanwhile:
    """Other processes at the same folders, between any two of our system calls."""

    @pytest.mark.parametrize("keep", [True, False])
    @pytest.mark.parametrize("content", ["faster", ""])
    @pytest.mark.parametrize("system", outbox_crashes.ANSWERS)
    def test_a_name_taken_at_the_last_moment_is_not_overwritten(
        self, inbox: Path, root: Path, intent: Path, system: str, content: str, keep: bool
    ) -> None:
        item = replace(put(inbox, a_jpg="A")[0], keep=keep)
        take = f"open({str(root / 'a.jpg')!r}, 'w').write({content!r})"
        assert "just taken by somebody else" in at("os.rename", take, item, root, intent, system)
        assert files(root) == {"a.jpg": content}
        assert outbox.place([item], root, "", intent) == ("a (2).jpg",)
        assert files(root) == {"a.jpg": content, "a (2).jpg": "A"}

    @pytest.mark.parametrize("system", outbox_crashes.ANSWERS)
    def test_a_source_replaced_while_it_was_placed_stays(
        self, inbox: Path, root: Path, intent: Path, system: str
    ) -> None:
        item = put(inbox, a_jpg="A")[0]
        newer = inbox / "newer"
        newer.write_text("newer")
        come = f"os.path.exists({str(newer)!r}) and os.replace({str(newer)!r}, {str(item.source)!r})"
        assert (
            at("call fsync", f"if args['self'].path == Path({str(root)!r}): {come}", item, root, intent, system)
            == "placed"
        )
        assert files(root) == {"a.jpg": "A"}
        assert files(inbox) == {"a.jpg": "newer"}

    def test_a_source_that_changes_while_it_is_copied_is_not_placed(
        self, inbox: Path, other_disk: Path, intent: Path
    ) -> None:
        item = put(inbox, a_jpg="A")[0]
        change = f"open({str(item.source)!r}, 'w').write('later')"
        told = at("call _copy_attributes", change, item, other_disk, intent)
        assert "changed while it was copied" in told
        assert files(other_disk) == {}
        assert files(inbox) == {"a.jpg": "later"}


def at(event: str, then: str, item: Item, root: Path, intent: Path, system: str = "linux") -> str:
    """Place an item in a process in which ``then`` happens at the audit event, or at a ``call`` of a function.

    Returns what came of it.
    """
    code = f"""
import os, sys
from pathlib import Path
from sorawatch.edges import directories, outbox
from tests.support import outbox_crashes
outbox_crashes.pretend({system!r})
busy = False
def hook(event, args):
    global busy
    if event == {event!r} and not busy:
        busy = True
        {then}
        busy = False
item = outbox.Item(Path({str(item.source)!r}), {item.name!r}, keep={item.keep})
def profile(frame, event, args):
    if event == "call" and frame.f_code.co_filename in {{outbox.__file__, directories.__file__}}:
        hook("call " + frame.f_code.co_name, frame.f_locals)
sys.addaudithook(hook)
sys.setprofile(profile)
try:
    outbox.place([item], Path({str(root)!r}), "", Path({str(intent)!r}))
    print("placed")
except outbox.Deferred as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    skip_without_seccomp(done)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def skip_without_seccomp(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode == outbox_crashes.UNSUPPORTED:
        pytest.skip("needs seccomp to refuse system calls")


@pytest.mark.parametrize("step", [5, nightly(1)])
class TestDeath:
    """Killed at every fifth line, or at every one, and called again: each file in one place, whole, never half visible."""

    @pytest.mark.parametrize("system", outbox_crashes.ANSWERS)
    def test_on_one_disk(self, other_disk: Path, system: str, step: int) -> None:
        assert run_outbox_crashes("crash", other_disk, other_disk, system, step)["points"] > 100

    @pytest.mark.parametrize("system", ["linux", "bare"])
    def test_from_one_disk_to_another(self, tmp_path: Path, other_disk: Path, system: str, step: int) -> None:
        assert run_outbox_crashes("crash", tmp_path, other_disk, system, step)["points"] > 200


def run_outbox_crashes(what: str, sources: Path, targets: Path, system: str, step: int = 1) -> dict[str, int]:
    command = [sys.executable, outbox_crashes.__file__, what, str(sources), str(targets), system, str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    skip_without_seccomp(done)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["faults"] == []
    return result


class TestTrouble:
    def test_a_missing_root_is_not_made(self, inbox: Path, tmp_path: Path, intent: Path) -> None:
        with pytest.raises(Deferred, match="gone"):
            outbox.place(put(inbox, a_jpg="A"), tmp_path / "gone", "sub", intent)
        assert not (tmp_path / "gone").exists()
        assert files(inbox) == {"a.jpg": "A"}

    def test_a_file_where_a_folder_is_needed_is_named(self, inbox: Path, root: Path, intent: Path) -> None:
        (root / "sub").write_text("a file")
        with pytest.raises(Deferred, match="sub is in the way: a folder is needed there"):
            outbox.place(put(inbox, a_jpg="A"), root, "sub/deeper", intent)
        assert files(inbox) == {"a.jpg": "A"}

    def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(
        self, inbox: Path, intent: Path, mount: Callable[[str], Path]
    ) -> None:
        root = mount("size=1m")
        (root / "ballast").write_bytes(bytes(900_000))
        item = put(inbox, a_jpg="A" * 500_000)[0]
        with pytest.raises(Blocked, match=texts.DISK_FULL) as caught:
            outbox.place([item], root, "", intent)
        assert caught.value.cause.temporary
        assert [path.name for path in root.iterdir()] == ["ballast"]
        (root / "ballast").unlink()
        assert outbox.place([item], root, "", intent) == ("a.jpg",)
        assert files(root) == {"a.jpg": "A" * 500_000}
        assert files(inbox) == {}

    def test_a_copy_does_not_run_as_the_daemons_user(
        self, inbox: Path, intent: Path, mount: Callable[[str], Path]
    ) -> None:
        root = mount("size=1m")
        item = put(inbox, a_jpg="A")[0]
        item.source.chmod(0o6755)
        outbox.place([item], root, "", intent)
        assert stat.S_IMODE((root / "a.jpg").stat().st_mode) == 0o755

    def test_a_file_of_nothing_but_a_hole_does_not_fill_the_disk(
        self, inbox: Path, intent: Path, mount: Callable[[str], Path]
    ) -> None:
        root = mount("size=8m")
        item = put(inbox, a_jpg="A")[0]
        os.truncate(item.source, 1 << 40)
        assert outbox.place([item], root, "", intent) == ("a.jpg",)
        status = (root / "a.jpg").stat()
        assert (status.st_size, status.st_blocks * 512 < 1 << 20) == (1 << 40, True)
        with (root / "a.jpg").open("rb") as copy:
            assert copy.read(2) == b"A\0"
        assert files(inbox) == {}

    def test_a_file_with_many_holes_is_copied_as_it_is(
        self, inbox: Path, intent: Path, mount: Callable[[str], Path]
    ) -> None:
        root = mount("size=8m")
        item = put(inbox, a_jpg="")[0]
        with item.source.open("r+b") as file:
            for number in (*range(0, 40, 2), 43, 44, 50):
                file.seek(number * 4096)
                file.write(bytes([number + 1]) * 4096)
            file.truncate(60 * 4096)
        expected = item.source.read_bytes()
        outbox.place([item], root, "", intent)
        assert (root / "a.jpg").read_bytes() == expected

    def test_a_file_that_is_no_picture_and_too_large_for_the_disk_waits_alone(
        self, inbox: Path, intent: Path, mount: Callable[[str], Path]
    ) -> None:
        root = mount("size=1m")
        item = put(inbox, a_jpg="A")[0]
        with item.source.open("wb") as file:
            for _ in range(513):
                file.write(b"x" * (1 << 20))
        with pytest.raises(Deferred, match="no room for") as caught:
            outbox.place([item], root, "", intent)
        assert caught.value.affects_all
        assert [*root.iterdir()] == []
        assert item.source.stat().st_size == 513 << 20

    def test_a_disk_without_inodes(self, inbox: Path, intent: Path, mount: Callable[[str], Path]) -> None:
        root = mount("nr_inodes=1")
        item = put(inbox, a_jpg="A")[0]
        with pytest.raises(Blocked, match=texts.DISK_FULL):
            outbox.place([item], root, "", intent)
        assert files(inbox) == {"a.jpg": "A"}

    def test_a_read_only_target(
        self, inbox: Path, intent: Path, mount: Callable[[str], Path], remount: Callable[[Path, str], None]
    ) -> None:
        root = mount("size=1m")
        remount(root, "ro")
        item = put(inbox, a_jpg="A")[0]
        with pytest.raises(Blocked, match=texts.UNWRITABLE):
            outbox.place([item], root, "", intent)
        remount(root, "rw")
        assert outbox.place([item], root, "", intent) == ("a.jpg",)

    def test_a_read_only_source_is_named(
        self, root: Path, intent: Path, mount: Callable[[str], Path], remount: Callable[[Path, str], None]
    ) -> None:
        inbox = mount("size=1m")
        item = put(inbox, a_jpg="A")[0]
        remount(inbox, "ro")
        with pytest.raises(Blocked, match=str(item.source)):
            outbox.place([item], root, "", intent)
        remount(inbox, "rw")
        assert outbox.place([item], root, "", intent) == ("a.jpg",)
        assert files(root) == {"a.jpg": "A"}
        assert files(inbox) == {}


def test_a_copy_keeps_time_and_mode(inbox: Path, other_disk: Path, intent: Path) -> None:
    item = put(inbox, a_jpg="A")[0]
    os.utime(item.source, ns=(10**18, 10**18 + 1))
    item.source.chmod(0o640)
    outbox.place([item], other_disk, "", intent)
    status = (other_disk / "a.jpg").stat()
    assert (status.st_mtime_ns, status.st_mode & 0o777) == (10**18 + 1, 0o640)


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=200))
def test_write_durably_replaces_the_whole_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("durable") / "file"
    for content in (b"before", data):
        outbox.write_durably(path, content)
    assert path.read_bytes() == data
    assert [*path.parent.iterdir()] == [path]


class TestAccess:
    ACCESS = Permissions(0o664, 0o2775, 12345)

    def modes(self, root: Path) -> dict[str, tuple[str, int]]:
        found = {str(path.relative_to(root)): path.stat() for path in root.rglob("*")}
        return {name: (oct(status.st_mode & 0o7777), status.st_gid) for name, status in found.items()}

    def test_what_we_make_has_it_and_what_is_moved_keeps_its_own(self, inbox: Path, root: Path, intent: Path) -> None:
        moved, made = put(inbox, a_jpg="A", a_mp4="B")
        moved.source.chmod(0o600)
        if os.geteuid() != 0:
            pytest.skip("only root may give any group")
        outbox.place([moved, replace(made, keep=True)], root, "2026/summer", intent, self.ACCESS)
        assert self.modes(root) == {
            "2026": ("0o2775", 12345),
            "2026/summer": ("0o2775", 12345),
            "2026/summer/a.jpg": ("0o600", 0),
            "2026/summer/a.mp4": ("0o664", 12345),
        }

    def test_across_devices_it_is_the_same(self, inbox: Path, other_disk: Path, intent: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root may give any group")
        moved, made = put(inbox, a_jpg="A", a_mp4="B")
        os.chown(moved.source, -1, 54321)
        moved.source.chmod(0o640)
        outbox.place([moved, replace(made, keep=True)], other_disk, "", intent, self.ACCESS)
        assert self.modes(other_disk) == {"a.jpg": ("0o640", 54321), "a.mp4": ("0o664", 12345)}

    def test_what_is_refused_is_done_without(self, unprivileged: Path) -> None:
        for name in ("in", "out"):
            (unprivileged / name).mkdir()
        (made,) = put(unprivileged / "in", a_mp4="A")
        item = replace(made, keep=True)
        assert outbox.place([item], unprivileged / "out", "sub", unprivileged / "intent", self.ACCESS) == ("a.mp4",)
        assert {mode for mode, _ in self.modes(unprivileged / "out").values()} == {"0o2775", "0o664"}

    def test_a_folder_that_may_not_be_written_is_named_not_what_was_to_be_made_in_it(self, unprivileged: Path) -> None:
        for name in ("in", "out"):
            (unprivileged / name).mkdir()
        (made,) = put(unprivileged / "in", a_mp4="A")
        (unprivileged / "out").chmod(0o555)
        with pytest.raises(Blocked) as caught:
            outbox.place([replace(made, keep=True)], unprivileged / "out", "", unprivileged / "intent", Permissions())
        assert caught.value.hint == f"{texts.GIVE_ACCESS} {unprivileged / 'out'}."

    @pytest.mark.parametrize("refusing", ["in", "out"])
    def test_a_refused_move_names_the_folder_that_refuses(self, unprivileged: Path, refusing: str) -> None:
        for name in ("in", "out"):
            (unprivileged / name).mkdir()
        items = put(unprivileged / "in", a_jpg="A")
        (unprivileged / refusing).chmod(0o500)
        with pytest.raises(Blocked) as refused:
            outbox.place(items, unprivileged / "out", "", unprivileged / "intent")
        assert refused.value.hint == f"{texts.GIVE_ACCESS} {unprivileged / refusing}."
        (unprivileged / refusing).chmod(0o700)
        assert outbox.place(items, unprivileged / "out", "", unprivileged / "intent") == ("a.jpg",)
