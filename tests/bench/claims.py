"""What a daemon asks of the state at every turn, with few and with very many unpaid jobs.

Run with:

    python -m tests.bench.claims [--few 1000] [--many 100000] [--folders 20] [--postgres URL]

Each line is one question: its time with ``--few`` and ``--many`` jobs, in milliseconds, and the ratio of the two. What a
daemon asks at every turn should not depend on the number of jobs, so that its ratio stays near 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from sorawatch.core.budget import Exclusion
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.order import Order, Size
from sorawatch.edges.store import PostgresDatabase, Store, Transaction

HORIZON = 1_000_000
REPEATED = 7
QUESTIONS: dict[str, Callable[[Transaction], object]] = {
    "the next to submit": lambda tx: [*islice(tx.claims.candidates([State.READY], 64, HORIZON), 1)],
    "the next 64 to submit": lambda tx: [*tx.claims.candidates([State.READY], 64, HORIZON)],
    "the next without a folder": lambda tx: [
        *islice(tx.claims.candidates([State.READY], 64, HORIZON, [Exclusion("folder 0")]), 1)
    ],
    "claim 4 to prepare": lambda tx: tx.claims.take([State.FOUND], 4, HORIZON),
    "whether enough are ready": lambda tx: tx.jobs.count(State.READY, (), most=12),
    "when the next is due": lambda tx: tx.claims.next_due([State.FOUND, State.READY]),
    "the batches, if none waits": lambda tx: tx.batches.waiting(),
}
AT_CHANGES: dict[str, Callable[[Transaction], object]] = {
    "the batches, if all wait": lambda tx: tx.batches.waiting(),
    "the next, if all others wait": lambda tx: [*tx.claims.candidates([State.READY], 1, HORIZON)],
}


def measured(store: Store, question: Callable[[Transaction], object]) -> float:
    """The shortest of several times, in milliseconds."""
    times = []
    for _ in range(REPEATED):
        with store.transaction() as tx:
            began = time.perf_counter()
            question(tx)
            times.append(time.perf_counter() - began)
    return 1000 * min(times)


def fill(store: Store, count: int, folders: int) -> None:
    """Half of the jobs are found, half are ready."""
    order = Order("waves", "sora-2", Size(1280, 720), 8)
    with store.transaction() as tx:
        jobs = [
            Job(
                f"{number:016}",
                (State.FOUND, State.READY)[number % 2],
                Pair(f"folder {number // 2 % folders}", f"{number}.jpg", Stamp(9, number)),
                created_at=tx.now,
                due_at=tx.now,
                changed_at=tx.now,
                order=order,
            )
            for number in range(count)
        ]
        tx.jobs.add(jobs)
        tx.batches.write_prices({job.id: 800_000 for job in jobs})


def answers(store: Store, count: int, folders: int) -> dict[str, float]:
    fill(store, count, folders)
    found = {name: measured(store, question) for name, question in QUESTIONS.items()}
    with store.transaction() as tx:
        tx.batches.put_together(0)
    return found | {name: measured(store, question) for name, question in AT_CHANGES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=20)
    parser.add_argument("--postgres", metavar="URL", help="an empty database, for the many; else SQLite")
    arguments = parser.parse_args()
    results = []
    for count in (arguments.few, arguments.many):
        with TemporaryDirectory() as folder:
            is_last = count == arguments.many and arguments.postgres
            where = PostgresDatabase(arguments.postgres) if is_last else Path(folder) / "state.db"
            with closing(Store.create_or_open(where, "bench")[0]) as store:
                results.append(answers(store, count, arguments.folders))
    few, many = results
    print(f"{'':32}{arguments.few:>10} {arguments.many:>10}      ratio")
    for name in few:
        print(f"{name:32}{few[name]:>10.2f} {many[name]:>10.2f} {many[name] / few[name]:>10.1f}")


if __name__ == "__main__":
    main()
