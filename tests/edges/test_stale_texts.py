"""Which texts in the errors folder are removed, and which are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sorawatch.core.error_text import REMOVED_NOTE
from sorawatch.core.naming import error_name, full_name
from sorawatch.edges.stale_texts import remove_if_stale, remove_moved_text, remove_stale_texts

OURS = f"beach.jpg was not made into a video\n\n{REMOVED_NOTE}\n"


def write(folder: Path, *names: str, text: str = OURS) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize("name", ["beach.error.txt", "beach.jpg.error.txt", "trip/beach (2).error.txt"])
def test_a_text_goes_when_its_pair_has_gone(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, "beaches.jpg")
    assert remove_stale_texts(tmp_path) == [name]
    assert not (tmp_path / name).exists()
    assert (tmp_path / "beaches.jpg").exists()


@pytest.mark.parametrize(
    ("image", "text"),
    [
        ("beach.jpg", "beach.error.txt"),
        ("beach.png", "beach.png.error.txt"),
        ("my.beach (2).jpg", "my.beach (2).error.txt"),
        ("x" * 251 + ".jpg", error_name("x" * 251 + ".jpg")),
        ("x" * 251 + ".jpg", full_name("x.error.txt", "x" * 251 + ".jpg")),
    ],
)
def test_a_text_stays_while_a_file_of_its_pair_is_there(tmp_path: Path, image: str, text: str) -> None:
    write(tmp_path, image, text)
    assert remove_stale_texts(tmp_path) == []
    assert not remove_if_stale(tmp_path, text)
    assert (tmp_path / text).exists()


def test_a_sidecar_alone_keeps_no_text(tmp_path: Path) -> None:
    write(tmp_path, "beach.yaml", "beach.error.txt")
    assert remove_stale_texts(tmp_path) == ["beach.error.txt"]


def test_a_text_that_was_moved_along_with_its_pair_is_removed_there(tmp_path: Path) -> None:
    write(tmp_path, "beach.jpg", "beach.error.txt")
    write(tmp_path, "hill.error.txt", text="notes of a person")
    assert remove_moved_text(tmp_path, "beach.error.txt")
    assert not remove_moved_text(tmp_path, "hill.error.txt")
    assert not remove_moved_text(tmp_path, "gone.error.txt")
    assert {path.name for path in tmp_path.iterdir()} == {"beach.jpg", "hill.error.txt"}


@pytest.mark.parametrize("text", ["", "notes", f"{REMOVED_NOTE}\nof a person\n", OURS + "x" * (1 << 20)])
def test_texts_of_others_and_of_pairs_that_were_never_filed_stay(tmp_path: Path, text: str) -> None:
    write(tmp_path, "beach.error.txt", text=text)
    assert remove_stale_texts(tmp_path) == []


def test_links_and_pipes_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    outside, errors = tmp_path / "outside", tmp_path / "errors"
    errors.mkdir()
    write(outside, "beach.error.txt")
    (errors / "beach.error.txt").symlink_to(outside / "beach.error.txt")
    (errors / "folder").symlink_to(outside)
    os.mkfifo(errors / "pipe.error.txt")
    assert remove_stale_texts(errors) == []
    assert (outside / "beach.error.txt").exists()


def test_a_text_or_a_folder_that_is_missing_is_no_error(tmp_path: Path) -> None:
    assert not remove_if_stale(tmp_path, "none/beach.error.txt")
    assert remove_stale_texts(tmp_path / "none") == []
