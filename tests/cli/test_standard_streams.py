"""The daemon where the shell has closed standard streams."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tests.support.daemon_process import start
from tests.support.workspace import Workspace, wait_until

CLOSED = ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"]


def closing(streams: str) -> tuple[str, ...]:
    """A command prefix that closes these streams."""
    return ("sh", "-c", f'exec "$@" {streams}', "sh")


def processes(pid: int) -> list[int]:
    """A process and those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


@pytest.mark.parametrize("streams", CLOSED)
def test_a_clip_is_made_and_the_log_written(workspace: Workspace, streams: str) -> None:
    workspace.set("logging", file="sorawatch.log")
    workspace.drop("beach.jpg")
    daemon = start(workspace, "run", "--once", prefix=closing(streams))
    assert daemon.process.wait(60) == 0
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.simulator.ledger().creates == 1
    assert "beach.jpg" in (workspace.root / "sorawatch.log").read_text()
    with sqlite3.connect(workspace.root / "state.db") as state:
        assert state.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    state.close()


def test_no_file_takes_the_place_of_a_closed_stream(workspace: Workspace) -> None:
    workspace.drop("beach.jpg")
    daemon = start(workspace, prefix=closing("<&- >&- 2>&-"))
    workspace.wait_for_clips(1)
    streams = {
        (pid, number): str(Path(f"/proc/{pid}/fd/{number}").readlink())
        for pid in processes(daemon.process.pid)
        for number in range(3)
    }
    assert all(target == os.devnull or target.startswith("pipe:") for target in streams.values()), streams
    assert {streams[daemon.process.pid, number] for number in range(3)} == {os.devnull}
    assert daemon.stop() == 0


def test_an_error_still_gives_its_exit_status(workspace: Workspace) -> None:
    workspace.set("limits", in_flight="many")
    assert start(workspace, "run", prefix=closing(">&- 2>&-")).process.wait(60) == 2


def test_a_command_without_a_stdout(workspace: Workspace) -> None:
    workspace.run_once()
    asked = start(workspace, "pause", prefix=closing(">&-"))
    assert asked.process.wait(60) == 0
    wait_until(lambda: workspace.status().pauses)
    assert asked.log == ""
