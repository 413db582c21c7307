"""A daemon of its own process with its words in a file, and the two promises to hold it to."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sorawatch import config
from sorawatch.app import status
from sorawatch.core.job import FINAL
from sorawatch.errors import SorawatchError
from tests.support.workspace import Workspace, wait_until

FOLDERS = ("inbox", "errors", "processed")


@dataclass
class Running:
    """A daemon at work."""

    process: subprocess.Popen[str]
    path: Path

    @property
    def log(self) -> str:
        """All that it has said."""
        return self.path.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in good order. Returns its exit status."""
        self.process.terminate()
        return self.process.wait(100)


def start(workspace: Workspace, *arguments: str, prefix: Sequence[str] = (), **options: Any) -> Running:
    """``sorawatch ARGUMENTS``, ``run`` if there are none, below the command ``prefix``."""
    path = workspace.root / f"daemon{len(workspace.processes)}.log"
    command = [*prefix, sys.executable, "-m", "sorawatch", *(arguments or ("run",))]
    workspace.write_config()
    environment = {**os.environ, "COLUMNS": "200"}
    with open(path, "w") as log:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        process = subprocess.Popen(command, cwd=workspace.root, env=environment, text=True, **pipes, **options)
    workspace.processes.append(process)
    return Running(process, path)


@contextmanager
def daemon(workspace: Workspace, **options: Any) -> Iterator[Running]:
    """A daemon until the block ends, which it does in good order."""
    running = start(workspace, **options)
    wait_until(lambda: " watching " in running.log or running.process.poll() is not None)
    yield running
    assert running.stop() == 0, running.log


def listens(workspace: Workspace) -> None:
    """Return when the daemon, of whichever process, has begun to listen to events in the inbox."""
    wait_until(lambda: (snapshot := _snapshot(workspace)) and "noticed by events" in str(snapshot.published.watching))


def pauses(workspace: Workspace) -> str:
    """Why nothing is submitted, as ``status`` tells it; empty while something is."""
    snapshot = _snapshot(workspace)
    return "\n".join(f"{pause.reason} {pause.hint}" for pause in snapshot.pauses) if snapshot else ""


def attempts(workspace: Workspace) -> int:
    """The failures of the present actions of all jobs."""
    snapshot = _snapshot(workspace)
    return sum(job.attempts for job in snapshot.jobs) if snapshot else 0


def reasons(workspace: Workspace) -> str:
    """What the jobs wait for, or why they ended."""
    snapshot = _snapshot(workspace)
    return "\n".join(f"{job.pair.path} {job.state}: {job.latest}" for job in snapshot.jobs) if snapshot else ""


def _snapshot(workspace: Workspace) -> status.Snapshot | None:
    try:
        return status.snapshot(config.load(workspace.root / "config.yaml", {}))
    except SorawatchError:
        return None


def ended(workspace: Workspace) -> bool:
    """Whether there are jobs, and every one has come to its end."""
    counts = workspace.counts()
    return bool(counts) and not counts.keys() - {state.value for state in FINAL}


@dataclass
class Promises:
    """What was dropped, and every clip that was ever seen."""

    workspace: Workspace
    originals: dict[str, str] = field(default_factory=dict)
    """Digests by name."""
    clips: dict[str, set[str]] = field(default_factory=dict)
    """The digests under which a visible clip was seen, by name: one each, or a part of it was seen."""

    def drop(self, *names: str, **sidecar: Any) -> None:
        """Drop pairs and remember their bytes."""
        for name in names:
            image = self.workspace.drop(name, **sidecar)
            for path in (image, image.with_suffix(".yaml")):
                self.originals[path.name] = _digest(path)

    def remember(self, folder: Path) -> None:
        """Remember the bytes of all files in a folder, which a tool is going to bring."""
        for path in folder.iterdir():
            self.originals[path.name] = _digest(path)

    def everything_whole(self) -> None:
        """Every input lies in exactly one visible place, whole."""
        found = Counter(
            _digest(self.workspace.root / folder / name) for folder in FOLDERS for name in self.workspace.files(folder)
        )
        counts = {name: found[digest] for name, digest in self.originals.items()}
        assert set(counts.values()) <= {1}, f"places of each input: {counts}"

    def nothing_twice(self) -> None:
        """No order was bought twice."""
        ledger = self.workspace.simulator.ledger()
        bought = Counter(video.prompt for video in ledger.videos if video.status != "failed")
        assert set(bought.values()) <= {1}, f"bought: {bought}"

    def keep(self, *, clips: int | None = None) -> None:
        """Both promises hold; with ``clips``, exactly so many were delivered and paid."""
        self.everything_whole()
        self.nothing_twice()
        torn = {name: digests for name, digests in self.clips.items() if len(digests) != 1}
        assert not torn, f"clips seen in parts: {torn}"
        if clips is not None:
            there = (len(self._visible()), self.workspace.simulator.ledger().creates)
            assert there == (clips, clips), f"clips and creates: {there}"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the outbox again and again until the block ends."""
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                for path in self._visible():
                    try:
                        self.clips.setdefault(path.name, set()).add(_digest(path))
                    except OSError:
                        continue
                over.wait(0.002)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _visible(self) -> list[Path]:
        try:
            return [path for path in self.workspace.outbox.rglob("*.mp4") if not path.name.startswith(".")]
        except OSError:
            return []


def drained(workspace: Workspace, promises: Promises, clips: int) -> None:
    """Run a daemon, undisturbed, until all that was dropped are clips; then hold it to its promises."""
    with promises.watching(), daemon(workspace) as running:
        wait_until(
            lambda: len(workspace.files("processed")) == 2 * clips, told=lambda: f"{reasons(workspace)}\n{running.log}"
        )
    promises.keep(clips=clips)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
