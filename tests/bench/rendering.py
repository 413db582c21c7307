"""What it costs to ask after thousands of videos that are rendered at once, and how late the polls are.

Run with:

    python -m tests.bench.rendering [--few 1000] [--many 10000] [--every 30] [--watched 90]

The state and the inbox of a daemon are filled with orders that are rendered already, on a server that finishes none: it
answers every poll at once, from a process of its own, and measures the time between two polls of each video. The daemon is
watched after two intervals. Each line has its CPU time as a share of one core, its memory, and the longest and the mean time
between two polls of a video as multiples of the interval.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import yaml
from PIL import Image

from sorawatch.core.job import Charged, Job, Pair, State
from sorawatch.core.order import Order, Size
from sorawatch.edges import inbox
from sorawatch.edges.store import Store
from tests.bench.throughput import KEY, cpu_of, daemon_in, memory_of


@dataclass
class Polls:
    """The polls of each video since `begin`, in seconds of the monotonic clock."""

    last: dict[str, float] = field(default_factory=dict)
    count: int = 0
    longest: float = 0.0
    gaps: float = 0.0
    measured: int = 0

    def poll(self, video_id: str) -> None:
        now, before = time.monotonic(), self.last.get(video_id)
        self.last[video_id] = now
        self.count += 1
        if before is not None:
            self.longest = max(self.longest, now - before)
            self.gaps += now - before
            self.measured += 1

    def begin(self) -> None:
        self.count, self.longest, self.gaps, self.measured = 0, 0.0, 0.0, 0

    def told(self) -> dict[str, float]:
        now = time.monotonic()
        # A video that is not asked after any more has no second poll.
        longest = max(self.longest, now - min(self.last.values(), default=now))
        return {
            "videos": len(self.last),
            "polls": self.count,
            "longest": longest,
            "gaps": self.gaps / (self.measured or 1),
        }


class Connection(asyncio.Protocol):
    """As little of HTTP/1.1 as a poll needs, so that the server takes little of the machine."""

    def __init__(self, polls: Polls) -> None:
        self._polls = polls
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while b"\r\n\r\n" in self._received:
            request, _, self._received = self._received.partition(b"\r\n\r\n")
            path = request.split(b" ", 2)[1].decode()
            document: dict[str, Any]
            if path == "/polls":
                document = dict(self._polls.told())
            elif path == "/begin":
                self._polls.begin()
                document = {}
            else:
                video_id = path.rpartition("/")[2]
                self._polls.poll(video_id)
                document = {"id": video_id, "object": "video", "status": "in_progress", "progress": 50}
            body = json.dumps(document).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


async def serve() -> None:
    polls = Polls()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(polls), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def serving() -> Iterator[str]:
    """A server in a process of its own; its address."""
    command = [sys.executable, "-m", "tests.bench.rendering", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.communicate()


def asked(url: str) -> dict[str, Any]:
    with urlopen(url) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def lay_out(root: Path, url: str, jobs: int, every: float) -> None:
    """Folders with pairs whose orders are rendered, as the state says."""
    for name in ("inbox", "outbox", "errors", "processed"):
        (root / name).mkdir()
    settings = {
        "state": "state.db",
        "api": {"base_url": f"{url}/v1", "key_file": "api.key"},
        "polling": {"min_seconds": every, "max_seconds": every},
        "limits": {"in_flight": jobs, "usd_per_day": None},
    }
    (root / "config.yaml").write_text(yaml.safe_dump(settings))
    (root / "api.key").write_text(KEY)
    (root / "api.key").chmod(0o600)
    Image.new("RGB", (1280, 720)).save(root / "picture.jpg", quality=5)
    picture = (root / "picture.jpg").read_bytes()
    with closing(Store.create_or_open(root / "state.db", "bench")[0]) as store, store.transaction() as tx:
        rendered = []
        for number in range(jobs):
            (root / "inbox" / f"{number:05}.jpg").write_bytes(picture)
            (root / "inbox" / f"{number:05}.yaml").write_text(f"prompt: waves number {number}\n")
            names = (f"{number:05}.jpg", f"{number:05}.yaml")
            image, sidecar = (inbox.stamp(root / "inbox", name) for name in names)
            assert image is not None
            rendered.append(
                Job(
                    f"{number:08}",
                    State.RENDERING,
                    Pair("", names[0], image, names[1], sidecar),
                    created_at=tx.now,
                    due_at=tx.now,
                    changed_at=tx.now,
                    order=Order(f"waves number {number}", "sora-2", Size(1280, 720), 8),
                    digest=f"{number:064}",
                    reference_digest=f"{number:064}",
                    price=800_000,
                    token=f"{number:032}",
                    submitted_at=tx.now,
                    video_id=f"video_{number:032}",
                    charged=Charged.PERHAPS,
                )
            )
        tx.jobs.add(rendered)
        for job in rendered:
            assert job.token is not None
            assert job.video_id is not None
            tx.purchases.add(job)
            tx.purchases.set_video(job.token, job.video_id)


def watch(jobs: int, every: float, watched: float) -> None:
    with serving() as url, TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(root, url, jobs, every)
        with daemon_in(root) as daemon:
            while asked(f"{url}/polls")["videos"] < jobs:
                assert daemon.poll() is None, (root / "log").read_text()
                time.sleep(1)
            time.sleep(2 * every)
            asked(f"{url}/begin")
            cpu, began = cpu_of(daemon.pid), time.monotonic()
            time.sleep(watched)
            took, used, polls = time.monotonic() - began, cpu_of(daemon.pid) - cpu, asked(f"{url}/polls")
            print(
                f"{jobs:6} rendering, polled every {every:g} s: {100 * used / took:3.0f} % of a core, "
                f"{1000 * used / max(polls['polls'], 1):.2f} ms a poll, {memory_of(daemon.pid) / 2**20:.0f} MB, "
                f"between two polls at most {polls['longest'] / every:.2f} × the interval, "
                f"{polls['gaps'] / every:.2f} × in the mean; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--every", type=float, default=30.0)
    parser.add_argument("--watched", type=float, default=90.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    for jobs in (given.few, given.many):
        watch(jobs, given.every, given.watched)


if __name__ == "__main__":
    main()
