"""Files that a program still has open for writing are not ordered, however long it pauses: real writers and a daemon."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.daemon_process import daemon, listens
from tests.support.slow_writer import writing
from tests.support.workspace import Workspace, picture, wait_until

OPEN = "is still open for writing in another program; an hour after its last change it is used as it is"
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@contextmanager
def watching(workspace: Workspace) -> Iterator[None]:
    """A daemon that listens to events."""
    with workspace.running():
        listens(workspace)
        yield


def settled_meanwhile(workspace: Workspace, name: str) -> None:
    """Return when a pair that is dropped now has become a clip: what was dropped before had more time to settle."""
    workspace.drop(name)
    clip = workspace.outbox / Path(name).with_suffix(".mp4")
    wait_until(clip.exists, told=workspace.told)


def waits(workspace: Workspace, path: str) -> None:
    """Another pair settles, the one with the file ``path`` does not, and ``status`` says why."""
    settled_meanwhile(workspace, f"other{len(workspace.files('outbox'))}.jpg")
    wait_until(lambda: f"{path} {OPEN}" in workspace.told(), told=workspace.told)


def prompts(workspace: Workspace) -> list[str]:
    """Those of the orders but those of the other pairs, by which the time was told."""
    videos = workspace.simulator.ledger().videos
    return sorted(video.prompt for video in videos if not video.prompt.startswith("waves around other"))


def test_half_a_prompt_is_not_ordered(workspace: Workspace) -> None:
    with watching(workspace):
        workspace.drop(prompt="")
        with writing(workspace.inbox / "beach.yaml", b"prompt: Gentle waves") as writer:
            waits(workspace, "beach.yaml")
            writer.write(b", leaves swaying\n")
            waits(workspace, "beach.yaml")
        wait_until((workspace.outbox / "beach.mp4").exists, told=workspace.told)
    assert prompts(workspace) == ["Gentle waves, leaves swaying"]


@pytest.mark.slow
def test_half_a_picture_is_not_called_damaged(workspace: Workspace) -> None:
    whole = picture(workspace.root / "original.jpg", size=(1600, 1000)).read_bytes()
    with watching(workspace):
        (workspace.inbox / "beach.yaml").write_text("prompt: waves\n")
        with writing(workspace.inbox / "beach.jpg", whole[:5000]) as writer:
            waits(workspace, "beach.jpg")
            writer.write(whole[5000:])
        wait_until((workspace.processed / "beach.jpg").exists, told=workspace.told)
    assert prompts(workspace) == ["waves"]
    assert workspace.files("errors") == {}
    assert (workspace.processed / "beach.jpg").read_bytes() == whole


@pytest.mark.slow
def test_half_written_defaults_of_a_folder_are_not_ordered_by(workspace: Workspace) -> None:
    with watching(workspace):
        with writing(workspace.inbox / "sub" / "_defaults.yaml", b"prompt: Gentle waves") as writer:
            workspace.drop("sub/beach.jpg", prompt="")
            waits(workspace, "sub/_defaults.yaml")
            writer.write(b", leaves swaying\nseconds: 4\n")
        wait_until((workspace.outbox / "sub" / "beach.mp4").exists, told=workspace.told)
    (video,) = (each for each in workspace.simulator.ledger().videos if "Gentle" in each.prompt)
    assert (video.prompt, video.seconds) == ("Gentle waves, leaves swaying", "4")


@pytest.mark.slow
def test_a_file_that_is_renamed_stays_open(workspace: Workspace) -> None:
    workspace.drop(prompt="")
    with watching(workspace):
        with writing(workspace.inbox / ".beach.yaml.swp", b"prompt: Gentle waves") as writer:
            writer.moved(writer.path.rename(workspace.inbox / "beach.yaml"))
            waits(workspace, "beach.yaml")
            writer.write(b", leaves swaying\n")
        wait_until((workspace.outbox / "beach.mp4").exists, told=workspace.told)
    assert prompts(workspace) == ["Gentle waves, leaves swaying"]


@pytest.mark.slow
def test_a_file_whose_folder_is_renamed_stays_open(workspace: Workspace) -> None:
    with watching(workspace):
        with writing(workspace.inbox / "new folder" / "beach.yaml", b"prompt: Gentle waves") as writer:
            workspace.drop("new folder/beach.jpg", prompt="")
            waits(workspace, "new folder/beach.yaml")
            (workspace.inbox / "new folder").rename(workspace.inbox / "holidays")
            writer.moved(workspace.inbox / "holidays" / "beach.yaml")
            waits(workspace, "holidays/beach.yaml")
            writer.write(b", leaves swaying\n")
        wait_until((workspace.outbox / "holidays" / "beach.mp4").exists, told=workspace.told)
    assert prompts(workspace) == ["Gentle waves, leaves swaying"]


@pytest.mark.slow
def test_a_complete_file_that_replaces_an_open_one_is_ordered(workspace: Workspace) -> None:
    with watching(workspace):
        workspace.drop(prompt="")
        with writing(workspace.inbox / "beach.yaml", b"prompt: Gentle waves"):
            waits(workspace, "beach.yaml")
            (workspace.root / "new.yaml").write_text("prompt: Leaves swaying\n")
            (workspace.root / "new.yaml").rename(workspace.inbox / "beach.yaml")
            wait_until((workspace.outbox / "beach.mp4").exists, told=workspace.told)
    assert prompts(workspace) == ["Leaves swaying"]


@pytest.mark.slow
def test_dates_permissions_and_links_do_not_open_a_file(workspace: Workspace) -> None:
    """None of these is a write."""
    workspace.set("watch", settle_seconds=1)
    with watching(workspace):
        path = workspace.drop()
        outside = workspace.root / "outside.yaml"
        outside.write_text("prompt: waves\n")
        os.utime(path, (0, 0))
        path.chmod(0o640)
        os.link(outside, workspace.inbox / "linked.yaml")
        workspace.drop("linked.jpg", prompt="")
        wait_until(lambda: len(workspace.files("outbox")) == 2, told=workspace.told)
    assert workspace.simulator.ledger().creates == 2


@pytest.mark.slow
def test_with_once_it_waits_for_the_writer(workspace: Workspace) -> None:
    workspace.set("watch", settle_seconds=2)
    workspace.drop(prompt="")
    with writing(workspace.inbox / "beach.yaml", b"prompt: Gentle") as writer:
        process = workspace.spawn("run", "--once")
        listens(workspace)
        writer.write(b" waves")
        waits(workspace, "beach.yaml")
        writer.write(b", leaves swaying\n")
    assert process.wait(60) == 0
    assert prompts(workspace) == ["Gentle waves, leaves swaying"]


def test_when_events_are_lost_it_settles_by_what_is_seen(workspace: Workspace) -> None:
    """A stopped daemon reads no events, so the kernel drops those that its queue has no room for."""
    if (room := int(QUEUE.read_text())) > 100_000:
        pytest.skip(f"the kernel's queue has room for {room} events")
    workspace.set("watch", rescan_seconds=600)
    with daemon(workspace) as running:
        listens(workspace)
        workspace.drop(prompt="")
        with writing(workspace.inbox / "beach.yaml", b"prompt: Gentle waves\n"):
            waits(workspace, "beach.yaml")
            running.process.send_signal(signal.SIGSTOP)
            ignored = workspace.inbox / ".ignored"
            for _ in range(room):
                ignored.touch()
                ignored.unlink()
        workspace.drop("late.jpg")
        running.process.send_signal(signal.SIGCONT)
        wait_until((workspace.outbox / "late.mp4").exists, told=workspace.told)
        wait_until((workspace.outbox / "beach.mp4").exists, told=workspace.told)
    assert prompts(workspace) == ["Gentle waves", "waves around late"]
