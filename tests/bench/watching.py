"""Measures the watching: a burst of pairs, an idle inbox, the delay to the submit; beside watchdog's poller and a loop.

Run it as ``python -m tests.bench.watching [burst] [pairs] [idle] [delay]``. It prints figures and decides nothing.
``pairs`` drops 5,000 and 50,000 pairs at once, and measures how the costs of the daemon and of ``status`` grow.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sorawatch import simulator
from tests.support.workspace import Workspace, picture

PAIRS = 10_000
FEW, MANY = 5_000, 50_000
WATCHED_SECONDS = 120.0
PROCESSED, WAITING = 100_000, 1_000
IDLE_SECONDS = 120.0
DROPS = 60
TICKS = os.sysconf("SC_CLK_TCK")

POLLER = """
import sys, time
from watchdog.events import FileSystemEventHandler
from watchdog.observers.polling import PollingObserver
class Count(FileSystemEventHandler):
    seen = 0
    def on_created(self, event):
        Count.seen += 1
        if Count.seen == int(sys.argv[2]):
            print("all", flush=True)
observer = PollingObserver(timeout=float(sys.argv[3]))
for root in sys.argv[4:]:
    observer.schedule(Count(), root, recursive=True)
observer.start()
print("watching", flush=True)
time.sleep(3600)
"""
"""Arguments: a name, how many files to report, seconds between two polls, folders."""

LOOP = """
import os, sys, time
wanted, pause = int(sys.argv[2]), float(sys.argv[3])
known = {}
print("watching", flush=True)
while True:
    for root in sys.argv[4:]:
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                status = os.stat(path)
                known[path] = (status.st_size, status.st_mtime_ns)
    if len(known) >= wanted:
        print("all", flush=True)
        wanted = float("inf")
    time.sleep(pause)
"""
"""What a script in a crontab does, with the same arguments."""


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, see proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory(pid: int) -> float:
    """MB that a process has had at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


@contextmanager
def workspace(**watch: float | str) -> Iterator[Workspace]:
    """A workspace whose daemon submits to a simulator that never finishes."""
    settings = simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)
    with tempfile.TemporaryDirectory() as root, simulator.running(settings) as server:
        made = Workspace(Path(root), server)
        made.set("watch", settle_seconds=3, rescan_seconds=30, mode="native", **watch)
        made.set("polling", min_seconds=5, max_seconds=30)
        made.set("limits", in_flight=100_000)
        yield made
        made.close()


@contextmanager
def process(*command: str, awaited: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A process that has said ``awaited`` on either of its outputs, and the file in which these are.

    They are no pipe, because a process that nobody listens to would wait once that is full.
    """
    with tempfile.NamedTemporaryFile() as output:
        running = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            said = Path(output.name)
            until(lambda: awaited in said.read_text() or running.poll() is not None, pause=0.02)
            assert running.poll() is None, said.read_text()
            yield running, said
        finally:
            running.kill()
            running.wait()


@contextmanager
def daemon(workspace: Workspace) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "sorawatch", "run", "-c", str(workspace.write_config())]
    with process(*command, awaited=" watching ") as (running, _):
        yield running


def rivals(files: int, pause: float, *roots: Path) -> dict[str, list[str]]:
    arguments = [str(files), str(pause), *map(str, roots)]
    return {
        "watchdog's PollingObserver": [sys.executable, "-c", POLLER, "-", *arguments],
        "an os.walk loop": [sys.executable, "-c", LOOP, "-", *arguments],
    }


def drop_all(inbox: Path, pairs: int = PAIRS) -> float:
    """Drop the pairs; returns when the last was there."""
    many = inbox / "many"
    many.mkdir()
    image = picture(many / "first.jpg")
    (many / "first.yaml").write_text("prompt: waves\n")
    for number in range(pairs - 1):
        os.link(image, many / f"{number}.jpg")
        os.link(many / "first.yaml", many / f"{number}.yaml")
    return time.monotonic()


def jobs(state: Path) -> int:
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True, timeout=120)) as database:
        (count,) = database.execute("SELECT count(*) FROM jobs").fetchone()
    return int(count)


def until(holds: Callable[[], bool], pause: float = 0.1) -> float:
    while not holds():
        time.sleep(pause)
    return time.monotonic()


def burst() -> None:
    with workspace() as place:
        (place.inbox / "PAUSE").touch()
        with daemon(place) as running:
            before, used = peak_memory(running.pid), cpu_seconds(running.pid)
            dropped = drop_all(place.inbox)
            took = until(lambda: jobs(place.root / "state.db") == PAIRS) - dropped
            grown, cpu = peak_memory(running.pid) - before, cpu_seconds(running.pid) - used
        print(f"{PAIRS} pairs until all are jobs: {took:.1f} s (settle_seconds is 3), {cpu:.1f} s CPU, +{grown:.0f} MB")
    for name, command in rivals(2 * PAIRS, 1.0, place.inbox).items():
        with tempfile.TemporaryDirectory() as root:
            command[command.index(str(place.inbox))] = root
            with process(*command, awaited="watching") as (rival, said):
                before, used = peak_memory(rival.pid), cpu_seconds(rival.pid)
                dropped = drop_all(Path(root))
                until(lambda: "all" in said.read_text())
                rival_took = time.monotonic() - dropped
                rival_cpu = cpu_seconds(rival.pid) - used
                rival_grown = peak_memory(rival.pid) - before
        print(
            f"  {name} sees the same files after {rival_took:.1f} s, {rival_cpu:.1f} s CPU, +{rival_grown:.0f} MB: "
            f"{cpu / max(rival_cpu, 0.01):.1f} x its CPU, for orders on disk instead of names"
        )


def pairs() -> None:
    few, many = dropped(FEW), dropped(MANY)
    print(f"{'':24}{FEW:>12}{MANY:>12}       ratio")
    for name, value in few.items():
        print(f"{name:24}{value:>12.2f}{many[name]:>12.2f}{many[name] / max(value, 1e-3):>12.1f}")


def dropped(count: int) -> dict[str, float]:
    """What ``count`` pairs that are dropped at once cost until all are jobs, and then while nothing happens."""
    with workspace() as place:
        # Few pictures are prepared ahead, which is another cost.
        place.set("limits", in_flight=4)
        (place.inbox / "PAUSE").touch()
        with daemon(place) as running:
            used = cpu_seconds(running.pid)
            began = drop_all(place.inbox, count)
            took = until(lambda: jobs(place.root / "state.db") == count, pause=1.0) - began
            cpu = cpu_seconds(running.pid) - used
            time.sleep(20)
            used, began = cpu_seconds(running.pid), time.monotonic()
            time.sleep(WATCHED_SECONDS)
            share = (cpu_seconds(running.pid) - used) / (time.monotonic() - began)
            memory = peak_memory(running.pid)
            seconds, status_cpu = status_seconds(place.root / "config.yaml")
    return {
        "s until all are jobs": took,
        "s CPU until then": cpu,
        "MB at most": memory,
        "% of a core when idle": 100 * share,
        "s for status": seconds,
        "s CPU for status": status_cpu,
    }


def status_seconds(config: Path) -> tuple[float, float]:
    """The shortest of three times that ``status`` took, and the least CPU, in seconds."""
    times, cpus = [], []
    for _ in range(3):
        began, before = time.monotonic(), os.times()
        subprocess.run(
            [sys.executable, "-m", "sorawatch", "status", "-c", str(config)], check=True, stdout=subprocess.DEVNULL
        )
        after = os.times()
        times.append(time.monotonic() - began)
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(times), min(cpus)


def idle() -> None:
    with workspace() as place:
        for number in range(PROCESSED):
            folder = place.processed / str(number // 1000)
            folder.mkdir(exist_ok=True)
            (folder / f"{number}.jpg").touch()
        image = picture(place.inbox / "first.jpg")
        for number in range(WAITING - 1):
            os.link(image, place.inbox / f"{number}.jpg")
        with daemon(place) as running:
            time.sleep(20)
            used, began = cpu_seconds(running.pid), time.monotonic()
            time.sleep(IDLE_SECONDS)
            share = (cpu_seconds(running.pid) - used) / (time.monotonic() - began)
        print(f"idle, {PROCESSED} processed and {WAITING} waiting: {share:.2%} of a core at the default rescan")
        for pause, roots in ((1.0, (place.inbox, place.processed)), (30.0, (place.inbox,))):
            for name, command in rivals(0, pause, *roots).items():
                with process(*command, awaited="watching") as (rival, _):
                    time.sleep(5)
                    used, began = cpu_seconds(rival.pid), time.monotonic()
                    time.sleep(max(20.0, 2 * pause))
                    rivals_share = (cpu_seconds(rival.pid) - used) / (time.monotonic() - began)
                what = " and ".join(root.name for root in roots)
                print(
                    f"  {name} over {what} every {pause:g} s: {rivals_share:.2%}; "
                    f"the daemon has {share / max(rivals_share, 1e-4):.2f} x of that"
                )


def delay() -> None:
    with workspace() as place, daemon(place):
        late = []
        for number in range(DROPS):
            (place.inbox / f"{number}.yaml").write_text(f"prompt: waves {number}\n")
            picture(place.inbox / f"{number}.jpg", colour=(number, 90, 90))
            dropped = time.monotonic()
            place.wait_for_creates(number + 1)
            late.append(time.monotonic() - dropped - 3.0)
    cuts = statistics.quantiles(late, n=20)
    print(f"from the last write to the submit, beyond settle_seconds: median {cuts[9]:.2f} s, p95 {cuts[18]:.2f} s")


if __name__ == "__main__":
    parts = {"burst": burst, "pairs": pairs, "idle": idle, "delay": delay}
    for part in sys.argv[1:] or parts:
        parts[part]()
    print(f"(load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)")
