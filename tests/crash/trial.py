"""One trial: the daemon is killed at chosen moments of a run, and of the runs after it, then left to finish."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sorawatch import app
from sorawatch.core.job import State
from tests.crash.effects import Observer
from tests.crash.names import Names
from tests.crash.processes import KILLED, Child, inject
from tests.crash.scene import OVEN, Scene, Tally

ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where the folders are made: in memory, for a killed process loses nothing that it had written."""

_PATIENCE = 60.0
"""Seconds after which a daemon that was to drain its inbox hangs."""

_exit = os._exit

Kill = str | int
"""When to die: at the moment of this name, or at the moment of this number in the run."""


@dataclass(frozen=True, slots=True)
class Trial:
    """``kills`` are the deaths of as many runs in a row."""

    kills: tuple[Kill, ...]
    listed: bool = True
    linked: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a trial."""

    deaths: tuple[str, ...]
    """The moments at which it died; fewer than it was to be if a run came to its end without meeting one."""
    tally: Tally
    log: str = ""
    """The daemon's own words, where there is something to complain about."""

    @classmethod
    def read(cls, text: str) -> Verdict:
        try:
            said = json.loads(text)
        except ValueError:
            return cls((), Tally((f"the trial itself failed: {text}",)))
        return cls(tuple(said["deaths"]), Tally(**said["tally"] | {"complaints": tuple(said["tally"]["complaints"])}), said["log"])


@dataclass(frozen=True, slots=True)
class Trace:
    """Every moment of a run that nobody kills, and what went past the observer."""

    moments: tuple[str, ...]
    unseen: tuple[str, ...]


def trace(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """A task that says the `Trace` of an undisturbed run as JSON."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            scene = _lay_out(Path(folder), server, trial)
            child = Child.start(lambda tell: _live(scene, Names(scene.root, scene.prompts), None, tell))
            child.wait(_PATIENCE)
            say(child.said.decode())

    return task


def carry_out(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """A task that says the `Verdict` as JSON."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            scene = _lay_out(Path(folder), server, trial)
            say(json.dumps(asdict(_verdict(scene, trial))))

    return task


def _lay_out(folder: Path, server: str, trial: Trial) -> Scene:
    root = folder / "yard"
    root.mkdir()
    scene = Scene(root, server, folder.name, trial.listed, trial.linked)
    inject(server, *({"kind": "generation_fails", "prompt": prompt} for prompt in scene.prompts if OVEN in prompt))
    return scene


def _verdict(scene: Scene, trial: Trial) -> Verdict:
    names = Names(scene.root, scene.prompts)
    deaths: list[str] = []
    lost: set[str] = set()
    for kill in (*trial.kills, None):
        child = Child.start(lambda say, kill=kill: _live(scene, names, kill, say))  # type: ignore[misc]
        status = child.wait(_PATIENCE)
        if status == KILLED:
            deaths.append(child.said.decode())
            for job in scene.inspect_wreck():
                names.learn(None, job)
                if job.state in {State.SUBMITTING, State.UNCERTAIN}:
                    lost.add(job.pair.path)
            continue
        if status != 0:
            scene.complaints.append(f"a run ended with status {status}: {child.said.decode()}")
        break
    tally = scene.inspect_end(lost)
    log = (scene.root.parent / "daemon.log").read_text() if tally.complaints else ""
    return Verdict(tuple(deaths), tally, log)


def _live(scene: Scene, names: Names, kill: Kill | None, say: Callable[[str], None]) -> None:
    """Be the daemon: drain the inbox, or die on the way."""
    logging.basicConfig(filename=scene.root.parent / "daemon.log", level=logging.INFO, format="%(process)d %(message)s")
    moments: list[str] = []

    def heed(moment: str) -> None:
        moments.append(moment)
        if kill in (moment, len(moments)):
            say(moment)
            _exit(KILLED)

    if not scene.linked:
        os.link = _refuse  # type: ignore[assignment]
    observer = Observer(names, heed)
    observer.install()
    with app.opened(scene.load(), {}, [names.learn]) as daemon:
        daemon.run(once=True)
    if kill is None:
        say(json.dumps({"moments": moments, "unseen": observer.unseen}))


def _refuse(source: Any, target: Any, **_: Any) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)
