"""Files below a folder are reached by descriptors: no link on the way is followed, and nothing that is no file is opened."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch.core.permissions import Permissions
from sorawatch.edges.directories import NotAFile, opened, opened_file
from sorawatch.errors import Deferred


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that nothing below the root may lead to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.fixture
def root(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("A")
    (folder / "linked").symlink_to(outside)
    return folder


def test_a_file_below_is_read(root: Path) -> None:
    with opened_file(root, "sub/a") as file:
        assert file.read() == b"A"


def test_the_root_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    with opened_file(tmp_path / "link", "sub/a") as file:
        assert file.read() == b"A"


@pytest.mark.parametrize("folder", ["linked", "linked/deeper", "sub/linked"])
@pytest.mark.parametrize("access", [None, Permissions()])
def test_no_link_is_followed_and_nothing_is_made_behind_one(
    root: Path, outside: Path, folder: str, access: Permissions | None
) -> None:
    (root / "sub" / "linked").symlink_to(outside)
    told = r"linked is a symbolic link, which is not followed\. Put a folder in its place"
    with pytest.raises(Deferred, match=told), opened(root, folder, access):
        pass
    assert [path.name for path in outside.iterdir()] == ["secret"]


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.symlink_to("sub/a"), "a symbolic link"),
        (os.mkfifo, "a named pipe"),
        (Path.mkdir, "a folder"),
        (listener, "a socket"),
    ],
    ids=["link", "pipe", "folder", "socket"],
)
def test_only_regular_files_are_opened(
    root: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], kind: str
) -> None:
    monkeypatch.chdir(root)
    make(Path("it"))
    with pytest.raises(NotAFile, match=f"it is {kind}, not a file") as caught, opened_file(Path(), "it"):
        pass
    assert caught.value.kind == kind


def test_a_folder_that_is_swapped_for_a_link_while_it_is_open_stays_the_same_folder(root: Path, outside: Path) -> None:
    with opened(root, "sub") as directory:
        (root / "sub").rename(root / "away")
        (root / "sub").symlink_to(outside)
        assert directory.names() == ["a"]
        directory.create("new").close()
        directory.unlink("a")
    assert [path.name for path in (root / "away").iterdir()] == ["new"]
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_planted_link_is_neither_written_through_nor_replaced_by_a_move(root: Path, outside: Path) -> None:
    with opened(root) as top, opened(root, "sub") as sub:
        (root / "planted").symlink_to(outside / "secret")
        for act in (
            lambda: top.create("planted"),
            lambda: sub.link("a", top, "planted"),
            lambda: sub.move("a", top, "planted"),
        ):
            with pytest.raises(FileExistsError) as caught:
                act()
            assert str(root / "planted") in {caught.value.filename, caught.value.filename2}
    assert (outside / "secret").read_text() == "secret"
    assert (root / "sub" / "a").read_text() == "A"


def test_folders_are_made_with_their_permissions(root: Path) -> None:
    with opened(root, "new/deeper", Permissions(dir_mode=0o2775)) as directory:
        directory.create("file").close()
    assert oct((root / "new/deeper").stat().st_mode & 0o7777) == "0o2775"
    assert (root / "new/deeper/file").exists()


def test_errors_have_the_whole_path(root: Path) -> None:
    with opened(root, "sub") as directory, pytest.raises(FileNotFoundError) as caught:
        directory.lstat("gone")
    assert caught.value.filename == str(root / "sub" / "gone")


def test_no_descriptor_stays_open(root: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 -- names, not paths
    for path in ("sub/a", "linked/secret", "gone/a", "sub"):
        with pytest.raises((OSError, Deferred)), opened_file(root, path):
            raise OSError
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
