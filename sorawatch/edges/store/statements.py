"""The frequent statements, each built once: building one takes longer than executing it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, IN_FLIGHT, State
from sorawatch.core.purchase import Standing
from sorawatch.edges.store.tables import commands, history, jobs, notes, purchases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.budget import Exclusion


def is_below(column: sa.Column[str], folder: str) -> sa.ColumnElement[bool]:
    """Whether the folder in ``column`` is ``folder`` or below it; ``""`` is the inbox itself."""
    if not folder:
        return sa.true()
    # "0" is the byte after "/". Unlike a pattern, a range works with names of any bytes.
    return sa.or_(column == folder, sa.and_(column >= f"{folder}/", column < f"{folder}0"))


def outside(excluded: Iterable[Exclusion]) -> sa.ColumnElement[bool]:
    """Whether a job is not excluded."""
    return sa.and_(sa.true(), *(~_covered(each) for each in excluded))


def _covered(exclusion: Exclusion) -> sa.ColumnElement[bool]:
    below = is_below(jobs.c.folder, exclusion.folder)
    # A job that could not be understood has no model.
    return (
        below if exclusion.models is None else sa.and_(below, sa.func.coalesce(jobs.c.model, "").in_(exclusion.models))
    )


def same_keys(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row belongs to the order whose key by the picture is ``order``, and by the reference ``reference``."""
    by_picture = table.c.order_key == sa.bindparam("order")
    return sa.or_(by_picture, table.c.reference_key == sa.bindparam("reference", type_=sa.String))


CLAIMABLE = (
    sa.select(jobs.c.state)
    .distinct()
    .where(
        # Named one by one, so that the index skips the jobs that have ended.
        jobs.c.state.in_([*{*State} - FINAL - {State.HELD, State.SUBMITTING}]),
        sa.or_(jobs.c.due_at <= sa.bindparam("now"), jobs.c.due_at > sa.bindparam("horizon")),
        sa.or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < sa.bindparam("now")),
    )
)
"""States with due jobs that nobody has claimed."""

ONE = sa.select(jobs).where(jobs.c.id == sa.bindparam("this"))
TELL = history.insert()
MANY = sa.select(jobs).where(jobs.c.id.in_(sa.bindparam("these", expanding=True)))

READ_NOTE = sa.select(notes.c.value).where(notes.c.key == sa.bindparam("name"))
TAKE_COMMANDS = commands.delete().returning(commands)
BUY = purchases.insert()
KNOW_VIDEO = purchases.update().where(purchases.c.token == sa.bindparam("this")).values(video_id=sa.bindparam("video"))
CLOSE = (
    purchases.update()
    .where(purchases.c.token == sa.bindparam("this"))
    .values(standing=sa.bindparam("stands"), clip=sa.bindparam("delivered"))
)
PURCHASES_LIKE = sa.select(purchases).where(same_keys(purchases)).order_by(purchases.c.at, purchases.c.token)

SAME_ORDER = (
    sa.select(jobs)
    .where(
        same_keys(jobs),
        jobs.c.id != sa.bindparam("this"),
        sa.or_(
            sa.and_(jobs.c.state == State.DONE, jobs.c.changed_at >= sa.bindparam("since")),
            sa.and_(
                jobs.c.state.not_in([*FINAL, State.FOUND, State.READY, State.REJECTED, State.RESTORING]),
                jobs.c.token.is_not(None),
            ),
        ),
    )
    .order_by(jobs.c.changed_at.desc(), jobs.c.id)
    .limit(1)
)
"""Another job that buys, or since then has delivered, the same order."""

LIKE_IN_SUBMIT = (
    sa.select(jobs.c.id)
    .where(
        jobs.c.likeness == sa.bindparam("like"),
        jobs.c.state.in_([State.SUBMITTING, State.UNCERTAIN]),
        jobs.c.id != sa.bindparam("this"),
    )
    .limit(1)
)
"""An unanswered submit that a server's list could not tell from that of this job."""


@lru_cache(maxsize=256)
def save(columns: frozenset[str]) -> sa.Update:
    """Write these columns and the lease of the job ``this``, unless a daemon other than ``me`` has claimed it."""
    values: dict[str, Any] = {name: sa.bindparam(name) for name in (*columns, "lease_owner", "lease_until")}
    lapsed = jobs.c.lease_until < sa.bindparam("now")
    free = sa.or_(jobs.c.lease_owner == sa.bindparam("me"), jobs.c.lease_owner.is_(None), lapsed)
    return jobs.update().where(jobs.c.id == sa.bindparam("this"), free).values(values)


@lru_cache(maxsize=256)
def due(states: tuple[State, ...], excluded: tuple[Exclusion, ...]) -> sa.Select[Any]:
    """At most ``most`` due jobs, the most urgent first, their rows locked where the database can.

    A daemon's own claims never lapse for itself: it is still working on them, even if the clock has jumped or the
    machine has slept.
    """
    lapsed = sa.and_(jobs.c.lease_until < sa.bindparam("now"), jobs.c.lease_owner != sa.bindparam("me"))
    return (
        sa.select(jobs)
        .where(
            jobs.c.state.in_(states),
            sa.or_(jobs.c.due_at <= sa.bindparam("now"), jobs.c.due_at > sa.bindparam("horizon")),
            sa.or_(jobs.c.lease_owner.is_(None), lapsed),
            outside(excluded),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.created_at, jobs.c.image_mtime_ns, jobs.c.image, jobs.c.id)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=256)
def claim(states: tuple[State, ...], excluded: tuple[Exclusion, ...]) -> sa.UpdateBase:
    """Claim those that are `due` for ``me`` until ``until``, and return them."""
    chosen = due(states, excluded).with_only_columns(jobs.c.id).cte("due")
    return (
        jobs.update()
        .where(jobs.c.id.in_(sa.select(chosen.c.id)))
        .values(lease_owner=sa.bindparam("me"), lease_until=sa.bindparam("until"))
        .returning(jobs)
    )


@lru_cache(maxsize=16)
def next_due(states: frozenset[State]) -> sa.Select[Any]:
    """When the next job that is not due yet will be."""
    return sa.select(sa.func.min(jobs.c.due_at)).where(
        jobs.c.state.in_([*states]), jobs.c.due_at > sa.bindparam("now"), jobs.c.lease_owner.is_(None)
    )


@lru_cache(maxsize=256)
def how_many(state: State, excluded: tuple[Exclusion, ...]) -> sa.Select[Any]:
    """The number of jobs in this state that are not excluded."""
    return _count(sa.and_(jobs.c.state == state, outside(excluded)))


@lru_cache(maxsize=256)
def in_flight(folder: str) -> sa.Select[Any]:
    """The number of jobs of this folder and those below it that take one of the server's places, or may."""
    return _count(sa.and_(jobs.c.state.in_([*IN_FLIGHT]), is_below(jobs.c.folder, folder)))


@lru_cache(maxsize=256)
def spent(folder: str) -> sa.Select[Any]:
    """Micro-dollars spent or reserved since ``since`` in this folder and those below it."""
    return sa.select(sa.func.sum(purchases.c.micros)).where(
        purchases.c.at >= sa.bindparam("since"),
        purchases.c.standing.in_([Standing.OPEN, Standing.SPENT]),
        is_below(purchases.c.folder, folder),
    )


def _count(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(jobs).where(condition)
