"""System calls that fail when they are told to: strace between a daemon and its kernel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from sorawatch import simulator
from tests.support.daemon_process import Promises, Running, drained, start
from tests.support.workspace import Workspace

JOBS = 2
_STRACE = ("strace", "-f", "-qq", "--seccomp-bpf")
_PATIENCE = 150.0
"""Seconds after which a daemon that was to drain its inbox hangs."""


@dataclass(frozen=True, slots=True)
class Injection:
    """``call`` fails with ``error``: the ``when``-th time and never else, counted over these ``files`` or all."""

    call: str
    error: str
    when: int
    files: tuple[str, ...] = ()
    """Relative to the workspace."""

    def prefix(self, root: Path) -> list[str]:
        """The command that runs another with this fault."""
        paths = [word for file in self.files for word in ("-P", str(root / file))]
        fault = f"inject={self.call}:error={self.error}:when={self.when}"
        return [*_STRACE, "-o", "/dev/null", *paths, "-e", f"trace={self.call}", "-e", fault]


def killing_at(call: str, *files: Path) -> list[str]:
    """The command that runs another, which is killed at its first ``call`` on these ``files``, before that is made."""
    paths = [word for file in files for word in ("-P", str(file))]
    # With --seccomp-bpf, strace 6.1 loses the signal.
    traced = ["strace", "-f", "-qq", "-o", "/dev/null", *paths, "-e", f"trace={call}"]
    return [*traced, "-e", f"inject={call}:signal=KILL:when=1"]


@contextmanager
def failing(running: Running, call: str, error: str, *files: Path) -> Iterator[None]:
    """Have every ``call`` of a running daemon fail, on these ``files`` or all, until the block ends."""
    paths = [word for file in files for word in ("-P", str(file))]
    fault = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}"]
    strace = subprocess.Popen(
        ["strace", "-f", "-o", "/dev/null", *paths, *fault, "-p", str(running.process.pid)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert strace.stderr is not None
        told = strace.stderr.readline()
        assert "attached" in told, told
        yield
    finally:
        strace.terminate()
        strace.communicate()


@cache
def require_strace() -> None:
    """Skip the test where strace cannot make calls fail."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        [*_STRACE, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        pytest.skip(f"strace may not make calls fail here: {tried.stderr.strip()}")


def count(root: Path, call: str, files: Sequence[str]) -> int:
    """How often an undisturbed run makes this call."""
    root.mkdir(parents=True, exist_ok=True)
    trace = root / "trace"
    with simulator.running(_SETTINGS) as sim:
        workspace = _workspace(root, sim)
        _drop(workspace)
        paths = [word for file in files for word in ("-P", str(workspace.root / file))]
        prefix = [*_STRACE, "-o", str(trace), *paths, "-e", f"trace={call}"]
        running = start(workspace, "run", "--once", prefix=prefix)
        assert running.process.wait(_PATIENCE) == 0, running.log
    return sum(f" {call}(" in line for line in trace.read_text(errors="replace").splitlines())


def suffer(root: Path, injection: Injection) -> tuple[str, ...]:
    """Run into the fault, then run again without it. Returns what of the promises was broken, and the log."""
    with simulator.running(_SETTINGS) as sim:
        workspace = _workspace(root, sim)
        promises = _drop(workspace)
        try:
            with promises.watching():
                running = start(workspace, "run", "--once", prefix=injection.prefix(workspace.root))
                try:
                    status = running.process.wait(_PATIENCE)
                except subprocess.TimeoutExpired:
                    return (f"{injection}: the daemon hangs", running.log)
            complaints = _complaints(status, running.log)
            try:
                promises.everything_whole()
                promises.nothing_twice()
                drained(workspace, promises, clips=JOBS)
            except (AssertionError, pytest.fail.Exception) as error:
                complaints.append(f"{error}")
            return (f"{injection}: {'; '.join(complaints)}", running.log) if complaints else ()
        finally:
            workspace.close()


def _complaints(status: int, log: str) -> list[str]:
    complaints = []
    if status not in {0, 1, 2}:
        complaints.append(f"ended with {status}")
    if "Traceback" in log or "a fault in sorawatch" in log:
        complaints.append("a traceback")
    if status and "error: " not in log and " ERROR " not in log and " WARNING " not in log:
        complaints.append(f"ended with {status} and did not say why")
    return complaints


_SETTINGS = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)


def _workspace(root: Path, sim: simulator.Simulator) -> Workspace:
    folder = root / f"workspace{len([*root.glob('workspace*')])}"
    folder.mkdir(parents=True)
    return Workspace(folder, sim)


def _drop(workspace: Workspace) -> Promises:
    promises = Promises(workspace)
    promises.drop(*(f"{number}.jpg" for number in range(JOBS)))
    return promises
