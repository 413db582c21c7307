"""One trial: the daemon is killed at chosen moments of a run, and of the runs after it, then left to finish."""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sorawatch.app import build, control, status
from sorawatch.core.command import Command
from sorawatch.core.job import State
from sorawatch.daemon.upkeep.command_queue import ANOTHER
from sorawatch.simulator import Fault
from tests.crash.effects import CFunction, Observer, Side, c_functions, paths_of
from tests.crash.inspection import Inspection, Tally
from tests.crash.installation import OVEN, Disk, Installation, Listing
from tests.crash.names import Names, absolute
from tests.crash.processes import KILLED, Child, inject

ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where the folders are made: in memory, for a killed process loses nothing that it had written."""

_PATIENCE = 120.0
"""Seconds after which a daemon that was to drain its inbox hangs."""

_QUIET = 0.1
"""Seconds without a moment after which the other threads are taken to wait."""

BEFORE_COMMIT = f"{Side.BEFORE} commit "

_exit = os._exit

Kill = str | int
"""When to die: at the moment of this name, or at the moment of this number in the run."""


@dataclass(frozen=True, slots=True)
class Trial:
    """``kills`` are the deaths of as many runs in a row; ``fault`` befalls every order, each as often as it says.

    With ``another`` all orders were delivered before, and one more of each was asked for.
    """

    kills: tuple[Kill, ...]
    listing: Listing = Listing.GOOD
    disk: Disk = Disk.ONE
    fault: Fault | None = None
    another: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a trial."""

    deaths: tuple[str, ...]
    """The moments at which it died; fewer than it was to be if a run came to its end without meeting one."""
    tally: Tally
    log: str = ""
    """The daemon's own words, where there is something to complain about."""
    faults: int = 0
    """How many orders the fault befell."""

    @classmethod
    def read(cls, text: str) -> Verdict:
        try:
            said = json.loads(text)
        except ValueError:
            return cls((), Tally((f"the trial itself failed: {text}",)))
        tally = Tally(**said["tally"] | {"complaints": tuple(said["tally"]["complaints"])})
        return cls(tuple(said["deaths"]), tally, said["log"], said["faults"])


def trace(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """A task that says, as JSON, the ``moments`` of an undisturbed run and what went ``unseen`` by the observer."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            installation = lay_out(Path(folder), server, trial)
            child = Child.start(partial(_live, installation, _names(installation), None))
            child.wait(_PATIENCE)
            say(child.said.decode())

    return task


def carry_out(server: str, trial: Trial) -> Callable[[Callable[[str], None]], None]:
    """A task that says the `Verdict` as JSON."""

    def task(say: Callable[[str], None]) -> None:
        with TemporaryDirectory(dir=ROOM) as folder:
            installation = lay_out(Path(folder), server, trial)
            say(json.dumps(asdict(_verdict(installation, trial))))

    return task


def lay_out(folder: Path, server: str, trial: Trial) -> Installation:
    """The installation of ``trial`` in an empty folder."""
    root = folder / "workspace"
    root.mkdir()
    installation = Installation(root, server, folder.name, trial.listing, trial.disk, takes=2 if trial.another else 1)
    # However slow this machine is, the first two polls find a video unfinished.
    inject(
        server,
        *({"kind": "status_word", "word": "in_progress", "prompt": each, "times": 2} for each in installation.prompts),
    )
    inject(server, *({"kind": "generation_fails", "prompt": each} for each in installation.prompts if OVEN in each))
    if trial.fault is not None:
        inject(server, *(asdict(replace(trial.fault, prompt=each)) for each in installation.prompts))
    if trial.another:
        Child.start(partial(_deliver_and_ask_for_another, installation)).wait(_PATIENCE)
    return installation


def _deliver_and_ask_for_another(installation: Installation, _say: Callable[[str], None]) -> None:
    logging.basicConfig(filename=installation.root.parent / "daemon.log", level=logging.INFO)
    loaded = installation.load()
    with build.opened(loaded, {}) as daemon:
        daemon.run(once=True)
    done = [job.id for job in status.snapshot(loaded).jobs if job.state is State.DONE]
    control.execute(loaded, [Command("retry", job_id, ANOTHER) for job_id in done])


def _names(installation: Installation) -> Names:
    """The names of all that there is already."""
    names = Names(installation.root, installation.prompts)
    if installation.takes > 1:
        for job in status.snapshot(installation.load()).jobs:
            names.learn(None, job)
    return names


def _verdict(installation: Installation, trial: Trial) -> Verdict:
    names, inspection = _names(installation), Inspection(installation)
    if trial.fault is not None and loses_the_answer(trial.fault):
        inspection.lost.update(installation.prompts.values())
    deaths: list[str] = []
    for kill in (*trial.kills, None):
        child = Child.start(partial(_live, installation, names, kill))
        status = child.wait(_PATIENCE)
        if status == KILLED:
            deaths.append(child.said.decode())
            for job in inspection.after_a_kill():
                names.learn(None, job)
            continue
        if status != 0:
            inspection.complaints.append(f"a run ended with status {status}: {child.said.decode()}")
        break
    tally = inspection.at_the_end()
    log = (installation.root.parent / "daemon.log").read_text() if tally.complaints else ""
    return Verdict(tuple(deaths), tally, log, _hit(installation, trial.fault) if trial.fault else 0)


def loses_the_answer(fault: Fault) -> bool:
    """Whether nobody knows after it if an order was taken: of what befalls creates, only a 429 proves that it was not."""
    if fault.on != "create":
        return False
    return fault.kind in {"lost_before", "lost_after", "hang_after"} or (
        fault.kind in {"answer_before", "answer_after"} and fault.status != 429
    )


def _hit(installation: Installation, kind: Fault) -> int:
    """How many of the installation's orders the fault of its trial has hit; one for ever is known by what was bought."""
    if kind.times is None:
        return len({video["prompt"] for video in installation.bought()})
    waiting = sum(
        fault["kind"] == kind.kind and fault["prompt"] in installation.prompts for fault in inject(installation.server)
    )
    return len(installation.prompts) - waiting


def watched(names: Names, kill: Kill | None, say: Callable[[str], None]) -> Observer:
    """Have this process observed, and die at ``kill``, which it says.

    Before a commit it dies only when the other threads have nothing left to do, as if the disk were slow: what must
    not be done before the commit must not have been done by then.
    """

    def heed(moment: str, number: int) -> None:
        if kill not in (moment, number):
            return
        if moment.startswith(BEFORE_COMMIT):
            seen = 0
            while seen < (seen := len(observer.moments)):
                time.sleep(_QUIET)
        say(moment)
        _exit(KILLED)

    observer = Observer(names, heed)
    observer.install()
    return observer


def _live(installation: Installation, names: Names, kill: Kill | None, say: Callable[[str], None]) -> None:
    """Be the daemon: drain the inbox, or die on the way."""
    logging.basicConfig(
        filename=installation.root.parent / "daemon.log", level=logging.INFO, format="%(process)d %(message)s"
    )
    functions = c_functions()
    observer = watched(names, kill, say)
    _restrict(installation, functions)
    with build.opened(installation.load(), {}, [names.learn]) as daemon:
        daemon.run(once=True)
    if kill is None:
        say(json.dumps({"moments": observer.moments, "unseen": observer.unseen}))


def _restrict(installation: Installation, functions: Sequence[CFunction]) -> None:
    """Let the operating system refuse what the installation's disk cannot do."""

    def refusal(what: str, *paths: str) -> int | None:
        folders = {Path(path).relative_to(installation.root).parts[0] for path in paths}
        if installation.disk is Disk.APART and len(folders) > 1:
            return errno.EXDEV
        if installation.disk is Disk.LINKLESS and what == "link":
            return errno.EPERM
        return errno.EINVAL if installation.disk in {Disk.NETWORK, Disk.LINKLESS} and what == "renameat2" else None

    def restricted(call: Any) -> Callable[..., None]:
        def wrapper(source: Any, target: Any, **options: Any) -> None:
            paths = absolute(source, options.get("src_dir_fd")), absolute(target, options.get("dst_dir_fd"))
            if (code := refusal(call.__name__, *paths)) is not None:
                raise OSError(code, os.strerror(code), source, None, target)
            call(source, target, **options)

        return wrapper

    def restricted_c(function: Any) -> Callable[..., int]:
        def wrapper(*args: Any) -> int:
            code = refusal(function.__name__, *(absolute(path, folder) for folder, path in paths_of(args)))
            if code is None:
                return int(function(*args))
            ctypes.set_errno(code)
            return -1

        return wrapper

    for name in ("link", "rename", "replace"):
        setattr(os, name, restricted(getattr(os, name)))
    for module, name, _ in functions:
        setattr(module, name, restricted_c(getattr(module, name)))
