"""How near to ideal many jobs are made, against the two scripts that people would write, and what thousands cost that wait.

Run with:

    python -m tests.bench.throughput race [--jobs 200] [--width 20] [--seconds 2]
    python -m tests.bench.throughput compare [--jobs 200] [--width 20] [--seconds 2] [--rounds 5]
    python -m tests.bench.throughput refused [--jobs 12] [--width 4] [--seconds 2] [--rounds 5]
    python -m tests.bench.throughput wait [--jobs 2000] [--every 15] [--watched 60]

``race`` has every contender make the same clips: pictures in a folder, prompts beside them, renders of a fixed length on a
simulator in a process of its own. ``ideal`` is what the server's renders take if all places are always taken; the wall
time is that from the start of the program to the last clip on disk. The scripts are killed with -9 in the middle and
started again as a person would, without the pictures whose clip is there; so is the daemon. Last, the daemon runs already
when the pictures are dropped, as it does in service. ``compare`` has the daemon and the SDK take turns, and prints medians
and ranges of both and of their ratio, with the CPU time of the daemon without that of the processes that prepare pictures,
which the SDK does not do. ``refused`` does the same on a server that refuses some orders for a moment. ``wait`` has all jobs in flight on a server that finishes none, and
watches what polling them takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

import openai
import requests
import yaml
from PIL import Image

from sorawatch import simulator

KEY = "sk-simulated"
DAEMON = ("-m", "sorawatch", "run", "--once", "--config", "config.yaml")
SDK = ("-m", "tests.bench.throughput", "with-the-sdk")
TICKS = os.sysconf("SC_CLK_TCK")


# The contenders. Each is `python -m tests.bench.throughput NAME --folder … --url … --width …` in a process of its own.


def with_requests(folder: Path, url: str, width: int) -> None:
    """The API reference's loop, a thread a place; as it stands in the reference it makes one clip after the other."""
    headers = {"Authorization": f"Bearer {KEY}"}

    def make(picture: Path) -> None:
        with open(picture, "rb") as file:
            created = requests.post(
                f"{url}/videos",
                headers=headers,
                data={"model": "sora-2", "prompt": _prompt(picture), "seconds": "4", "size": "1280x720"},
                files={"input_reference": (picture.name, file, "image/jpeg")},
                timeout=60,
            ).json()
        video_id = created["id"]
        while requests.get(f"{url}/videos/{video_id}", headers=headers, timeout=60).json()["status"] != "completed":
            time.sleep(15)
        clip = requests.get(f"{url}/videos/{video_id}/content", headers=headers, timeout=60).content
        (folder / "outbox" / f"{picture.stem}.mp4").write_bytes(clip)

    _in_a_pool(make, folder, width)


def with_the_sdk(folder: Path, url: str, width: int) -> None:
    """The official SDK's ``create_and_poll``, a thread a place."""
    client = openai.OpenAI(api_key=KEY, base_url=url)

    def make(picture: Path) -> None:
        video = client.videos.create_and_poll(
            model="sora-2", prompt=_prompt(picture), seconds="4", size="1280x720", input_reference=picture
        )
        client.videos.download_content(video.id).write_to_file(folder / "outbox" / f"{picture.stem}.mp4")

    _in_a_pool(make, folder, width)


def _in_a_pool(make: Callable[[Path], None], folder: Path, width: int) -> None:
    pictures = sorted((folder / "inbox").glob("*.jpg"))
    left = [picture for picture in pictures if not (folder / "outbox" / f"{picture.stem}.mp4").exists()]
    with ThreadPoolExecutor(width) as pool:
        for _ in pool.map(make, left):
            pass


def _prompt(picture: Path) -> str:
    return str(yaml.safe_load(picture.with_suffix(".yaml").read_text())["prompt"])


# The course.


@contextmanager
def serving(seconds: float) -> Iterator[str]:
    """A simulator in a process of its own; its base URL."""
    command = [sys.executable, "-m", "tests.bench.throughput", "serve", "--seconds", str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.communicate()


def serve(seconds: float) -> None:
    settings = simulator.SimulatorSettings(generation_seconds=seconds, frames_per_second=1)
    with simulator.running(settings) as running:
        print(running.url, flush=True)
        sys.stdin.read()


def inject(url: str, fault: dict[str, Any]) -> None:
    """Switch a fault of the simulator on."""
    body = json.dumps(fault).encode()
    with urlopen(Request(f"{url.removesuffix('/v1')}/faults", body, {"Content-Type": "application/json"})):
        pass


def ledger(url: str) -> dict[str, Any]:
    with urlopen(f"{url.removesuffix('/v1')}/ledger") as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def lay_out(root: Path, url: str, jobs: int, **sections: dict[str, Any]) -> None:
    """Folders with pictures that are all alike, which the server renders once, and prompts that all differ."""
    for name in ("inbox", "outbox", "errors", "processed"):
        (root / name).mkdir()
    settings = {
        "state": "state.db",
        "api": {"base_url": url, "key_file": "api.key"},
        "video": {"seconds": 4},
        "watch": {"settle_seconds": 0.05},
        **sections,
    }
    (root / "config.yaml").write_text(yaml.safe_dump(settings))
    (root / "api.key").write_text(KEY)
    (root / "api.key").chmod(0o600)
    Image.linear_gradient("L").resize((1280, 720)).convert("RGB").save(root / "picture.jpg")
    for number in range(jobs):
        shutil.copyfile(root / "picture.jpg", root / "inbox" / f"{number:05}.jpg")
        (root / "inbox" / f"{number:05}.yaml").write_text(f"prompt: waves number {number}\n")


@dataclass(frozen=True)
class Run:
    """Seconds of wall time and of CPU, bytes of memory at the most, and what the server counted."""

    wall: float
    cpu: float
    memory: int
    polls: int
    duplicates: int
    made: int
    preparing: float = 0.0
    """Seconds of CPU that processes which prepare pictures have used, of those in ``cpu``."""

    def told(self, ideal: float, jobs: int) -> str:
        return (
            f"wall {self.wall:6.1f} s = {self.wall / ideal:5.2f} × ideal, CPU {1000 * self.cpu / jobs:5.1f} ms a job, "
            f"memory {self.memory / 2**20:4.0f} MB, polls {self.polls / jobs:5.1f} a job, "
            f"{self.made} of {jobs} made, {self.duplicates} bought twice"
        )


def race(jobs: int, width: int, seconds: float) -> None:
    ideal = jobs / width * seconds
    print(f"{jobs} jobs, {width} in flight, renders of {seconds:g} s: ideal {ideal:g} s; load {_load()}")
    contenders: dict[str, tuple[str, ...]] = {
        "sorawatch": DAEMON,
        "SDK in threads": SDK,
        "requests in threads": ("-m", "tests.bench.throughput", "with-requests"),
    }
    for name, command in contenders.items():
        for killed in (False, True):
            told = run(command, jobs, width, seconds, ideal / 2 if killed else None).told(ideal, jobs)
            print(f"{name:20}{'killed' if killed else '':7} {told}", flush=True)
    print(f"{'sorawatch, running':27} {in_service(jobs, width, seconds).told(ideal, jobs)}", flush=True)


REFUSALS: dict[str, dict[str, Any]] = {
    "a 429 with Retry-After: 1, twice": {
        "status": 429,
        "message": "Rate limit reached",
        "retry_after": "1",
        "times": 2,
    },
    "a 503 at capacity, thrice": {"status": 503, "message": "The server is at capacity", "times": 3},
}


def refused(jobs: int, width: int, seconds: float, rounds: int) -> None:
    """The daemon and the SDK on a server that refuses some orders for a moment."""
    for name, refusal in REFUSALS.items():
        print(name)
        compare(jobs, width, seconds, rounds, {"kind": "answer_before", "on": "create", **refusal})


def compare(jobs: int, width: int, seconds: float, rounds: int, fault: dict[str, Any] | None = None) -> None:
    """The daemon and the SDK in turn: medians and ranges of both, and of their ratio in each round."""
    ideal = jobs / width * seconds
    print(f"{jobs} jobs, {width} in flight, renders of {seconds:g} s: ideal {ideal:g} s")
    pairs = []
    for number in range(rounds):
        ours, sdk = (run(command, jobs, width, seconds, None, fault) for command in (DAEMON, SDK))
        pairs.append((ours, sdk))
        for who, result in (("sorawatch", ours), ("SDK in threads", sdk)):
            print(f"{number + 1} {who:15} {result.told(ideal, jobs)}; load {_load()}", flush=True)
    walls = [(ours.wall, sdk.wall) for ours, sdk in pairs]
    cpus = [(1000 * (ours.cpu - ours.preparing) / jobs, 1000 * sdk.cpu / jobs) for ours, sdk in pairs]
    for what, values in (("wall, s", walls), ("CPU a job without pictures, ms", cpus)):
        ratios = [one / other for one, other in values]
        ours_told, sdk_told = (_spread([each[side] for each in values]) for side in (0, 1))
        print(f"  {what}: sorawatch {ours_told}, SDK {sdk_told}, ratio {_spread(ratios)}", flush=True)


def _spread(values: list[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def run(
    command: tuple[str, ...],
    jobs: int,
    width: int,
    seconds: float,
    kill_after: float | None,
    fault: dict[str, Any] | None = None,
) -> Run:
    """One contender over a fresh folder, killed once with -9 and started again, or not."""
    with serving(seconds) as url, TemporaryDirectory() as folder:
        root = Path(folder)
        if fault is not None:
            inject(url, fault)
        lay_out(root, url, jobs, **_racing(width))
        options = () if "sorawatch" in command else ("--folder", folder, "--url", url, "--width", str(width))
        cpu, memory, preparing = 0.0, 0, 0.0
        began = time.monotonic()
        for limit in (kill_after, None) if kill_after else (None,):
            usage, peak, pictures = _live([sys.executable, *command, *options], root, limit)
            cpu, memory = cpu + usage.ru_utime + usage.ru_stime, max(memory, peak)
            preparing += pictures
        last = max((path.stat().st_mtime for path in (root / "outbox").glob("*.mp4")), default=time.time())
        wall = time.monotonic() - began - (time.time() - last)
        made = len([*(root / "outbox").glob("*.mp4")])
        counted = ledger(url)
        return Run(wall, cpu, memory, counted["polls"], counted["duplicates"], made, preparing)


def in_service(jobs: int, width: int, seconds: float) -> Run:
    """A daemon that runs already when the pictures are dropped, as it does for months; the time is from the drop."""
    with serving(seconds) as url, TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(root, url, jobs, **_racing(width))
        (root / "inbox").rename(root / "dropped")
        (root / "inbox").mkdir()
        with daemon_in(root) as daemon:
            while "watching" not in (root / "log").read_text():
                time.sleep(0.1)
            # Until it has looked at its empty inbox, it is still starting.
            time.sleep(1)
            cpu, began, memory = cpu_of(daemon.pid), time.monotonic(), 0
            for path in (root / "dropped").iterdir():
                path.rename(root / "inbox" / path.name)
            while (made := len([*(root / "outbox").glob("*.mp4")])) < jobs:
                memory = max(memory, memory_of(daemon.pid))
                time.sleep(0.05)
            wall = time.monotonic() - began
            counted = ledger(url)
            return Run(wall, cpu_of(daemon.pid) - cpu, memory, counted["polls"], counted["duplicates"], made)


def _racing(width: int) -> dict[str, dict[str, Any]]:
    return {
        "polling": {"min_seconds": 0.2},
        "limits": {"in_flight": width, "submits_per_minute": 60_000, "burst": width, "usd_per_day": None},
    }


@contextmanager
def daemon_in(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon over the folders in ``root``, stopped in good order at the end; it writes into ``log``."""
    with open(root / "log", "ab") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "sorawatch", "run", "--config", "config.yaml"],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=log,
            stderr=log,
        )
    try:
        yield daemon
    finally:
        daemon.send_signal(signal.SIGINT)
        daemon.wait(60)


def _live(command: list[str], folder: Path, limit: float | None) -> tuple[resource.struct_rusage, int, float]:
    """Run ``command`` to its end, or kill it after ``limit`` seconds.

    Returns:
        What it used, its memory at the most, and the seconds of CPU of its processes that prepare pictures.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    began, peak, preparing = time.monotonic(), 0, dict[int, float]()
    while True:
        pid, _, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = 0
            return usage, peak, sum(preparing.values())
        preparing |= {each: cpu_of(each) for each in tree_of(process.pid)[1:] if _prepares_pictures(each)}
        peak = max(peak, memory_of(process.pid))
        if limit is not None and time.monotonic() - began > limit:
            os.kill(process.pid, signal.SIGKILL)
        # To look at the memory stops a process for a moment.
        time.sleep(0.3)


def wait(jobs: int, every: float, watched: float) -> None:
    """All jobs in flight on a server that finishes none: what polling them takes of a core, and of memory."""
    with serving(float("inf")) as url, TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(
            root,
            url,
            jobs,
            polling={"min_seconds": every, "max_seconds": every},
            limits={"in_flight": jobs, "submits_per_minute": 60_000, "burst": jobs, "usd_per_day": None},
        )
        with daemon_in(root) as daemon:
            while ledger(url)["creates"] < jobs:
                assert daemon.poll() is None, (root / "log").read_text()
                time.sleep(2)
            time.sleep(2 * every)
            polls, cpu, began = ledger(url)["polls"], cpu_of(daemon.pid), time.monotonic()
            time.sleep(watched)
            took = time.monotonic() - began
            cpu, polls = cpu_of(daemon.pid) - cpu, ledger(url)["polls"] - polls
            print(
                f"{jobs} jobs in flight, polled every {every:g} s: {polls / took:.0f} polls a second "
                f"(wanted {jobs / every:.0f}), {100 * cpu / took:.0f} % of a core, "
                f"{1000 * cpu / max(polls, 1):.2f} ms a poll, {memory_of(daemon.pid) / 2**20:.0f} MB; load {_load()}"
            )


def tree_of(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def memory_of(pid: int) -> int:
    """Bytes that a process and its children hold, shared pages counted once (PSS)."""
    total = 0
    for each in tree_of(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process and its children have used, those that have ended included."""
    total = 0.0
    for each in tree_of(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / TICKS
    return total


def _prepares_pictures(pid: int) -> bool:
    try:
        return b"sorawatch.edges.images.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=["race", "compare", "refused", "wait", "serve", "with-requests", "with-the-sdk"]
    )
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--every", type=float, default=15.0)
    parser.add_argument("--watched", type=float, default=60.0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--url")
    given = parser.parse_args()
    match given.what:
        case "race":
            race(given.jobs or 200, given.width or 20, given.seconds)
        case "compare":
            compare(given.jobs or 200, given.width or 20, given.seconds, given.rounds)
        case "refused":
            refused(given.jobs or 12, given.width or 4, given.seconds, given.rounds)
        case "wait":
            wait(given.jobs or 2000, given.every, given.watched)
        case "serve":
            serve(given.seconds)
        case "with-requests":
            with_requests(given.folder, given.url, given.width)
        case "with-the-sdk":
            with_the_sdk(given.folder, given.url, given.width)


if __name__ == "__main__":
    main()
