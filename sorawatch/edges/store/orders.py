"""Orders: whether the same one was made before, and by which job, within a transaction."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sorawatch.core.job import FINAL, UNPAID, Job, Pair, Stamp, State, path_in
from sorawatch.core.naming import likeness
from sorawatch.edges.store import statements
from sorawatch.edges.store.packed_jobs import PackedJobs
from sorawatch.edges.store.rows import job_of, keys_of
from sorawatch.edges.store.statements import among, same_keys
from sorawatch.edges.store.tables import jobs, purchases

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.core.purchase import Purchase
    from sorawatch.edges.store.session import Session

_GIVEN_UP = (State.REJECTED, State.FAILED, State.WITHDRAWN, State.CANCELLED)
_GOING_ON = tuple({*State} - FINAL - UNPAID - {State.REJECTED, State.RESTORING})

_IN_THIS_FOLDER = jobs.c.folder == sa.bindparam("folder")

_FOLLOWS = (
    sa.select(jobs.c.id)
    .where(jobs.c.token == sa.bindparam("bought_as"), jobs.c.id != sa.bindparam("this"), jobs.c.state.not_in(_GIVEN_UP))
    .limit(1)
)
_UNDER_WAY = (
    sa.select(jobs.c.id, jobs.c.folder, jobs.c.image)
    .where(
        among(jobs.c.state, _GOING_ON),
        jobs.c.token.is_not(None),
        sa.or_(
            sa.and_(_IN_THIS_FOLDER, jobs.c.image == sa.bindparam("name")),
            jobs.c.digest == sa.bindparam("picture"),
            jobs.c.reference_digest == sa.bindparam("reference"),
        ),
    )
    .order_by(jobs.c.changed_at.desc(), jobs.c.id)
)
_RETURNS = (
    sa.select(sa.func.count())
    .select_from(jobs)
    .where(
        same_keys(jobs),
        jobs.c.id != sa.bindparam("this"),
        jobs.c.state.in_((State.WITHDRAWN, State.CANCELLED)),
        jobs.c.clip.is_not(None),
    )
)
_WAS_HERE = (
    sa.select(jobs.c.id)
    .where(
        same_keys(jobs),
        jobs.c.id != sa.bindparam("this"),
        jobs.c.state.in_(FINAL),
        jobs.c.digest == sa.bindparam("picture"),
        _IN_THIS_FOLDER,
        jobs.c.image == sa.bindparam("name"),
    )
    .limit(1)
)
_OF_THIS_FILE = (
    sa.select(jobs)
    .where(
        jobs.c.take > 1,
        _IN_THIS_FOLDER,
        jobs.c.image_size == sa.bindparam("bytes"),
        jobs.c.image_mtime_ns == sa.bindparam("mtime_ns"),
    )
    .order_by(jobs.c.created_at.desc(), jobs.c.id)
)
_KNOWN = [sa.select(table.c.token).where(same_keys(table)).limit(1) for table in (jobs, purchases)]


class Orders:
    """Reads within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._packed = PackedJobs(session.connection)

    def same(self, job: Job, since: int) -> Job | None:
        """Another job that buys, or since then (milliseconds of the store's clock) delivered, the same order."""
        found = self._session.first_job(statements.SAME_ORDER, {**keys_of(job), "this": job.id, "since": since})
        if found is not None:
            return found
        packed = [each for each in self._packed.of_order(job) if each.id != job.id and each.changed_at >= since]
        return next(iter(packed), None)

    def returns(self, job: Job) -> int:
        """How often the pair of this order came back after its clip was delivered, before ``job``."""
        return self._session.connection.scalar(_RETURNS, {**keys_of(job), "this": job.id}) or 0

    def picture_sizes(self) -> set[int]:
        """The sizes in bytes of all pictures that were ordered: a picture of another size is no duplicate."""
        query = sa.select(jobs.c.image_size).distinct().where(jobs.c.token.is_not(None))
        return {*self._session.connection.scalars(query)} | self._packed.picture_sizes()

    def was_here(self, job: Job) -> bool:
        """Whether an earlier job of this order had this very picture at the same place."""
        place = {"folder": job.pair.folder, "name": job.pair.image}
        this = {**keys_of(job), **place, "this": job.id, "picture": job.digest}
        if self._session.connection.scalar(_WAS_HERE, this) is not None:
            return True
        packed = (each for each in self._packed.of_order(job) if each.id != job.id and each.digest == job.digest)
        return any((each.pair.folder, each.pair.image) == (job.pair.folder, job.pair.image) for each in packed)

    def is_being_submitted(self, job: Job) -> bool:
        """Whether a submit that a server's list could not tell from this one is unanswered."""
        assert job.order is not None
        alike = {"like": likeness(job.order), "this": job.id}
        return self._session.connection.execute(statements.LIKE_IN_SUBMIT, alike).first() is not None

    def has_follower(self, purchase: Purchase, job: Job) -> bool:
        """Whether another job than ``job`` waits for what this purchase brings."""
        this = {"bought_as": purchase.token, "this": job.id}
        return self._session.connection.scalar(_FOLLOWS, this) is not None

    def under_way(self, job: Job, is_present: Callable[[str], bool]) -> list[Job]:
        """The jobs that are bought, are still to leave the inbox, and whose pair may be that of ``job``.

        They have its place; or they have its picture, and there is none at their own place any more.

        Args:
            job: is prepared, and has not been bought.
            is_present: whether there is a picture at this path of the inbox.
        """
        place = {"folder": job.pair.folder, "name": job.pair.image}
        # NULL equals nothing, so nothing is found by a digest that is not known.
        digests = {"picture": job.digest or None, "reference": job.reference_digest or None}
        # Many jobs may have the same picture, with other prompts, and each has its own place.
        ids = [
            row.id
            for row in self._session.connection.execute(_UNDER_WAY, place | digests)
            if (path := path_in(row.folder, row.image)) == job.pair.path or not is_present(path)
        ]
        found = {each.id: each for each in self._session.jobs(statements.MANY, {"these": ids})} if ids else {}
        return [found[job_id] for job_id in ids]

    def next_take(self, job: Job) -> int:
        """The first take above 1 that no job and no purchase of this order has."""
        assert job.order is not None
        for take in count(2):
            keys = keys_of(replace(job, order=replace(job.order, take=take)))
            if all(self._session.connection.execute(query, keys).first() is None for query in _KNOWN):
                return take
        raise AssertionError("numbers do not end")

    def repeated_pictures(self) -> set[tuple[str, Stamp]]:
        """The folders and stamps of pictures of which another take was asked for: only these have a `take_of`."""
        columns = (jobs.c.folder, jobs.c.image_size, jobs.c.image_mtime_ns)
        query = sa.select(*columns).where(jobs.c.take > 1)
        return {(folder, Stamp(size, mtime_ns)) for folder, size, mtime_ns in self._session.connection.execute(query)}

    def take_of(self, pair: Pair) -> int:
        """The take that was asked for with this very picture: that of the latest job which was made from it."""
        stamp = pair.image_stamp
        this = {"folder": pair.folder, "bytes": stamp.size, "mtime_ns": stamp.mtime_ns}
        for row in self._session.connection.execute(_OF_THIS_FILE, this):
            job = job_of(row)
            # While it is moved back, or once it was moved by hand, its name may have another number.
            if job.state is State.RESTORING or pair.image in {job.pair.image, *job.filed}:
                return int(row.take)
        return 1
