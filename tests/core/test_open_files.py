"""What events tell of files that are open for writing."""

import pytest

from sorawatch.core.open_files import OpenFiles


@pytest.fixture
def files() -> OpenFiles:
    return OpenFiles()


def test_a_file_is_open_from_the_first_write_to_the_close(files: OpenFiles) -> None:
    assert files.paths() == frozenset()
    for path in ("beach.jpg", "sub/beach.yaml", "beach.jpg"):
        files.written(path)
    assert files.paths() == {"beach.jpg", "sub/beach.yaml"}
    files.closed("beach.jpg")
    files.closed("never-written.jpg")
    assert files.paths() == {"sub/beach.yaml"}


def test_an_open_file_that_is_renamed_stays_open(files: OpenFiles) -> None:
    files.written("beach.part")
    files.moved("beach.part", "beach.jpg")
    assert files.paths() == {"beach.jpg"}
    files.closed("beach.jpg")
    assert files.paths() == frozenset()


def test_a_complete_file_that_replaces_an_open_one_is_not_open(files: OpenFiles) -> None:
    files.written("beach.jpg")
    files.moved("complete.jpg", "beach.jpg")
    assert files.paths() == frozenset()


def test_open_files_move_with_their_folder_and_vanish_with_it(files: OpenFiles) -> None:
    for path in ("sub/beach.jpg", "sub/deep/beach.jpg", "sub2/beach.jpg", "sub"):
        files.written(path)
    files.folder_moved("sub", "other")
    assert files.paths() == {"other/beach.jpg", "other/deep/beach.jpg", "sub2/beach.jpg", "sub"}
    files.folder_removed("other/deep")
    assert files.paths() == {"other/beach.jpg", "sub2/beach.jpg", "sub"}
    files.folder_removed("other")
    assert files.paths() == {"sub2/beach.jpg", "sub"}


def test_nothing_is_known_after_events_were_lost(files: OpenFiles) -> None:
    files.written("beach.jpg")
    files.forget()
    assert files.paths() == frozenset()


def test_of_too_many_open_files_those_written_to_last_are_known() -> None:
    files = OpenFiles(limit=2)
    for path in ("a.jpg", "b.jpg", "a.jpg", "c.jpg"):
        files.written(path)
    assert files.paths() == {"a.jpg", "c.jpg"}
