"""Purchases: what was ordered under which token, and what became of it, within a transaction."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sorawatch.core.naming import likeness
from sorawatch.core.purchase import Purchase, PurchaseClosed, Standing, VideoKnown, Witness
from sorawatch.edges.store import statements
from sorawatch.edges.store.packed_jobs import PackedJobs
from sorawatch.edges.store.rows import keys_of, purchase_of
from sorawatch.edges.store.statements import same_keys
from sorawatch.edges.store.tables import IS_OPEN, jobs, purchases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.job import Job
    from sorawatch.edges.store.session import Session

_DAY = 86_400_000
"""Milliseconds."""
_DELIVERED = (
    sa.select(purchases)
    .where(same_keys(purchases), purchases.c.clip.is_not(None), purchases.c.at >= sa.bindparam("since"))
    .order_by(purchases.c.at.desc(), purchases.c.token)
    .limit(1)
)


class PurchaseTable:
    """Reads and writes within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, job: Job) -> None:
        """Write down that ``job`` is about to be submitted under its token."""
        purchase = purchase_of(job, self._session.now)
        self._session.connection.execute(statements.BUY, asdict(purchase))
        self._session.entries.append(purchase)

    def close(self, token: str, standing: Standing, clip: str | None = None) -> None:
        """Write down what became of a purchase, and the path of its clip below the outbox."""
        values = {"this": token, "stands": standing, "delivered": clip}
        self._session.connection.execute(statements.CLOSE, values)
        self._session.entries.append(PurchaseClosed(token, standing, clip))

    def set_video(self, token: str, video_id: str) -> None:
        """Write down which video was bought."""
        self._session.connection.execute(statements.KNOW_VIDEO, {"this": token, "video": video_id})
        self._session.entries.append(VideoKnown(token, video_id))

    def reassign(self, token: str, job_id: str) -> None:
        """Write down that another job follows what was bought."""
        of_token = purchases.update().where(purchases.c.token == token)
        self._session.connection.execute(of_token.values(job_id=job_id))

    def replace(self, purchase: Purchase) -> None:
        """Write down a purchase as it is known from elsewhere, in place of what is written of it here, if anything."""
        row = asdict(purchase)
        known = self._session.connection.execute(
            purchases.update().where(purchases.c.token == purchase.token).values(row)
        )
        if known.rowcount == 0:
            self._session.connection.execute(purchases.insert(), row)

    def has(self, token: str) -> bool:
        """Whether a submit of this token is written down."""
        query = sa.select(purchases.c.token).where(purchases.c.token == token)
        return self._session.connection.scalar(query) is not None

    def get(self, token: str) -> Purchase | None:
        """The purchase of this token."""
        found = self._session.purchases(sa.select(purchases).where(purchases.c.token == token))
        return found[0] if found else None

    def standing(self, token: str) -> Standing | None:
        """What became of the purchase of this token; None if it is not written down."""
        purchase = self.get(token)
        return None if purchase is None else purchase.standing

    def all(self) -> dict[str, Purchase]:
        """Every purchase, by its token, the oldest first."""
        columns = [purchases.c[field.name] for field in fields(Purchase)]
        query = sa.select(*columns).order_by(purchases.c.at, purchases.c.token)
        return {purchase.token: purchase for purchase in self._session.purchases(query)}

    def of_order(self, job: Job) -> list[Purchase]:
        """Purchases of exactly this order, the oldest first."""
        return self._session.purchases(statements.PURCHASES_LIKE, keys_of(job))

    def delivered(self, job: Job, since: int) -> Purchase | None:
        """The latest purchase of this order since then (milliseconds of the store's clock) whose clip was delivered."""
        found = self._session.purchases(_DELIVERED, {**keys_of(job), "since": since})
        return found[0] if found else None

    def rivals(self, job: Job) -> list[Purchase]:
        """Other submits without a known video, of the same day, that a server's list could not tell from this job's."""
        assert job.order is not None
        assert job.submitted_at is not None
        query = sa.select(purchases).where(
            purchases.c.at >= job.submitted_at - _DAY,
            purchases.c.likeness == likeness(job.order),
            purchases.c.token != job.token,
            IS_OPEN,
            purchases.c.video_id.is_(None),
        )
        return self._session.purchases(query.order_by(purchases.c.at, purchases.c.token))

    def known_videos(self, video_ids: Iterable[str]) -> set[str]:
        """Those of these ids that some purchase has."""
        query = sa.select(purchases.c.video_id).where(purchases.c.video_id.in_([*video_ids]))
        return set(self._session.connection.scalars(query))

    def is_bought_by_another(self, video_id: str, job: Job) -> bool:
        """Whether another job bought this video."""
        this = {"video": video_id, "this": job.id}
        return self._session.connection.execute(statements.BOUGHT_BY_ANOTHER, this).first() is not None

    def witnesses(self, limit: int) -> list[Witness]:
        """The latest videos that were bought, the oldest of them first."""
        columns = sa.select(purchases.c.video_id, purchases.c.job_id, purchases.c.at, jobs.c.prompt)
        query = columns.join(jobs, jobs.c.id == purchases.c.job_id, isouter=True).where(
            purchases.c.video_id.is_not(None)
        )
        rows = self._session.connection.execute(query.order_by(purchases.c.at.desc()).limit(limit)).all()
        found = [Witness(row.video_id, row.job_id, row.at, row.prompt) for row in reversed(rows)]
        unknown = [each.job_id for each in found if each.prompt is None]
        packed = {job.id: job.order.prompt for job in PackedJobs(self._session.connection).many(unknown) if job.order}
        return [replace(each, prompt=each.prompt or packed.get(each.job_id)) for each in found]
