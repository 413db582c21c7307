"""What jobs that have ended cost: bytes in the state, the time of ``report``, and the start of a daemon.

Run it as ``python -m tests.bench.ended [size] [commands] [--few 10000] [--many 100000] [--runs 3]``. It prints
figures and decides nothing. With ``--postgres URL``, the size is measured in that empty database.

Each job goes through all its states by the functions that the daemon uses, 400 jobs a day, with a clock of its own. The
state is never vacuumed. All jobs are of one month, so that ``report`` lists every one of them.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from sorawatch import simulator
from sorawatch.core import outcome as o
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.job_changes import Context
from sorawatch.core.lifecycle import Action, advance, begin
from sorawatch.core.order import Order, Size
from sorawatch.core.purchase import Standing
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.ledgered_store import LedgeredStore
from sorawatch.daemon.upkeep.retention import DAY_MS, Retention
from sorawatch.edges.ledger import Ledger
from sorawatch.edges.store import Database, PostgresDatabase, Store, Transaction
from tests.bench.watching import cpu_seconds
from tests.support.workspace import Workspace

A_DAY = 400
TOGETHER = 50
"""Jobs that change in one transaction, and go through their states in the same half hour."""
POLLS = (None, 20, 45, 80)
KEEP_DAYS = 365
BEGINNING = 1_793_491_200_000
"""2026-11-01."""
TEXT = """
slow gentle camera pushes in over the water while leaves sway in a warm evening light and people walk along the
quay with umbrellas soft fog drifts between old houses birds rise from a roof cinematic shallow depth of field
golden hour reflections ripple handheld steady close-up of her face smiling hair moving wind snow falls quietly
street lamps flicker neon signs glow traffic passes timelapse clouds roll across mountains waves break against
dark rocks drone shot descends toward an island harbour boats rock children run through tall grass sunset
"""
POLICY = Policy(Waits())
ACCOUNT = "0f2c9d11a7b34e58"
PLACES = ("Summer in Corsica", "Anna and Tom", "Product shots", "Harbour at night", "Winter 2026")


def prompt(rng: random.Random) -> str:
    """About 150 characters."""
    text, words = "", TEXT.split()
    while len(text) < 145:
        text += f" {rng.choice(words)}"
    return text.strip().capitalize() + "."


class Life:
    """Jobs that live and end in one state, on a clock of their own."""

    def __init__(self, where: Path | Database, ledger: Path) -> None:
        self.now = BEGINNING
        self.store, _ = Store.create_or_open(where, "bench", lambda: self.now)
        self.ledgered = LedgeredStore(self.store, Ledger(ledger))
        self._rng = random.Random(7)
        self._number = 0

    def close(self) -> None:
        self.store.close()

    def live(self, count: int) -> None:
        """Let ``count`` jobs be made and end."""
        jobs = [self._new() for _ in range(count)]
        with self.ledgered.transaction() as tx:
            tx.jobs.add(jobs)
        sizes = [o.Prepared(Size(1280, 720), self._hex(32), "upscaled 1.2×", self._hex(32)) for _ in jobs]
        jobs = self._all(jobs, Action.PREPARE, sizes)
        jobs = self._saved(jobs, self._submitted)
        jobs = self._all(jobs, Action.SUBMIT, [o.Accepted(f"video_{self._hex(16)}") for _ in jobs])
        for progress in POLLS:
            jobs = self._all(jobs, Action.POLL, [o.Pending(progress)] * count)
        jobs = self._all(jobs, Action.POLL, [o.Rendered()] * count)
        clips = [_clip(job) for job in jobs]
        jobs = self._all(jobs, Action.DELIVER, [o.NameChosen(clip, self._hex(32)) for clip in clips])
        jobs = self._all(jobs, Action.DELIVER, [o.Delivered(clip) for clip in clips])
        self._all(jobs, Action.ARCHIVE, [o.Archived(job.pair.names) for job in jobs])

    def end(self, count: int) -> None:
        """Write down ``count`` jobs as they are after their end, without what came before: for large states."""
        jobs = [self._ended(self._new()) for _ in range(count)]
        self.now += 60_000
        with self.ledgered.transaction() as tx:
            tx.jobs.add(jobs)
            for job in jobs:
                tx.purchases.add(job)
                tx.purchases.set_video(job.token or "", job.video_id or "")
                tx.purchases.close(job.token or "", Standing.SPENT, job.clip)

    def pass_days(self, days: float, ended: int) -> None:
        """Let days pass, and do what the daemon does with ``ended`` jobs that have become old."""
        self.now += int(days * DAY_MS)
        for _ in range(ended // 100 + 2):
            with self.ledgered.transaction() as tx:
                Retention(KEEP_DAYS).prune(tx)

    def _new(self) -> Job:
        self._number += 1
        number, rng = self._number, self._rng
        folder = f"2026-11/{rng.choice(PLACES)}"
        stem = f"IMG_20261{number % 100:03}_{number:06}"
        times = [self.now * 1_000_000 + rng.randrange(10**6) for _ in range(2)]
        stamp = Stamp(rng.randrange(2_000_000, 9_000_000), times[0])
        pair = Pair(folder, f"{stem}.jpg", stamp, f"{stem}.yaml", Stamp(170, times[1]))
        order = Order(prompt(rng), "sora-2", Size(1280, 720), 8)
        return Job(self._id(), State.FOUND, pair, self.now, self.now, self.now, order)

    def _ended(self, job: Job) -> Job:
        assert job.order is not None
        return replace(
            job,
            state=State.DONE,
            digest=self._hex(32),
            reference_digest=self._hex(32),
            note="upscaled 1.2×",
            price=800_000,
            token=self._hex(12),
            submitted_at=self.now,
            video_id=f"video_{self._hex(16)}",
            account=ACCOUNT,
            progress=100,
            charged=Charged.YES,
            clip=_clip(job),
            filed=job.pair.names,
        )

    def _id(self) -> str:
        return "".join(self._rng.choices("23456789abcdefghjkmnpqrstvwxyz", k=8))

    def _hex(self, count: int) -> str:
        return self._rng.randbytes(count).hex()

    def _submitted(self, tx: Transaction, job: Job) -> Job:
        after = begin(job, Action.SUBMIT, now=tx.now, token=self._hex(12), price=800_000, account=ACCOUNT)
        tx.purchases.add(after)
        return after

    def _all(self, jobs: Sequence[Job], action: Action, outcomes: Sequence[o.Outcome]) -> list[Job]:
        following = iter(outcomes)

        def apply(tx: Transaction, job: Job) -> Job:
            outcome = next(following)
            after = advance(job, action, outcome, Context(tx.now, POLICY))
            match outcome:
                case o.Accepted(video_id=video_id):
                    tx.purchases.set_video(after.token or "", video_id)
                case o.Delivered(clip=clip):
                    tx.purchases.close(after.token or "", Standing.SPENT, clip)
            return after

        return self._saved(jobs, apply)

    def _saved(self, jobs: Sequence[Job], apply: Callable[[Transaction, Job], Job]) -> list[Job]:
        self.now += 15_000
        changed = []
        with self.ledgered.transaction() as tx:
            for job in jobs:
                after = apply(tx, job)
                tx.jobs.save(after, job)
                changed.append(after)
        return changed


def _clip(job: Job) -> str:
    return f"{job.pair.folder}/{job.pair.image.removesuffix('.jpg')}.mp4"


@contextmanager
def life(where: Path | Database | None = None) -> Iterator[tuple[Life, Path]]:
    """A life in a fresh folder, which has the configuration too."""
    with tempfile.TemporaryDirectory() as name, simulator.running(simulator.SimulatorSettings()) as server:
        root = Path(name)
        place = Workspace(root, server)
        place.set("watch", settle_seconds=3, rescan_seconds=30)
        place.set("keep_days", value=KEEP_DAYS)
        place.write_config()
        made = Life(where or root / "state.db", root / "state.db.ledger")
        yield made, root
        made.close()


def size(count: int, postgres: str | None) -> None:
    """Bytes a job, a day after the last one has ended."""
    where = PostgresDatabase(postgres) if postgres else None
    with life(where) as (made, root):
        for _ in range(count // A_DAY):
            for _ in range(A_DAY // TOGETHER):
                made.live(TOGETHER)
                made.pass_days(TOGETHER / A_DAY, TOGETHER)
        made.pass_days(1, A_DAY)
        if postgres:
            with closing(sa.create_engine(postgres).connect()) as connection:
                bytes_now = int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)
        else:
            bytes_now = (root / "state.db").stat().st_size
        print(
            f"{count} jobs that ended: {bytes_now / count:.0f} bytes of state for each, a day after the last one ended"
        )
        if not postgres:
            _tell_tables(root / "state.db", count)


def _tell_tables(state: Path, count: int) -> None:
    query = "SELECT name, sum(pgsize), sum(payload) FROM dbstat GROUP BY name ORDER BY 2 DESC"
    with closing(sqlite3.connect(state)) as database:
        free = database.execute("PRAGMA freelist_count").fetchone()[0]
        for name, pages, payload in database.execute(query):
            if pages > 4096 * 2:
                print(f"  {name:32} {pages / count:6.0f} in pages, {payload / count:6.0f} of content")
        print(f"  {'free pages':32} {free * 4096 / count:6.0f}")


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _run(*arguments: str) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and MB at most of a command."""
    began = time.perf_counter()
    with open(os.devnull, "w") as nothing:
        process = subprocess.Popen([sys.executable, "-m", "sorawatch", *arguments], stdout=nothing)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def commands(count: int, runs: int) -> None:
    """The commands that people wait for, with ``count`` jobs that have ended."""
    with life() as (made, root):
        for _ in range(count // 1_000):
            made.end(1_000)
        made.pass_days(2, count)
        config = str(root / "config.yaml")
        month = ("--month", "2026-11")
        for words in (("report", *month), ("report", *month, "--csv"), ("report", *month, "--json"), ("status",)):
            results = [_run(*words, "-c", config) for _ in range(runs)]
            wall, cpu, memory = zip(*results, strict=True)
            print(
                f"{count:7} ended, {' '.join(words):30} {_spread(cpu)} s CPU, {_spread(wall)} s, {max(memory):.0f} MB"
            )
        starts = [_started(root / "config.yaml") for _ in range(runs)]
        print(f"{count:7} ended, {'start until it watches':30} {_spread([cpu for _, cpu in starts])} s CPU, ", end="")
        print(f"{_spread([wall for wall, _ in starts])} s")


def _started(config: Path) -> tuple[float, float]:
    """Seconds, and seconds of processor time, until a daemon has listed the inbox; it is stopped in order afterwards."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "sorawatch", "run", "-c", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while " watching " not in (line := process.stderr.readline()):
        assert line, "it ended"
    took, cpu = time.perf_counter() - began, cpu_seconds(process.pid)
    process.terminate()
    process.communicate()
    return took, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["size", "commands"], choices=["size", "commands"])
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--postgres", metavar="URL", help="an empty database, in which the size is measured")
    arguments = parser.parse_args()
    if "size" in arguments.parts:
        size(arguments.few, arguments.postgres)
    for count in (arguments.few, arguments.many) if "commands" in arguments.parts else ():
        commands(count, arguments.runs)
    print(f"(load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)")


if __name__ == "__main__":
    main()
