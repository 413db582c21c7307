"""Pairs that failed and are moved back into the inbox: their texts, their names, and the advice."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorawatch.simulator import Fault
from tests.support.pictures import flat, save
from tests.support.workspace import Workspace, wait_until


def move_back(workspace: Workspace, *names: str) -> None:
    """Move files from the errors folder into the inbox, the sidecar first."""
    for name in sorted(names, reverse=True):
        (workspace.errors / name).rename(workspace.inbox / name)


@pytest.fixture
def failed(workspace: Workspace) -> Workspace:
    """``beach.jpg`` was refused, since its sidecar has a wrong value."""
    workspace.drop("beach.jpg", seconds=9)
    assert not workspace.run_once()
    assert {*workspace.files("errors")} == {"beach.jpg", "beach.yaml", "beach.error.txt"}
    return workspace


def test_a_pair_that_was_corrected_leaves_no_text_behind(failed: Workspace) -> None:
    move_back(failed, "beach.jpg", "beach.yaml")
    (failed.inbox / "beach.yaml").write_text("prompt: waves\n")
    assert failed.run_once()
    assert failed.files("errors") == {}


def test_a_second_failure_takes_the_names_of_the_first(failed: Workspace) -> None:
    move_back(failed, "beach.jpg", "beach.yaml")
    (failed.inbox / "beach.yaml").write_text("prompt: waves\nseconds: 7\n")
    assert not failed.run_once()
    assert {*failed.files("errors")} == {"beach.jpg", "beach.yaml", "beach.error.txt"}
    assert "seconds: is 7" in (failed.errors / "beach.error.txt").read_text()


def test_a_text_goes_soon_after_its_pair_was_taken_elsewhere(failed: Workspace) -> None:
    for name in ("beach.jpg", "beach.yaml"):
        (failed.errors / name).rename(failed.root / name)
    with failed.running():
        wait_until(lambda: not (failed.errors / "beach.error.txt").exists())


@pytest.mark.slow
def test_pictures_of_one_stem_keep_their_names(workspace: Workspace) -> None:
    save(workspace.inbox, flat((200, 80, 40), size=(1280, 720)), "beach.png")
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    images = {"beach.jpg", "beach.png"}
    assert images | {"beach.yaml"} <= {*workspace.files("errors")}
    told = [*workspace.errors.glob("*.error.txt")]
    assert {path.name for path in told} in (
        {"beach.error.txt", "beach.jpg.error.txt"},
        {"beach.error.txt", "beach.png.error.txt"},
    )
    assert all("beach.jpg.yaml, beach.png.yaml" in path.read_text() for path in told)
    (workspace.errors / "beach.yaml").unlink()
    for image in images:
        (workspace.errors / f"{image}.yaml").write_text(f"prompt: waves in {Path(image).suffix}\n")
    move_back(workspace, *images, *(f"{image}.yaml" for image in images))
    assert workspace.run_once()
    assert workspace.files("errors") == {}
    assert workspace.simulator.ledger().creates == 2


def test_a_retry_takes_the_sidecar_that_was_written_since(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", prompt="")
    (workspace.inbox / "beach.txt").write_text("prompt: waves\n")
    assert not workspace.run_once()
    assert "beach.txt" in (workspace.errors / "beach.error.txt").read_text()
    (workspace.errors / "beach.txt").rename(workspace.errors / "beach.yaml")
    workspace.cli("retry", "errors/beach.jpg")
    assert workspace.run_once()
    assert workspace.files("errors") == {}
    assert {*workspace.files("processed")} == {"beach.jpg", "beach.yaml"}


@pytest.mark.slow
def test_pictures_of_one_stem_are_retried_with_the_sidecars_that_were_written_for_them(workspace: Workspace) -> None:
    save(workspace.inbox, flat((200, 80, 40), size=(1280, 720)), "beach.png")
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    for image in ("beach.jpg", "beach.png"):
        (workspace.errors / f"{image}.yaml").write_text(f"prompt: waves in {Path(image).suffix}\n")
    workspace.cli("retry", "errors/beach.jpg", "errors/beach.png")
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    assert [name for name in workspace.files("errors") if name.endswith(".txt")] == []


@pytest.mark.slow
def test_a_text_that_is_moved_back_along_with_its_pair_goes_too(failed: Workspace) -> None:
    move_back(failed, "beach.jpg", "beach.yaml", "beach.error.txt")
    (failed.inbox / "beach.yaml").write_text("prompt: waves\n")
    assert failed.run_once()
    assert failed.files("inbox") == {}
    assert failed.files("errors") == {}


def test_a_text_without_its_picture_is_left_for_a_person(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("retries", failed_generations=0)
    workspace.simulator.inject(Fault("generation_fails", times=1))
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        for name in ("beach.jpg", "beach.yaml"):
            (workspace.inbox / name).unlink()
        workspace.simulator.inject(Fault("generation_fails", times=1))
        workspace.simulator.finish_all()
        wait_until(lambda: "failed" in workspace.states("beach.jpg"))
    assert workspace.run_once()
    assert "Put the picture and its sidecar into the inbox again." in (workspace.errors / "beach.error.txt").read_text()
