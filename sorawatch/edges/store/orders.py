"""What was ordered before, and how often: by what, from what, and what became of it. In SQL."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import count
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sorawatch.core.job import FINAL, UNPAID, Job, Pair, State
from sorawatch.edges.store.rows import job_of, keys_of, purchase_in
from sorawatch.edges.store.statements import same_keys
from sorawatch.edges.store.tables import jobs, purchases

if TYPE_CHECKING:
    from sorawatch.core.purchase import Purchase

_GIVEN_UP = (State.REJECTED, State.FAILED, State.WITHDRAWN, State.CANCELLED)
_GOING_ON = tuple({*State} - FINAL - UNPAID - {State.REJECTED, State.RESTORING})

_IN_THIS_FOLDER = jobs.c.folder == sa.bindparam("folder")

_DELIVERED = (
    sa.select(purchases)
    .where(same_keys(purchases), purchases.c.clip.is_not(None), purchases.c.at >= sa.bindparam("since"))
    .order_by(purchases.c.at.desc(), purchases.c.token)
    .limit(1)
)
_FOLLOWS = (
    sa.select(jobs.c.id)
    .where(jobs.c.token == sa.bindparam("bought_as"), jobs.c.id != sa.bindparam("this"), jobs.c.state.not_in(_GIVEN_UP))
    .limit(1)
)
_OF_THIS_PLACE = (
    sa.select(jobs)
    .where(
        jobs.c.state.in_(_GOING_ON), jobs.c.token.is_not(None), _IN_THIS_FOLDER, jobs.c.image == sa.bindparam("name")
    )
    .order_by(jobs.c.changed_at.desc(), jobs.c.id)
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
    """Reads and writes within the transaction whose connection it is given."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def delivered(self, job: Job, since: int) -> Purchase | None:
        """The latest purchase since then, in milliseconds of the store's clock, that brought this order's clip."""
        row = self._connection.execute(_DELIVERED, {**keys_of(job), "since": since}).mappings().first()
        return None if row is None else purchase_in(row)

    def has_follower(self, purchase: Purchase, job: Job) -> bool:
        """Whether another job than ``job`` waits for what this purchase brings."""
        return self._connection.scalar(_FOLLOWS, {"bought_as": purchase.token, "this": job.id}) is not None

    def going_on(self, pair: Pair) -> list[Job]:
        """The jobs, bought already, whose pair lies in this place, and is still to be filed."""
        rows = self._connection.execute(_OF_THIS_PLACE, {"folder": pair.folder, "name": pair.image})
        return [job_of(row) for row in rows]

    def next_take(self, job: Job) -> int:
        """The first take after the first one that no job and no purchase of this order has."""
        assert job.order is not None
        for take in count(2):
            keys = keys_of(replace(job, order=replace(job.order, take=take)))
            if all(self._connection.execute(query, keys).first() is None for query in _KNOWN):
                return take
        raise AssertionError("numbers do not end")

    def take_of(self, pair: Pair) -> int:
        """The take that was asked for with this very picture: that of the latest job which was made from it."""
        stamp = pair.image_stamp
        this = {"folder": pair.folder, "bytes": stamp.size, "mtime_ns": stamp.mtime_ns}
        for row in self._connection.execute(_OF_THIS_FILE, this):
            job = job_of(row)
            # While it is moved back, or once it was moved by hand, its name may have another number.
            if job.state is State.RESTORING or pair.image in {job.pair.image, *job.filed}:
                return int(row.take)
        return 1

    def all(self) -> dict[str, Purchase]:
        """Every purchase, by its token, the oldest first."""
        rows = self._connection.execute(sa.select(purchases).order_by(purchases.c.at, purchases.c.token)).mappings()
        return {row["token"]: purchase_in(row) for row in rows}

    def put(self, purchase: Purchase) -> None:
        """Write down a purchase as it is told elsewhere, in place of what is written of it here, if anything is."""
        row = asdict(purchase)
        known = self._connection.execute(purchases.update().where(purchases.c.token == purchase.token).values(row))
        if known.rowcount == 0:
            self._connection.execute(purchases.insert(), row)
