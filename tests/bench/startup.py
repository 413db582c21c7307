"""How long the command line takes to start, whole processes as ratios to ``python -c 'import typer, rich'``.

Run it as ``python -m tests.bench.startup [RUNS]``. Each run measures every command once, and the reference before and after
each of them, so that a busy machine slows both alike. It prints the median and the range of the ratios, and ends with 1
where a median misses its goal.

``run`` is measured until its first scan of the inbox has ended, when it tells its service manager that it is ready.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sorawatch import simulator
from tests.support.workspace import Workspace

RUNS = 15
JOBS = 5
"""In the state that ``status`` shows."""

REFERENCE = "python -c 'import typer, rich'"
GOALS = {"sorawatch --version": 3.0, "sorawatch status": 6.5, "sorawatch run": 8.0}


class Bench:
    """The folder of one configuration, and where its daemon tells that it is ready."""

    def __init__(self, root: Path, manager: socket.socket) -> None:
        self._root = root
        self._manager = manager
        self._config = str(root / "config.yaml")
        # Byte code is kept, as that of an installation is.
        self._environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment["PYTHONPATH"] = str(Path(__file__).parents[2])

    def seconds(self, command: str) -> float:
        """How long ``command`` takes."""
        match command:
            case "sorawatch --version":
                return self._ended("-m", "sorawatch", "--version")
            case "sorawatch status":
                return self._ended("-m", "sorawatch", "status", "-c", self._config)
            case "sorawatch run":
                return self._first_scan()
            case _:
                return self._ended("-c", "import typer, rich")

    def _ended(self, *arguments: str) -> float:
        began = time.perf_counter()
        with self._started(*arguments) as process:
            assert process.wait() == 0, arguments
            return time.perf_counter() - began

    def _first_scan(self) -> float:
        self._environment["NOTIFY_SOCKET"] = self._manager.getsockname()
        began = time.perf_counter()
        with self._started("-m", "sorawatch", "run", "-c", self._config) as process:
            while b"READY=1" not in self._manager.recv(65536):
                assert process.poll() is None, "it ended"
            took = time.perf_counter() - began
            del self._environment["NOTIFY_SOCKET"]
            process.terminate()
        return took

    def _started(self, *arguments: str) -> subprocess.Popen[bytes]:
        silent = subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=self._root, env=self._environment, stdout=silent, stderr=silent
        )


def measured(runs: int) -> tuple[list[float], dict[str, list[float]]]:
    """The seconds of the reference, and of every command its ratios to the references before and after it."""
    references: list[float] = []
    ratios: dict[str, list[float]] = {command: [] for command in GOALS}
    with (
        tempfile.TemporaryDirectory() as folder,
        simulator.running(simulator.SimulatorSettings(generation_seconds=0)) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        workspace = Workspace(Path(folder), server)
        for number in range(JOBS):
            workspace.drop(f"{number}.jpg")
        workspace.run_once()
        manager.settimeout(60)
        manager.bind(str(workspace.root / "manager"))
        bench = Bench(workspace.root, manager)
        for command in (*GOALS, REFERENCE):
            bench.seconds(command)  # writes the byte code
        for command in [*GOALS] * runs:
            before, taken, after = (bench.seconds(each) for each in (REFERENCE, command, REFERENCE))
            references += [before, after]
            ratios[command].append(2 * taken / (before + after))
    return references, ratios


def main() -> int:
    """Print a line for each command. Returns the exit status."""
    references, ratios = measured(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
    print(f"{REFERENCE}: {1000 * min(references):.0f} to {1000 * max(references):.0f} ms")
    missed = 0
    for command, goal in GOALS.items():
        found = ratios[command]
        median = statistics.median(found)
        missed += median > goal
        verdict = "missed" if median > goal else "met"
        print(f"{command}: {median:.2f} x ({min(found):.2f} to {max(found):.2f}), goal {goal:g}: {verdict}")
    print(f"(load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
