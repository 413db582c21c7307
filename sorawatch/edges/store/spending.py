"""What was spent, for the person who pays: sums and single purchases, within a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import Charged, State
from sorawatch.core.purchase import Standing
from sorawatch.edges.store import statements
from sorawatch.edges.store.tables import jobs, purchases

if TYPE_CHECKING:
    from sorawatch.edges.store.session import Session

_UNDER_WAY = (State.SUBMITTING, State.UNCERTAIN, State.RENDERING, State.RENDERED)


@dataclass(frozen=True, slots=True)
class Spending:
    """Micro-dollars since some moment."""

    spent: int = 0
    reserved: int = 0
    """For orders under way, and for what a held job may have cost, until that is known."""
    clips: int = 0
    """Delivered."""

    def left(self, cap: int | None) -> int | None:
        """What a cap leaves; None without one."""
        return None if cap is None else max(0, cap - self.spent - self.reserved)


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    """One purchase. ``at`` is milliseconds of the store's clock; None is what an older state did not write down."""

    token: str
    at: int
    job_id: str
    folder: str | None
    image: str | None
    model: str | None
    size: str | None
    seconds: int | None
    micros: int | None
    reserved: bool
    """Its order is under way, or nobody knows yet whether it was charged; else it is spent."""
    video_id: str | None
    clip: str | None


@dataclass(frozen=True, slots=True)
class PurchaseGroup:
    """Purchases of one kind, from one folder. None is what an older state did not write down."""

    folder: str | None
    model: str | None
    size: str | None
    seconds: int | None
    orders: int
    clips: int
    spent: int
    """Micro-dollars."""
    reserved: int


class SpendingQueries:
    """Reads within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._connection = session.connection

    def spent(self, since: int, folder: str = "") -> int:
        """Micro-dollars spent or reserved since then in this folder and those below it."""
        return int(self._connection.scalar(statements.spent(folder), {"since": since}) or 0)

    def summary(self, since: int) -> Spending:
        """What was spent and is reserved since then (milliseconds of the store's clock)."""
        money = sa.func.sum(purchases.c.micros)
        query = sa.select(money.filter(~_reserved()), money.filter(_reserved()), sa.func.count(purchases.c.clip)).where(
            purchases.c.at >= since, _counts()
        )
        spent, reserved, clips = self._connection.execute(query).one()
        return Spending(int(spent or 0), int(reserved or 0), clips)

    def groups(self, begins: int, ends: int) -> list[PurchaseGroup]:
        """The sums of the purchases from ``begins`` up to ``ends`` that cost money, or may, by what was bought."""
        kind = [purchases.c[name] for name in ("folder", "model", "size", "seconds")]
        money, orders = sa.func.sum(purchases.c.micros), sa.func.count()
        sums = (
            orders,
            sa.func.count(purchases.c.clip),
            money.filter(~_reserved()).label("spent"),
            money.filter(_reserved()).label("reserved"),
        )
        within = sa.and_(purchases.c.at >= begins, purchases.c.at < ends, _counts())
        rows = self._connection.execute(sa.select(*kind, *sums).where(within).group_by(*kind))
        return [PurchaseGroup(*row[:6], int(row.spent or 0), int(row.reserved or 0)) for row in rows]

    def purchases(
        self,
        begins: int,
        ends: int,
        *,
        after: PurchaseRow | None = None,
        limit: int | None = None,
        latest: bool = False,
    ) -> list[PurchaseRow]:
        """The purchases from ``begins`` up to ``ends`` that cost money, or may, the oldest first.

        Args:
            after: only those that come after this one.
            limit: at most so many: the first ones, or with ``latest`` the last ones.
        """
        columns: list[sa.ColumnElement[Any]] = [*(purchases.c[name] for name in _TOLD), _reserved().label("reserved")]
        query = sa.select(*columns).where(purchases.c.at >= begins, purchases.c.at < ends, _counts())
        if after is not None:
            later = sa.and_(purchases.c.at == after.at, purchases.c.token > after.token)
            query = query.where(purchases.c.at >= after.at, sa.or_(purchases.c.at > after.at, later))
        order = (purchases.c.at.desc(), purchases.c.token.desc()) if latest else (purchases.c.at, purchases.c.token)
        rows = self._connection.execute(query.order_by(*order).limit(limit)).mappings()
        found = [PurchaseRow(**{**row, "reserved": bool(row["reserved"])}) for row in rows]
        return found[::-1] if latest else found


_TOLD = ("token", "at", "job_id", "folder", "image", "model", "size", "seconds", "micros", "video_id", "clip")


def _counts() -> sa.ColumnElement[bool]:
    return purchases.c.standing.in_([Standing.OPEN, Standing.SPENT])


def _reserved() -> sa.ColumnElement[bool]:
    unknown = sa.and_(jobs.c.state == State.HELD, jobs.c.charged == Charged.PERHAPS)
    going = sa.select(jobs.c.id).where(
        jobs.c.id == purchases.c.job_id,
        jobs.c.token == purchases.c.token,
        sa.or_(jobs.c.state.in_([*_UNDER_WAY]), unknown),
    )
    return sa.and_(purchases.c.standing == Standing.OPEN, sa.exists(going))
