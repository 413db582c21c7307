"""Kills from outside: ``sorawatch run`` as a process of its own, ended by SIGKILL at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.crash.inspection import Inspection
from tests.crash.installation import ORDERS, Installation
from tests.crash.trial import ROOM, Trial, Verdict, lay_out
from tests.support.paths import ROOT

_PATIENCE = 120.0

_SIGNS: dict[str, Callable[[Installation], int]] = {
    "orders accepted": lambda installation: len(installation.bought()),
    "clips downloaded": lambda installation: sum(video["downloads"] > 0 for video in installation.bought()),
    "clips in the outbox": lambda installation: len(installation.visible("outbox")),
    "files in processed": lambda installation: len(installation.visible("processed")),
    "states on disk": lambda installation: int((installation.root / "state.db").exists()),
}
"""What can be waited for, by counting."""


def draw(count: int, seed: int) -> list[Trial]:
    """Trials of one to three kills, each at a sign and up to 60 ms later, such as ``2 orders accepted + 13 ms``."""
    dice = random.Random(seed)
    trials = []
    for _ in range(count):
        kills = []
        for _ in range(dice.randint(1, 3)):
            sign = dice.choice([*_SIGNS])
            number = 1 if sign == "states on disk" else dice.randint(1, len(ORDERS))
            kills.append(f"{number} {sign} + {dice.randint(0, 60)} ms")
        trials.append(Trial(tuple(kills)))
    return trials


def carry_out(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """As `tests.crash.trial.carry_out`."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            installation = lay_out(Path(folder), server, trial)
            inspection = Inspection(installation)
            deaths = []
            for kill in trial.kills:
                with daemon(installation, "run") as process:
                    if not _await(installation, str(kill), process):
                        inspection.complaints.append(f"not within {_PATIENCE:g} s: {kill}")
                    process.kill()
                    if process.wait(_PATIENCE) == -signal.SIGKILL:
                        deaths.append(str(kill))
                inspection.after_a_kill()
            with daemon(installation, "run", "--once") as process:
                status = process.wait(_PATIENCE)
            if status not in {0, 1}:
                inspection.complaints.append(f"the last run ended with status {status}")
            tally = inspection.at_the_end()
            log = (installation.root.parent / "daemon.log").read_text() if tally.complaints else ""
            say(json.dumps(asdict(Verdict(tuple(deaths), tally, log))))

    return task


def daemon(installation: Installation, *arguments: str) -> subprocess.Popen[bytes]:
    """``sorawatch ARGUMENTS`` on the installation, as a process of its own."""
    command = [sys.executable, "-m", "sorawatch", *arguments, "-c", str(installation.root / "config.yaml")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(ROOT)])}
    with open(installation.root.parent / "daemon.log", "a", encoding="utf-8") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def _await(installation: Installation, kill: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether the moment of ``kill`` came, or the daemon ended, in good time."""
    number, _, rest = kill.partition(" ")
    sign, _, pause = rest.partition(" + ")
    end = time.monotonic() + _PATIENCE
    while _SIGNS[sign](installation) < int(number) and process.poll() is None:
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    time.sleep(int(pause.removesuffix(" ms")) / 1000)
    return True
