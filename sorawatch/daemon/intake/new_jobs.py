"""What a look at the inbox means for the jobs: new ones, and some whose pair was taken away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core.job import UNPAID, Change, Job
from sorawatch.core.lifecycle import vanish
from sorawatch.daemon.intake.scan import ScanResult, new_job
from sorawatch.edges.store import LeaseLost, Transaction

if TYPE_CHECKING:
    from sorawatch.daemon.intake.known_pairs import KnownPairs
    from sorawatch.daemon.submission.admission import Admission


def apply_scan(
    tx: Transaction, look: ScanResult, register: KnownPairs, admission: Admission, patience: float
) -> list[Change]:
    """Write down what follows from ``look``.

    Args:
        patience: seconds for which a pair must be gone before its job is cancelled.

    Returns:
        The jobs that changed, as they were and as they are.
    """
    changes: list[Change] = [*_vanished(tx, look, register, patience)]
    new = [_as_asked_for(tx, new_job(each, tx.now)) for each in look.new if not register.knows(each.pair)]
    jobs = [admission.looked_over(job, tx.now, look.quotas) for job in new]
    tx.add(jobs)
    return changes + [(None, job) for job in jobs]


def _as_asked_for(tx: Transaction, job: Job) -> Job:
    """The job, of another take where one was asked for and its pair was moved back into the inbox for that."""
    if job.order is None:
        return job
    return replace(job, order=replace(job.order, take=tx.orders.take_of(job.pair)))


def _vanished(tx: Transaction, look: ScanResult, register: KnownPairs, patience: float) -> Iterator[Change]:
    present = look.scan.present
    for job_id in register.vanished(present, time.monotonic(), patience):
        job = tx.job(job_id)
        if job is None or job.state not in UNPAID:
            continue
        what = "its picture or sidecar was changed" if job.pair.path in present else "its picture was taken away"
        after = vanish(job, tx.now, f"{what} before it was submitted")
        # Another daemon may be preparing it this very moment; then the next look says the same.
        with suppress(LeaseLost):
            tx.save(after, job)
            yield job, after
