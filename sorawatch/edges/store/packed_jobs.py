"""Delivered jobs that were packed into the rows of their purchases, within a transaction.

Most of what a state holds are jobs that were delivered long ago. A packed one takes less than a third of the room. One
that changes all the same, because a person orders another take, is unpacked first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import Job, State
from sorawatch.core.purchase import Standing
from sorawatch.edges.store.packing import pack, unpack
from sorawatch.edges.store.rows import job_of, keys_of, row_of
from sorawatch.edges.store.statements import MANY, is_below, same_keys
from sorawatch.edges.store.tables import HAS_PACKED_JOB, history, jobs, purchases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LATEST_FIRST = (purchases.c.ended_at.desc(), purchases.c.job_id)
_PACKED = sa.select(purchases).where(HAS_PACKED_JOB)
_OF_ID = _PACKED.where(purchases.c.job_id == sa.bindparam("this"))
_OF_ORDER = _PACKED.where(same_keys(purchases)).order_by(*_LATEST_FIRST)

_OTHERS = jobs.alias("others")
_BATCH_WAITS = sa.exists(
    sa.select(_OTHERS.c.id).where(_OTHERS.c.batch == jobs.c.batch, _OTHERS.c.awaits_approval == sa.literal_column("1"))
)
_PACKABLE = (
    sa.select(jobs.c.id)
    .join(purchases, sa.and_(purchases.c.token == jobs.c.token, purchases.c.job_id == jobs.c.id))
    .where(
        jobs.c.state == State.DONE,
        jobs.c.changed_at < sa.bindparam("before"),
        # The take of a pair that is moved back is read from the jobs.
        jobs.c.take == 1,
        # The pair of a job that went on was not moved to another folder.
        purchases.c.folder == jobs.c.folder,
        purchases.c.standing != Standing.OPEN,
        sa.or_(jobs.c.batch.is_(None), ~_BATCH_WAITS),
    )
    .order_by(jobs.c.changed_at)
    .limit(sa.bindparam("most"))
)
_NOTHING_PACKED = {"packed_job": None, "ended_at": None, "image_size": None}


class PackedJobs:
    """Reads and writes by the connection that it is given."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, job_id: str) -> Job | None:
        """The packed job of this id."""
        return next(iter(self._jobs(_OF_ID, {"this": job_id})), None)

    def many(self, job_ids: Iterable[str]) -> list[Job]:
        """The packed ones of these jobs."""
        return self._jobs(_PACKED.where(purchases.c.job_id.in_([*job_ids])))

    def starting_with(self, text: str, limit: int) -> list[Job]:
        """Those whose id starts with ``text``."""
        return self._jobs(
            _PACKED.where(purchases.c.job_id.startswith(text, autoescape=True))
            .order_by(purchases.c.job_id)
            .limit(limit)
        )

    def in_folder(self, folder: str) -> list[Job]:
        """Those of exactly this folder, the latest first."""
        return self._jobs(_PACKED.where(purchases.c.folder == folder).order_by(*_LATEST_FIRST))

    def with_clip(self, path: str) -> list[Job]:
        """Those whose clip has this path, the latest first."""
        return self._jobs(_PACKED.where(purchases.c.clip == path).order_by(*_LATEST_FIRST))

    def with_video(self, video_id: str) -> Job | None:
        """One that has this video."""
        return next(iter(self._jobs(_PACKED.where(purchases.c.video_id == video_id).limit(1))), None)

    def of_order(self, job: Job) -> list[Job]:
        """Those that bought the order of ``job``, the latest first."""
        return self._jobs(_OF_ORDER, keys_of(job))

    def latest(self, folder: str, limit: int | None) -> list[Job]:
        """At most ``limit`` of this folder and those below it, the latest first."""
        query = _PACKED.where(is_below(purchases.c.folder, folder))
        return self._jobs(query.order_by(*_LATEST_FIRST).limit(limit))

    def count(self, folder: str = "") -> int:
        """How many were in this folder or below it."""
        below = is_below(purchases.c.folder, folder)
        query = sa.select(sa.func.count()).select_from(purchases).where(HAS_PACKED_JOB, below)
        return int(self._connection.scalar(query) or 0)

    def has_folder(self, folder: str) -> bool:
        """Whether one was in this folder or below it."""
        query = sa.select(purchases.c.token).where(HAS_PACKED_JOB, is_below(purchases.c.folder, folder))
        return self._connection.scalar(query.limit(1)) is not None

    def picture_sizes(self) -> set[int]:
        """The sizes of their pictures, in bytes."""
        return {*self._connection.scalars(sa.select(purchases.c.image_size).distinct().where(HAS_PACKED_JOB))}

    def pack(self, before: int, limit: int) -> int:
        """Pack jobs that were delivered before this time (milliseconds of the store's clock), the oldest first.

        Returns:
            How many were packed, at most ``limit``.
        """
        ids = [*self._connection.scalars(_PACKABLE, {"before": before, "most": limit})]
        if not ids:
            return 0
        delivered = [job_of(row) for row in self._connection.execute(MANY, {"these": ids})]
        of_jobs = purchases.c.token.in_([job.token for job in delivered])
        bought = {row["token"]: row for row in self._connection.execute(sa.select(purchases).where(of_jobs)).mappings()}
        rows = [_packed_row(job, bought[job.token]) for job in delivered]
        self._connection.execute(history.delete().where(history.c.job_id.in_(ids)))
        self._connection.execute(jobs.delete().where(jobs.c.id.in_(ids)))
        # Written anew, the rows lie one behind the other, and whole pages become free where they were.
        self._connection.execute(purchases.delete().where(of_jobs))
        self._connection.execute(purchases.insert(), rows)
        return len(rows)

    def unpack(self, job_id: str) -> bool:
        """Make an ordinary job of a packed one. Returns whether there is one of this id."""
        job = self.get(job_id)
        if job is None:
            return False
        self._connection.execute(jobs.insert(), row_of(job))
        self._connection.execute(purchases.update().where(purchases.c.token == job.token).values(_NOTHING_PACKED))
        return True

    def prune(self, before: int, limit: int) -> int:
        """Forget jobs that were delivered before ``before``, the oldest first, but not their purchases."""
        old = sa.select(purchases.c.token).where(HAS_PACKED_JOB, purchases.c.ended_at < before)
        tokens = [*self._connection.scalars(old.order_by(purchases.c.ended_at).limit(limit))]
        self._connection.execute(purchases.update().where(purchases.c.token.in_(tokens)).values(_NOTHING_PACKED))
        return len(tokens)

    def _jobs(self, query: sa.Select[Any], parameters: dict[str, Any] | None = None) -> list[Job]:
        return [unpack(row) for row in self._connection.execute(query, parameters).mappings()]


def _packed_row(job: Job, purchase: Mapping[Any, Any]) -> dict[str, Any]:
    # A settled purchase is no rival of another, so nothing asks for its likeness.
    row = {**purchase, "likeness": "", "ended_at": job.changed_at, "image_size": job.pair.image_stamp.size}
    return {**row, "packed_job": pack(job, row)}
