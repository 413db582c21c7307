"""Clips are checked in a confined process. If it cannot finish, that is an objection to the clip, and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sorawatch.edges.confined import NoWorker, ProcessLimits
from sorawatch.edges.mp4 import ClipChecks, NotWhole
from sorawatch.errors import Deferred
from tests.edges.test_mp4 import FTYP, WHOLE, box, indexed
from tests.support.confinement import is_filtered, needs_seccomp
from tests.support.processes import children
from tests.support.workspace import wait_until


def checkers() -> set[int]:
    """The processes of this one that check clips."""
    return children(os.getpid(), b"mp4.worker")


@pytest.fixture
def checks() -> Iterator[ClipChecks]:
    with ClipChecks() as checks:
        yield checks
    assert checkers() == set()


def objection(checks: ClipChecks, path: Path, clip: bytes) -> Deferred:
    path.write_bytes(clip)
    with open(path, "rb") as file, pytest.raises(Deferred) as raised:
        checks.check(file)
    return raised.value


def accepts(checks: ClipChecks, path: Path) -> bool:
    path.write_bytes(WHOLE)
    with open(path, "rb") as file:
        checks.check(file)
    return True


SLOW = FTYP + box(b"mdat", b"x") * 90_000 + indexed([1] * 100_000, [40] * 100_000, 1)
"""It takes as long to check as anything can."""


def test_a_clip_gets_the_same_verdict_as_without_a_process(checks: ClipChecks, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert accepts(checks, path)
    cut = objection(checks, path, WHOLE[:-100])
    assert isinstance(cut, NotWhole)
    assert str(cut).startswith("the download is not a whole MP4: ")
    odd = objection(checks, path, b"<html>no clip</html>")
    assert type(odd) is Deferred
    assert str(odd) == "the download is not a whole MP4: it does not begin with an ftyp box"
    assert len(checkers()) == 1


def test_the_process_is_confined_and_has_little_memory(checks: ClipChecks, tmp_path: Path) -> None:
    accepts(checks, tmp_path / "clip.mp4")
    (pid,) = checkers()
    assert f"Max address space         {1 << 29}" in Path(f"/proc/{pid}/limits").read_text()
    assert b"PATH=" in Path(f"/proc/{pid}/environ").read_bytes()
    needs_seccomp()
    assert is_filtered(pid)


def test_a_check_that_takes_too_long_is_an_objection(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with ClipChecks(ProcessLimits(cpu_seconds=0.05, address_space=1 << 29)) as checks:
        slow = objection(checks, path, SLOW)
        assert str(slow) == ("the download cannot be checked: that took longer than the 0.05 seconds that are allowed")
        assert type(slow) is Deferred
        assert accepts(checks, path)


def test_a_check_that_needs_too_much_memory_is_an_objection(checks: ClipChecks, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    accepts(checks, path)
    (pid,) = checkers()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    size = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmPeak:"))
    with ClipChecks(ProcessLimits(address_space=size + (4 << 20))) as small:
        large = objection(small, path, FTYP + box(b"mdat", b"x") + box(b"moov", bytes(15 << 20)))
        assert "its index needs more memory than a check may use" in str(large)
        assert type(large) is Deferred
        assert accepts(small, path)


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGSEGV, "the process crashed (signal 11)"), (signal.SIGKILL, "was killed")]
)
def test_a_check_that_dies_is_an_objection_and_the_next_one_succeeds(
    checks: ClipChecks, tmp_path: Path, number: signal.Signals, words: str
) -> None:
    accepts(checks, tmp_path / "first.mp4")
    (pid,) = checkers()
    found: list[Deferred] = []
    thread = threading.Thread(target=lambda: found.append(objection(checks, tmp_path / "clip.mp4", SLOW)))
    thread.start()
    wait_until(lambda: is_reading(pid, "clip.mp4"))
    os.kill(pid, number)
    thread.join()
    assert words in str(found[0])
    assert not isinstance(found[0], NoWorker)
    assert accepts(checks, tmp_path / "next.mp4")


def is_reading(pid: int, name: str) -> bool:
    """Whether a process has moved within a file that it has open."""
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            if os.path.realpath(link).endswith(f"/{name}"):
                position = Path(f"/proc/{pid}/fdinfo/{link.name}").read_text().split()[1]
                return int(position) > 0
    return False


def test_without_a_process_nothing_is_said_about_the_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sorawatch").mkdir()
    (tmp_path / "sorawatch/__init__.py").write_text("raise ImportError('the package was removed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with ClipChecks() as checks:
        told = objection(checks, tmp_path / "clip.mp4", WHOLE)
    assert isinstance(told, NoWorker)
    assert str(told) == "the process that checks clips ended before it began (status 1)"
    assert str(objection(checks, tmp_path / "clip.mp4", WHOLE)) == "sorawatch is being stopped"
