"""The marker tells a folder from an empty mount point, and names the state that the folder belongs to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch.edges import marker
from sorawatch.edges.marker import (
    MARKER,
    is_marked,
    make_marker,
    name_marker,
    read_marker,
    require_marker,
    write_marker,
)
from sorawatch.errors import Blocked, Deferred, UsageError
from tests.support import texts

ONE, TWO = "11111111-2222-4333-8444-555555555555", "99999999-8888-4777-8666-555555555555"
OLDER = (
    "sorawatch works with this folder. Please leave this file where it is: as long as it is here, sorawatch knows that\n"
    "the folder is really there and not an empty place where a share ought to be mounted.\n"
)


def test_a_folder_is_marked_then_named_and_the_marker_explains_itself(tmp_path: Path) -> None:
    assert not is_marked(tmp_path)
    assert read_marker(tmp_path) is None
    assert name_marker(tmp_path, ONE) is None
    make_marker(tmp_path)
    assert is_marked(tmp_path)
    assert read_marker(tmp_path) == ""
    assert name_marker(tmp_path, ONE) == ONE
    assert read_marker(tmp_path) == ONE
    assert "leave this file where it is" in (tmp_path / MARKER).read_text()
    require_marker(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MARKER]


@pytest.mark.parametrize("content", ["", "\n", OLDER, f"{OLDER}Held by pid 17 on nas\n"])
def test_a_marker_of_an_older_version_is_given_a_name(tmp_path: Path, content: str) -> None:
    (tmp_path / MARKER).write_text(content)
    assert name_marker(tmp_path, ONE) == ONE
    assert read_marker(tmp_path) == ONE


def test_a_marker_that_names_a_state_is_never_written_again(tmp_path: Path) -> None:
    write_marker(tmp_path, ONE)
    before = os.stat(tmp_path / MARKER)
    make_marker(tmp_path)
    assert name_marker(tmp_path, TWO) == ONE
    after = os.stat(tmp_path / MARKER)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_a_crash_left_is_replaced_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").touch()
    (tmp_path / f"{MARKER}.new").symlink_to(tmp_path / "victim")
    write_marker(tmp_path, ONE)
    assert (tmp_path / "victim").read_text() == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [MARKER, "victim"]


def test_everybody_can_read_it_whatever_the_umask_of_the_daemon(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_marker(tmp_path, ONE)
    finally:
        os.umask(before)
    assert (tmp_path / MARKER).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "content", ["name: holiday\n", f"{OLDER}State: 17\n", f"{OLDER}State: {ONE}\nState: {TWO}\n", "\0"]
)
def test_a_file_of_somebody_else_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / MARKER
    path.write_text(content)
    with pytest.raises(UsageError, match=r"was not written by sorawatch.* Move it away, then: touch "):
        name_marker(tmp_path, ONE)
    assert path.read_text() == content


def test_so_is_what_is_no_file(tmp_path: Path) -> None:
    makes: dict[str, Callable[[Path], None]] = {
        "a folder": Path.mkdir,
        "a symbolic link": lambda path: path.symlink_to(tmp_path / "elsewhere"),
        "a named pipe": os.mkfifo,
    }
    for kind, make in makes.items():
        folder = tmp_path / kind
        folder.mkdir()
        make(folder / MARKER)
        with pytest.raises(UsageError, match=kind):
            name_marker(folder, ONE)
    assert not (tmp_path / "elsewhere").exists()


def test_what_has_a_second_name_is_replaced_and_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "victim").touch()
    (tmp_path / MARKER).hardlink_to(tmp_path / "victim")
    name_marker(tmp_path, ONE)
    assert (tmp_path / "victim").read_text() == ""
    assert read_marker(tmp_path) == ONE


def test_a_folder_without_it_is_a_share_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(Blocked, match=r"has lost its file \.sorawatch, so its share is not mounted") as caught:
        require_marker(tmp_path)
    assert caught.value.cause.temporary
    assert f"touch {tmp_path / '.sorawatch'}" in caught.value.hint


def test_so_is_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert read_marker(tmp_path / "gone") is None
    with pytest.raises(Blocked, match="not mounted"):
        require_marker(tmp_path / "gone")


def test_a_folder_that_cannot_be_asked_has_not_lost_its_marker(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for ask in (require_marker, read_marker):
        with pytest.raises(Deferred, match="symbolic links"):
            ask(tmp_path / "loop")


def test_a_folder_that_cannot_be_written(mount: Callable[[str], Path], remount: Callable[[Path, str], None]) -> None:
    disk = mount("size=1m")
    remount(disk, "ro")
    for write in (marker.make_marker, lambda folder: write_marker(folder, ONE)):
        with pytest.raises(Blocked, match=texts.UNWRITABLE):
            write(disk)


def test_a_full_disk_keeps_the_marker_that_was_there(mount: Callable[[str], Path]) -> None:
    disk = mount("size=8k")
    (disk / MARKER).write_text(OLDER)
    (disk / "ballast").write_bytes(bytes(4096))
    with pytest.raises(Blocked, match="The disk is full"):
        name_marker(disk, ONE)
    assert (disk / MARKER).read_text() == OLDER
    assert sorted(path.name for path in disk.iterdir()) == [MARKER, "ballast"]


def test_an_unmounted_share_has_no_marker(mount: Callable[[str], Path]) -> None:
    disk = mount("size=1m")
    write_marker(disk, ONE)
    subprocess.run(["umount", str(disk)], check=True)
    try:
        with pytest.raises(Blocked, match="not mounted"):
            require_marker(disk)
    finally:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
