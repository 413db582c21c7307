"""People with write access to a share plant links and swap folders: nothing outside the four folders is touched."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.workspace import Workspace, picture, wait_until


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else, with files of the names that are used in the inbox."""
    folder = tmp_path / "outside"
    picture(folder / "beach.jpg", colour=(1, 2, 3))
    (folder / "beach.yaml").write_text("prompt: a secret of somebody else\n")
    (folder / "_defaults.yaml").write_text("prompt: another secret\n")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@contextmanager
def repeating(act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again, in another thread, until the block ends."""
    done = threading.Event()

    def repeat() -> None:
        while not done.is_set():
            with suppress(OSError):
                act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.slow
def test_an_inbox_folder_that_is_swapped_for_a_link_during_the_render(
    stalled_workspace: Workspace, outside: Path
) -> None:
    workspace, before = stalled_workspace, contents(outside)
    workspace.drop("trip/beach.jpg")
    with workspace.running():
        wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        (workspace.inbox / "trip").rename(workspace.root / "away")
        (workspace.inbox / "trip").symlink_to(outside)
        workspace.simulator.finish_all()
        wait_until(lambda: "trip/beach.mp4" in workspace.files("outbox"))
        wait_until(lambda: "trip is a symbolic link" in " ".join(workspace.cli("status").split()))
        (workspace.inbox / "trip").unlink()
        (workspace.root / "away").rename(workspace.inbox / "trip")
        wait_until(lambda: workspace.counts() == {"done": 1})
    assert {*workspace.files("processed")} == {"trip/beach.jpg", "trip/beach.yaml"}
    assert contents(outside) == before
    assert workspace.simulator.ledger().creates == 1


@pytest.mark.slow
# A thread of watchdog ends if its queue of events overflows. The next scan starts another.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_folder_that_flickers_between_itself_and_a_link(workspace: Workspace, outside: Path) -> None:
    before = contents(outside)
    trip, away, link = (workspace.root / name for name in ("inbox/trip", "away", "link"))
    link.symlink_to(outside)

    def flicker() -> None:
        trip.rename(away)
        link.rename(trip)
        trip.rename(link)
        away.rename(trip)

    workspace.set("retries", attempts=100)
    for number in range(10):
        workspace.drop(f"trip/beach{number}.jpg")
    shutil.copy(workspace.inbox / "trip/beach0.jpg", workspace.inbox / "trip/beach.jpg")
    (workspace.inbox / "trip/beach.yaml").write_text("prompt: the waves of the inbox\n")
    with workspace.running():
        for _ in range(5_000):
            flicker()
        wait_until(lambda: len(workspace.files("processed")) == 22)
    prompts = {video.prompt for video in workspace.simulator.ledger().videos}
    assert not [prompt for prompt in prompts if "secret" in str(prompt)]
    assert workspace.simulator.ledger().creates == 11
    assert contents(outside) == before


@pytest.mark.slow
@pytest.mark.parametrize("root", ["outbox", "processed"])
def test_a_linked_folder_where_a_delivered_pair_goes_waits_and_says_so(
    workspace: Workspace, outside: Path, root: str
) -> None:
    before = contents(outside)
    (workspace.root / root / "trip").symlink_to(outside)
    workspace.drop("trip/beach.jpg")
    workspace.drop("elsewhere/hill.jpg")
    with workspace.running():
        wait_until(lambda: "done" in workspace.states("hill.jpg"))
        wait_until(
            lambda: f"{root}/trip is a symbolic link" in "".join(workspace.cli("status").split("\n")).replace("  ", "")
        )
        assert contents(outside) == before
        (workspace.root / root / "trip").unlink()
        wait_until(lambda: "done" in workspace.states("beach.jpg"))
    assert {*workspace.files("outbox")} == {"trip/beach.mp4", "elsewhere/hill.mp4"}
    assert workspace.simulator.ledger().creates == 2


def test_a_linked_folder_where_a_refused_pair_goes(workspace: Workspace, outside: Path) -> None:
    before = contents(outside)
    (workspace.errors / "trip").symlink_to(outside)
    workspace.drop("trip/beach.jpg", seconds=9)
    with workspace.running():
        wait_until(lambda: "rejected" in workspace.states("beach.jpg"))
        wait_until(lambda: "is a symbolic link" in " ".join(workspace.cli("status").split()))
        assert contents(outside) == before
        (workspace.errors / "trip").unlink()
        wait_until(lambda: "failed" in workspace.states("beach.jpg"))
    assert {*workspace.files("errors")} == {"trip/beach.jpg", "trip/beach.yaml", "trip/beach.error.txt"}


@pytest.mark.slow
def test_a_link_in_place_of_a_temporary_copy(workspace: Workspace, other_disk: Path, outside: Path) -> None:
    """The outbox is on another disk than the state, so that clips are copied."""
    victim = outside / "beach.jpg"
    before = contents(outside)
    outbox = other_disk / "outbox"
    outbox.mkdir()
    workspace.set("folders", outbox=str(outbox))

    def plant() -> None:
        for path in outbox.glob(".sorawatch-*.part"):
            path.unlink()
            path.symlink_to(victim)

    for number in range(5):
        workspace.drop(f"beach{number}.jpg")
    with workspace.running(), repeating(plant):
        wait_until(lambda: len(workspace.files("processed")) == 10)
    assert contents(outside) == before
    clips = [path for path in outbox.iterdir() if path.suffix == ".mp4"]
    assert len(clips) == 5
    assert not [path for path in clips if path.is_symlink()]


@pytest.mark.slow
def test_a_sidecar_that_becomes_a_pipe_does_not_hold_a_thread(stalled_workspace: Workspace, other_disk: Path) -> None:
    """The processed folder is on another disk than the inbox, so that the pair is copied."""
    workspace = stalled_workspace
    processed = other_disk / "processed"
    processed.mkdir()
    workspace.set("folders", processed=str(processed))
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
        (workspace.inbox / "beach.yaml").unlink()
        os.mkfifo(workspace.inbox / "beach.yaml")
        workspace.simulator.finish_all()
        wait_until(lambda: "delivered" in workspace.states("beach.jpg"))
        workspace.drop("hill.jpg")
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 2)
        workspace.simulator.finish_all()
        wait_until((processed / "hill.jpg").exists)
