"""The work folder: what a job needs until it has ended."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorawatch.core.repeated_download import RepeatedDownload
from sorawatch.edges.spool import Spool
from sorawatch.errors import Blocked
from tests.support import texts


@pytest.fixture
def work(tmp_path: Path) -> Spool:
    folder = Spool.beside(tmp_path / "state.db")
    folder.create()
    return folder


def test_it_lies_beside_its_state_and_is_nobody_elses(work: Spool, tmp_path: Path) -> None:
    assert work.root == tmp_path / "state.db.work"
    assert work.root.stat().st_mode & 0o777 == 0o700
    assert Spool.beside(tmp_path / "state.sqlite").root != work.root
    assert Spool.beside(tmp_path / "state.work").root != tmp_path / "state.work"


def test_making_it_again_changes_nothing(work: Spool) -> None:
    work.write_reference("job", b"reference")
    work.create()
    assert work.reference("job") == b"reference"


def test_a_reference_is_replaced_whole(work: Spool) -> None:
    assert work.reference("job") is None
    work.write_reference("job", b"long" * 1000)
    work.write_reference("job", b"short")
    assert work.reference("job") == b"short"
    assert [path.name for path in work.folder("job").iterdir()] == ["reference"]


def test_a_reference_that_is_not_what_its_digest_says_is_none(work: Spool) -> None:
    work.write_reference("job", b"reference")
    digest = hashlib.sha256(b"reference").hexdigest()
    assert work.reference("job", digest) == b"reference"
    (work.folder("job") / "reference").write_bytes(bytes(9))
    assert work.reference("job", digest) is None


def test_an_empty_reference_is_none(work: Spool) -> None:
    work.write_reference("job", b"")
    assert work.reference("job") is None


def test_a_sighting_comes_back_and_goes_with_the_rest(work: Spool) -> None:
    sighting = RepeatedDownload("d1e5", 7, ".webm", 1000.5, 900.25)
    assert work.repeated_download("job") is None
    work.write_repeated_download("job", sighting)
    assert work.repeated_download("job") == sighting
    work.discard("job")
    assert not work.folder("job").exists()


@pytest.mark.parametrize(
    "spoiled", ["", "[]", "{}", '{"digest": "d1e5"}', '{"digest": 1, "length": {}, "suffix": 2, "seen_at": "x"}']
)
def test_a_sighting_that_makes_no_sense_is_none(work: Spool, spoiled: str) -> None:
    work.write_repeated_download("job", RepeatedDownload("d1e5", 7, ".webm", 1000.5, 900.25))
    (work.folder("job") / "sighting.json").write_text(spoiled)
    assert work.repeated_download("job") is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@settings(max_examples=40, deadline=None)
@given(record=st.dictionaries(st.text(), json))
def test_a_record_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any]
) -> None:
    work = Spool(tmp_path_factory.getbasetemp() / "records")
    work.create()
    work.write_record("job", record)
    assert work.record("job") == record


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"nonsense"])
def test_a_record_that_makes_no_sense_is_none(work: Spool, content: bytes) -> None:
    work.write_record("job", {})
    (work.folder("job") / "job.json").write_bytes(content)
    assert work.record("job") is None


def test_a_record_that_cannot_be_read_is_not_taken_for_none(work: Spool) -> None:
    (work.folder("job") / "job.json").mkdir(parents=True)
    with pytest.raises(Blocked, match="directory"):
        work.record("job")
    assert work.record("other") is None


def test_the_folder_of_a_job_is_discarded(work: Spool) -> None:
    for job in ("one", "two", "three"):
        work.write_reference(job, b"reference")
    (work.root / "a file").touch()
    assert work.jobs() == ["one", "three", "two"]
    for _ in range(2):
        work.discard("two")
        assert work.jobs() == ["one", "three"]
    work.write_record("one", {})
    (work.folder("one") / ".job.json.part").touch()
    (work.folder("one") / "beach.jpg").touch()
    work.discard("one")
    assert [path.name for path in work.folder("one").iterdir()] == ["beach.jpg"], "never what is not ours"


def test_a_work_folder_that_is_gone(tmp_path: Path) -> None:
    gone = Spool(tmp_path / "gone")
    assert gone.reference("job") is None
    with pytest.raises(Blocked, match="gone"):
        gone.jobs()
    gone.write_reference("job", b"reference")
    assert gone.reference("job") == b"reference"
    assert gone.root.stat().st_mode & 0o777 == 0o700


def test_a_work_folder_that_cannot_be_made(tmp_path: Path) -> None:
    work = Spool(tmp_path / "work")
    work.root.touch()
    with pytest.raises(Blocked, match="work"):
        work.write_reference("job", b"reference")
    with pytest.raises(Blocked, match="work"):
        work.make_folder("job")


def test_a_full_disk_keeps_the_old_reference(mount: Callable[[str], Path]) -> None:
    disk = mount("size=64k")
    work = Spool(disk / "work")
    work.create()
    work.write_reference("job", b"old")
    with pytest.raises(Blocked, match=texts.DISK_FULL):
        work.write_reference("job", os.urandom(100_000))
    assert work.reference("job") == b"old"
    work.write_reference("job", b"new")
    assert work.reference("job") == b"new"
