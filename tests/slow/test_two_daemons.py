"""Two daemons started at the same instant: exactly one works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sorawatch import simulator
from tests.support import texts
from tests.support.daemon_process import Promises
from tests.support.sampling import sampled
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_AT_A_WORD = "import sys, sorawatch.cli.run; from sorawatch.cli.main import cli; sys.stdin.read(1); sys.argv[0] = 'sorawatch'; cli()"
"""Everything is imported before the word comes, so that the starts are as close together as can be."""


def ready(workspace: Workspace, configuration: Path) -> subprocess.Popen[str]:
    """A daemon that starts as soon as it is told to."""
    command = [sys.executable, "-c", _AT_A_WORD, "run", "--config", str(configuration)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=workspace.root, text=True, **pipes)
    workspace.processes.append(process)
    return process


@pytest.mark.parametrize("rounds", sampled([4, 20], 2))
@pytest.mark.parametrize("shared", ["state", "inbox"])
def test_exactly_one_of_two_daemons_works(tmp_path: Path, shared: str, rounds: int) -> None:
    """They share the state, as two starts of one service do, or only the inbox, as two hosts might."""
    settings = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
    with simulator.running(settings) as sim:
        for number in range(rounds):
            root = tmp_path / str(number)
            root.mkdir()
            workspace = Workspace(root, sim)
            try:
                compete(workspace, shared)
            finally:
                workspace.close()
        ledger = sim.ledger()
        assert (ledger.creates, len({video.prompt for video in ledger.videos})) == (rounds, rounds)


def compete(workspace: Workspace, shared: str) -> None:
    promises = Promises(workspace)
    promises.drop(f"{workspace.root.name}.jpg")
    first = workspace.write_config()
    second = first
    if shared == "inbox":
        workspace.set("state", value="other/state.db")
        second = workspace.write_config().rename(workspace.root / "second.yaml")
        workspace.set("state", value="state.db")
        workspace.write_config()
    daemons = [ready(workspace, first), ready(workspace, second)]
    for daemon in daemons:
        assert daemon.stdin is not None
        daemon.stdin.write("\n")
        daemon.stdin.flush()
    wait_until(lambda: any(daemon.poll() is not None for daemon in daemons))
    (loser,) = [daemon for daemon in daemons if daemon.poll() is not None]
    (winner,) = [daemon for daemon in daemons if daemon is not loser]
    _, said = loser.communicate()
    assert loser.returncode == 2, said
    # The winner holds the lock before it names the marker.
    refusals = [f"{texts.ANOTHER_DAEMON} {winner.pid}", texts.OTHER_STATE]
    assert any(refusal in said for refusal in refusals[: 1 if shared == "state" else 2]), said
    assert len(said.splitlines()) == 1
    wait_until(lambda: len(workspace.files("processed")) == 2)
    assert winner.poll() is None
    winner.terminate()
    winner.communicate()
    promises.everything_whole()
    assert len(workspace.files("outbox")) == 1
