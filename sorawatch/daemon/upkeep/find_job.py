"""Finds the job that a command names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from sorawatch.core.job import Job
    from sorawatch.edges.store import Transaction


def find(tx: Transaction, text: str) -> Job:
    """The job that ``text`` names, in a form that `JobTable.find` accepts.

    Raises:
        Rejected: if there is no such job.
    """
    job = tx.jobs.find(text)
    if job is None:
        raise Rejected(f"there is no job {text}", "`sorawatch status` lists the jobs.")
    return job
