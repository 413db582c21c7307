"""Adds jobs for the new pairs of a scan, and cancels unpaid jobs whose pair was removed or changed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core.job import UNPAID, Change, Job, State
from sorawatch.core.lifecycle import cancel_unpaid
from sorawatch.daemon.intake.scan import NewPair, ScanResult, new_job
from sorawatch.edges.store import LeaseLost, Transaction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sorawatch.core.budget import LimitScope
    from sorawatch.core.job import Stamp
    from sorawatch.daemon.intake.known_pairs import KnownPairs
    from sorawatch.daemon.submission.admission import Admission


_MADE = frozenset({State.SUBMITTING, State.UNCERTAIN, State.RENDERING, State.RENDERED, State.HELD})
"""Bought, and the pair is not yet to be moved out of the inbox."""


def follow_pairs(tx: Transaction, scan: ScanResult, known_pairs: KnownPairs, missing_seconds: float) -> list[Change]:
    """Let jobs follow pairs that were renamed, and cancel unpaid jobs whose pair was removed or changed.

    Args:
        missing_seconds: how long a pair must be missing before its job is cancelled.

    Returns:
        The jobs that changed, before and after.
    """
    return [*_renamed(tx, scan, known_pairs), *_cancelled(tx, scan, known_pairs, missing_seconds)]


def add_new(
    tx: Transaction,
    found: Sequence[NewPair],
    known_pairs: KnownPairs,
    admission: Admission,
    folder_limits: Sequence[LimitScope],
) -> list[Change]:
    """Add jobs for new pairs that have none yet. Returns them, each with None before it."""
    fresh = [each for each in found if each.pair not in known_pairs]
    repeated = tx.orders.repeated_pictures() if fresh else set()
    new = [_with_take(tx, new_job(each, tx.now), repeated) for each in fresh]
    jobs = [admission.check_limits(job, tx.now, folder_limits) for job in new]
    tx.jobs.add(jobs)
    return [(None, job) for job in jobs]


def _renamed(tx: Transaction, scan: ScanResult, known_pairs: KnownPairs) -> Iterator[Change]:
    """Let the jobs that are bought go on with their pairs under new names."""
    for each in scan.renamed:
        for job_id in known_pairs.jobs_at(each.former):
            job = tx.jobs.get(job_id)
            if job is None or job.state not in _MADE or job.pair.path != each.former:
                continue
            if each.digest in {None, job.digest}:
                after = replace(job, pair=each.pair)
                tx.jobs.amend(after, job)
                yield job, after
                break


def _with_take(tx: Transaction, job: Job, repeated: Collection[tuple[str, Stamp]]) -> Job:
    """The job, with the number of another take if its pair was moved back into the inbox for one."""
    if job.order is None or (job.pair.folder, job.pair.image_stamp) not in repeated:
        return job
    return replace(job, order=replace(job.order, take=tx.orders.take_of(job.pair)))


def _cancelled(tx: Transaction, scan: ScanResult, known_pairs: KnownPairs, missing_seconds: float) -> Iterator[Change]:
    present = scan.listing.present
    for job_id in known_pairs.missing(present, time.monotonic(), missing_seconds):
        job = tx.jobs.get(job_id)
        if job is None or job.state not in UNPAID:
            continue
        what = "its picture or sidecar was changed" if job.pair.path in present else "its picture was taken away"
        after = cancel_unpaid(job, tx.now, f"{what} before it was submitted")
        # Another daemon may be preparing the job at this moment. Then the next scan cancels it.
        with suppress(LeaseLost):
            tx.jobs.save(after, job)
            yield job, after
