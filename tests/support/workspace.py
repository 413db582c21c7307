"""A configuration, its folders, and a simulator behind them, for tests through the public face."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from sorawatch import config, simulator
from sorawatch.app import build, status
from sorawatch.cli import status_screen
from sorawatch.core.job import Job
from sorawatch.daemon.loop import Daemon
from sorawatch.errors import UsageError

KEY = "sk-simulated"


def wait_until(holds: Callable[[], Any], timeout: float = 100.0, told: Callable[[], object] = lambda: "") -> Any:
    """What ``holds`` returns once it is true; fails with ``told()`` after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    began = time.monotonic()
    while not (value := holds()):
        now = time.monotonic()
        if now > end:
            pytest.fail(f"not within {timeout} s: {told()}")
        # Looking shall not take the time that what is looked for needs.
        time.sleep(max(0.01, 4 * (now - began)))
        began = time.monotonic()
    return value


def picture(path: Path, size: tuple[int, int] = (320, 200), colour: tuple[int, int, int] = (40, 120, 160)) -> Path:
    """A plain picture, of the format its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    Image.new("RGB", size, colour).save(temporary, format=Image.registered_extensions()[path.suffix.lower()])
    temporary.rename(path)
    return path


@dataclass
class Workspace:
    """One configuration and what is in its folders."""

    root: Path
    simulator: simulator.Simulator
    settings: dict[str, Any] = field(default_factory=dict)
    changes: list[tuple[Job | None, Job]] = field(default_factory=list)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settings = {
            "state": "state.db",
            "api": {"base_url": self.simulator.url, "key_file": "api.key", "timeout_seconds": 5},
            "watch": {"settle_seconds": 0.05, "sidecar_grace_seconds": 0, "rescan_seconds": 0.5},
            "polling": {"min_seconds": 0.05, "max_seconds": 0.2},
            "retries": {"first_seconds": 0.05, "max_seconds": 0.2, "attempts": 8},
            "limits": {"submits_per_minute": 60_000, "usd_per_day": None},
        }
        key = self.root / "api.key"
        key.write_text(KEY)
        key.chmod(0o600)
        for name in ("inbox", "outbox", "errors", "processed"):
            (self.root / name).mkdir()

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"

    @property
    def errors(self) -> Path:
        return self.root / "errors"

    @property
    def processed(self) -> Path:
        return self.root / "processed"

    def set(self, section: str, **values: Any) -> None:
        """Change the configuration; a value for a whole key is given as ``set("duplicates", value="allow")``."""
        if "value" in values:
            self.settings[section] = values["value"]
        else:
            self.settings.setdefault(section, {}).update(values)

    def write_config(self) -> Path:
        path = self.root / "config.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        return path

    def drop(self, name: str = "beach.jpg", prompt: str | None = None, **sidecar: Any) -> Path:
        """Put a picture and, unless ``prompt`` is empty, its sidecar into the inbox."""
        path = self.inbox / name
        stem = path.with_suffix("")
        number = sum(name.encode("utf-8", "surrogateescape")) % 256
        if prompt != "":
            stem.parent.mkdir(parents=True, exist_ok=True)
            order = {"prompt": prompt or f"waves around {stem.name}", **sidecar}
            stem.with_name(f"{stem.name}.yaml").write_text(yaml.safe_dump(order))
        return picture(path, colour=(number, 255 - number, 90))

    def run_once(self, **environ: str) -> bool:
        """Drain the inbox with a daemon of this process."""
        loaded = config.load(self.write_config(), environ)
        with build.opened(loaded, environ, [self._note]) as daemon:
            return daemon.run(once=True)

    @contextmanager
    def running(self, clock: Callable[[], int] | None = None) -> Iterator[Daemon]:
        """A daemon of this process, in a thread, until the block ends; ``clock`` gives it milliseconds since 1970."""
        loaded = config.load(self.write_config(), {})
        with build.opened(loaded, {}, [self._note], clock=clock) as daemon:
            thread = threading.Thread(target=daemon.run)
            thread.start()
            try:
                yield daemon
            finally:
                daemon.stop()
                thread.join(100)
                assert not thread.is_alive(), "the daemon did not stop"

    def spawn(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """``sorawatch ARGUMENTS`` in a process of its own."""
        self.write_config()
        environment = {**os.environ, "COLUMNS": "200", **options.pop("env", {})}
        command = [sys.executable, "-m", "sorawatch", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=self.root, env=environment, **{**pipes, **options})
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End what a failing test left running."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            with suppress(ValueError):
                process.communicate()

    def cli(self, *arguments: str, status: int = 0) -> str:
        """The output of ``sorawatch ARGUMENTS``, stderr included, in this process: quicker than `program`.

        Not for ``run`` and ``recover``, which change what signals and log lines of their process do.
        """
        self.write_config()
        with chdir(self.root):
            # Imported here, so that the screens are as wide as the `COLUMNS` that conftest.py sets.
            from sorawatch.cli.main import cli

            done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == status, done.output
        return done.output

    def program(self, *arguments: str, status: int = 0, **options: Any) -> str:
        """The output of ``sorawatch ARGUMENTS``, stderr included, in a process of its own."""
        process = self.spawn(*arguments, **{"stderr": subprocess.STDOUT, **options})
        output, _ = process.communicate(timeout=100)
        assert process.returncode == status, output
        return output

    def age(self, *, days: float) -> None:
        """Let everything in the state have happened so much earlier, as if the daemon had been off since."""
        with sqlite3.connect(self.root / "state.db") as connection:
            for table, column in (
                ("jobs", "created_at"),
                ("jobs", "changed_at"),
                ("jobs", "due_at"),
                ("history", "at"),
                ("purchases", "at"),
                ("purchases", "ended_at"),
            ):
                connection.execute(f"UPDATE {table} SET {column} = {column} - ?", (int(days * 86_400_000),))
        connection.close()
        # It would tell the right times; one that is missing is written anew.
        (self.root / "state.db.ledger").unlink(missing_ok=True)

    def files(self, folder: str) -> dict[str, int]:
        """The visible files below one of the folders, with their sizes."""
        root = self.root / folder
        paths = (path for path in root.rglob("*") if path.is_file())
        return {
            str(path.relative_to(root)): path.stat().st_size
            for path in paths
            if not any(part.startswith(".") for part in path.relative_to(root).parts)
        }

    def status(self) -> status.Snapshot:
        """How things stand, by the state file."""
        return status.snapshot(config.load(self.root / "config.yaml", {}))

    def told(self) -> str:
        """What ``sorawatch status`` prints."""
        console = Console(width=200, file=io.StringIO(), highlight=False)
        console.print(status_screen.status(self.status()))
        return cast(io.StringIO, console.file).getvalue()

    def wait_for_creates(self, count: int) -> None:
        """Wait until the server has taken so many orders."""
        self.simulator.wait_for(lambda ledger: ledger.creates >= count)

    def wait_for_clips(self, count: int) -> None:
        """Wait until there are so many files in the outbox."""
        wait_until(lambda: len(self.files("outbox")) == count, told=self.told)

    def pair_of(self, job_id: str) -> tuple[str, str | None]:
        """The path of the image and the name of the sidecar of a job."""
        (pair,) = (job.pair for job in self.status().jobs if job.id == job_id)
        return pair.path, pair.sidecar

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state, by the state; empty while there is none."""
        with suppress(sqlite3.Error):
            return self._counts_in_file()
        try:
            snapshot = status.snapshot(config.load(self.root / "config.yaml", {}))
        except UsageError:
            return {}
        return {state.value: count for state, count in snapshot.counts.items()}

    def _counts_in_file(self) -> dict[str, int]:
        """Read straight from a state file, since waiting for counts takes much of the time of the tests.

        Raises:
            sqlite3.Error: if the state is no file that can be read so.
        """
        uri = f"{(self.root / self.settings['state']).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            found = Counter(dict(connection.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state")))
            packed = connection.execute("SELECT COUNT(*) FROM purchases WHERE packed_job IS NOT NULL").fetchone()[0]
            return dict(+(found + Counter(done=packed)))

    def states(self, name: str) -> list[str]:
        """The states the jobs of this picture went through."""
        return [
            after.state.value
            for before, after in self.changes
            if after.pair.image == name and (before is None or before.state is not after.state)
        ]

    def _note(self, before: Job | None, after: Job) -> None:
        self.changes.append((before, after))
