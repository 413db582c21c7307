"""Pictures in the whole daemon: broken ones fail alone, uploads are exact, and some changes make a new order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edges.images.test_pool import exists, is_busy, workers
from tests.support import texts
from tests.support.malicious_images import scans_without_end
from tests.support.workspace import Workspace, picture, wait_until

ENDLESS = scans_without_end(12_000, 10_000, 60_000)


def drop(workspace: Workspace, name: str, data: bytes) -> Path:
    path = workspace.inbox / name
    path.with_suffix(".yaml").write_text("prompt: waves\n")
    path.with_name(f".{name}").write_bytes(data)
    return path.with_name(f".{name}").rename(path)


@pytest.fixture
def busy_worker() -> Callable[[], int]:
    """Waits for the daemon's worker that decodes an endless picture. Workers of other tests may still be running."""
    others = set(workers(os.getpid()))

    def found() -> int | None:
        return next((pid for pid in workers(os.getpid()) if pid not in others and is_busy(pid)), None)

    return lambda: int(wait_until(found))


def test_only_the_picture_that_kills_its_decoder_fails(workspace: Workspace, busy_worker: Callable[[], int]) -> None:
    with workspace.running():
        drop(workspace, "endless.jpg", ENDLESS)
        pid = busy_worker()
        workspace.drop("beside.jpg", seconds=4)
        wait_until(lambda: "done" in workspace.states("beside.jpg"))
        os.kill(pid, signal.SIGSEGV)
        wait_until(lambda: "failed" in workspace.states("endless.jpg"))
    assert set(workspace.files("errors")) == {"endless.jpg", "endless.yaml", "endless.error.txt"}
    text = (workspace.errors / "endless.error.txt").read_text()
    assert "endless.jpg made its decoder crash" in text
    assert f"{texts.WAS_IT_CHARGED}\n    No." in text
    assert workspace.simulator.ledger().creates == 1


def test_a_picture_that_changes_while_it_is_decoded_is_not_rejected_for_its_old_content(
    workspace: Workspace, busy_worker: Callable[[], int]
) -> None:
    with workspace.running():
        path = drop(workspace, "beach.jpg", ENDLESS)
        pid = busy_worker()
        picture(path)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "done" in workspace.states("beach.jpg"))
    assert workspace.files("errors") == {}
    assert "rejected" not in workspace.states("beach.jpg")
    assert workspace.simulator.ledger().creates == 1


def test_a_stopping_daemon_leaves_no_worker_and_rejects_no_picture(
    workspace: Workspace, busy_worker: Callable[[], int]
) -> None:
    with workspace.running():
        drop(workspace, "endless.jpg", ENDLESS)
        pid = busy_worker()
    wait_until(lambda: not exists(pid))
    assert workspace.states("endless.jpg") == ["found"]
    assert set(workspace.files("inbox")) == {"endless.jpg", "endless.yaml"}


@pytest.mark.slow
def test_every_kind_of_picture_becomes_a_clip(workspace: Workspace) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    names = [f"{kind}.{kind}" for kind in ("jpg", "png", "webp", "avif", "tiff", "gif", "bmp", "heic")]
    for name in names:
        workspace.drop(name)
    workspace.set("limits", in_flight=20)
    workspace.set("video", seconds=4)
    assert workspace.run_once()
    assert set(workspace.files("outbox")) == {name.rpartition(".")[0] + ".mp4" for name in names}


@pytest.mark.slow
def test_another_focus_is_another_order(workspace: Workspace) -> None:
    for focus in ([0, 0.5], [1, 0.5], [0, 0.5]):
        workspace.drop("wide.png", "waves", focus=focus, seconds=4)
        assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    assert texts.SAME_ORDER in (workspace.processed / "wide (3).returned.txt").read_text()


def test_enlarging_is_noted_in_the_job(workspace: Workspace) -> None:
    picture(workspace.inbox / "small.jpg", (557, 313))
    (workspace.inbox / "small.yaml").write_text("prompt: waves\nseconds: 4\n")
    assert workspace.run_once()
    assert "upscaled 2.3×" in workspace.cli("show", "small.jpg")


def test_a_broken_picture_is_reported_as_broken(workspace: Workspace) -> None:
    drop(workspace, "cut.jpg", picture(workspace.root / "whole.jpg", (800, 600)).read_bytes()[:900])
    drop(workspace, "words.jpg", b"these are words")
    assert not workspace.run_once()
    assert f"cut.jpg {texts.DAMAGED}" in (workspace.errors / "cut.error.txt").read_text()
    assert f"words.jpg {texts.NOT_A_PICTURE}" in (workspace.errors / "words.error.txt").read_text()
    assert workspace.simulator.ledger().creates == 0
