"""Two daemons started at the same instant: exactly one works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sorawatch import simulator
from tests.slow.scene import Pledge
from tests.yard import Yard, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = 20
_AT_A_WORD = "import sys, sorawatch.cli.run; from sorawatch.cli.main import cli; sys.stdin.read(1); sys.argv[0] = 'sorawatch'; cli()"
"""Everything is imported before the word comes, so that the starts are as close together as can be."""


def ready(yard: Yard, configuration: Path) -> subprocess.Popen[str]:
    """A daemon that starts as soon as it is told to."""
    command = [sys.executable, "-c", _AT_A_WORD, "run", "--config", str(configuration)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=yard.root, text=True, **pipes)
    yard.processes.append(process)
    return process


@pytest.mark.parametrize("shared", ["state", "inbox"])
def test_exactly_one_of_two_daemons_works(tmp_path: Path, shared: str) -> None:
    """They share the state, as two starts of one service do, or only the inbox, as two hosts might."""
    settings = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
    with simulator.running(settings) as sim:
        for number in range(ROUNDS):
            root = tmp_path / str(number)
            root.mkdir()
            yard = Yard(root, sim)
            try:
                compete(yard, shared)
            finally:
                yard.close()
        ledger = sim.ledger()
        assert (ledger.creates, len({video.prompt for video in ledger.videos})) == (ROUNDS, ROUNDS)


def compete(yard: Yard, shared: str) -> None:
    pledge = Pledge(yard)
    pledge.drop(f"{yard.root.name}.jpg")
    first = yard.write_config()
    second = first
    if shared == "inbox":
        yard.set("state", value="other/state.db")
        second = yard.write_config().rename(yard.root / "second.yaml")
        yard.set("state", value="state.db")
        yard.write_config()
    daemons = [ready(yard, first), ready(yard, second)]
    for daemon in daemons:
        assert daemon.stdin is not None
        daemon.stdin.write("\n")
        daemon.stdin.flush()
    wait_until(lambda: any(daemon.poll() is not None for daemon in daemons))
    (loser,) = [daemon for daemon in daemons if daemon.poll() is not None]
    (winner,) = [daemon for daemon in daemons if daemon is not loser]
    _, said = loser.communicate()
    assert loser.returncode == 2, said
    assert f"another sorawatch (pid {winner.pid}" in said
    assert len(said.splitlines()) == 1
    wait_until(lambda: len(yard.files("processed")) == 2)
    assert winner.poll() is None
    winner.terminate()
    winner.communicate()
    pledge.everything_whole()
    assert len(yard.files("outbox")) == 1
