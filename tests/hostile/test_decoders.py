"""A picture or a clip that takes over the process that reads it gets nowhere, and a clip that kills it is not lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import pytest

from sorawatch.edges.images import Pool, ReferenceRequest
from tests.edges.images.test_pool import ENDLESS, is_busy
from tests.support.confinement import available, is_filtered, needs_landlock, needs_seccomp
from tests.support.pictures import RED, flat, save
from tests.support.processes import children
from tests.support.workspace import Workspace, wait_until


def readers(kind: bytes) -> set[int]:
    """The processes of this daemon that read pictures (``images``) or clips (``mp4``)."""
    return children(os.getpid(), kind + b".worker")


@contextmanager
def killing(kind: bytes) -> Iterator[set[int]]:
    """Kill every such process, again and again, until the block ends. Gives those that were killed."""
    killed: set[int] = set()
    done = threading.Event()

    def kill() -> None:
        while not done.wait(0.01):
            for pid in readers(kind):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSEGV)
                    killed.add(pid)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def test_a_picture_is_decoded_by_a_process_whose_calls_are_filtered(workspace: Workspace) -> None:
    needs_seccomp()
    before = readers(b"images")
    path = workspace.inbox / "endless.jpg"
    path.with_suffix(".yaml").write_text("prompt: waves\n")
    path.write_bytes(ENDLESS)
    with workspace.running():
        pid = wait_until(lambda: next((pid for pid in readers(b"images") - before if is_busy(pid)), None))
        assert is_filtered(pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: workspace.counts() == {"failed": 1})


@pytest.mark.slow
def test_a_clip_is_checked_by_such_a_process(workspace: Workspace) -> None:
    needs_seccomp()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"done": 1})
        (pid,) = readers(b"mp4")
        assert is_filtered(pid)
    wait_until(lambda: pid not in readers(b"mp4"))


@pytest.mark.slow
def test_a_clip_whose_check_dies_is_delivered_all_the_same(workspace: Workspace) -> None:
    workspace.drop("beach.jpg")
    with killing(b"mp4") as killed, workspace.running():
        wait_until(lambda: len(killed) >= 5)
        assert workspace.counts().keys() <= {"rendering", "rendered", "delivered", "done"}
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.simulator.ledger().creates == 1


@pytest.mark.slow
def test_check_and_run_say_what_the_kernel_refuses(workspace: Workspace) -> None:
    expected = f"the processes that read pictures and clips {available()}"
    assert expected in " ".join(workspace.cli("check").split())
    for name in ("beach.jpg", "hill.jpg"):
        workspace.drop(name)
    assert workspace.program("run", "--once").count(expected) == 1


def test_check_says_that_no_process_can_be_started(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace.root / "PIL").mkdir()
    (workspace.root / "PIL/__init__.py").write_text("raise ImportError('libjpeg.so.62: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(workspace.root), prepend=os.pathsep)
    told = workspace.program("check", status=1)
    assert "the process that decodes pictures ended before it began" in told


def test_an_error_of_ours_in_a_confined_process_is_described(tmp_path: Path) -> None:
    needs_landlock()
    no_request = cast(ReferenceRequest, None)
    with Pool() as pool, pytest.raises(RuntimeError) as raised:
        pool.prepare(save(tmp_path, flat(RED), "good.png"), no_request)
    assert "in a worker that was to decode good.png\nTraceback" in str(raised.value)
    assert "pipeline.py" in str(raised.value)
    assert "AttributeError: 'NoneType' object has no attribute 'options'" in str(raised.value)
