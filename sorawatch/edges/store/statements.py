"""The frequent statements, each built once: building one takes longer than executing it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, IN_FLIGHT, UNPAID, Charged, State
from sorawatch.core.purchase import Standing
from sorawatch.edges.store.tables import URGENCY, commands, history, jobs, notes, purchases, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from enum import StrEnum

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


def constant(state: StrEnum) -> sa.ColumnElement[str]:
    """A state in the text of a statement. Parameters, above all lists of them, take longer than the statement."""
    return sa.literal_column(f"'{state.value}'", sa.String)


def among(column: sa.Column[str], states: Iterable[StrEnum]) -> sa.ColumnElement[bool]:
    """Whether the state in ``column`` is one of these."""
    return column.in_([constant(state) for state in sorted(states)])


def same_keys(table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a row belongs to the order whose key by the picture is ``order``, and by the reference ``reference``."""
    by_picture = table.c.order_key == sa.bindparam("order")
    return sa.or_(by_picture, table.c.reference_key == sa.bindparam("reference", type_=sa.String))


_IS_DUE = sa.or_(jobs.c.due_at <= sa.bindparam("now"), jobs.c.due_at > sa.bindparam("horizon"))
_LAPSED = sa.and_(jobs.c.lease_until < sa.bindparam("now"), jobs.c.lease_owner != sa.bindparam("me"))
_IS_FREE = sa.or_(jobs.c.lease_owner.is_(None), _LAPSED)
"""A daemon's own claims never lapse for itself: it is still working on them, even if the clock has jumped or the
machine has slept."""


def _may_go(state: State) -> sa.ColumnElement[bool]:
    """Whether a job is in this state and, as long as it is unpaid, does not wait for approval."""
    is_approved = jobs.c.awaits_approval == sa.literal_column("0") if state in UNPAID else sa.true()
    return sa.and_(jobs.c.state == constant(state), is_approved)


def _is_claimable(state: State) -> sa.ColumnElement[bool]:
    free = sa.or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < sa.bindparam("now"))
    return sa.exists(sa.select(jobs.c.id).where(_may_go(state), _IS_DUE, free))


CLAIMABLE = sa.union_all(
    *(
        sa.select(constant(state)).where(_is_claimable(state))
        for state in sorted({*State} - FINAL - {State.HELD, State.SUBMITTING})
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
BOUGHT_BY_ANOTHER = (
    sa.select(purchases.c.token)
    .where(purchases.c.video_id == sa.bindparam("video"), purchases.c.job_id != sa.bindparam("this"))
    .limit(1)
)
FOLLOWER = (
    sa.select(jobs)
    .where(
        jobs.c.video_id == sa.bindparam("video"),
        jobs.c.id != sa.bindparam("this"),
        ~among(jobs.c.state, [State.REJECTED, State.FAILED, State.WITHDRAWN, State.CANCELLED]),
    )
    .limit(1)
)
"""Another job whose clip this video is or will be."""
LAST_CHANGE = sa.select(sa.func.max(history.c.number))
WRITE_NOTE = notes.update().where(notes.c.key == sa.bindparam("name")).values(value=sa.bindparam("text"))
ADD_NOTE = notes.insert()
PURCHASES_LIKE = sa.select(purchases).where(same_keys(purchases)).order_by(purchases.c.at, purchases.c.token)

SAME_ORDER = (
    sa.select(jobs)
    .where(
        same_keys(jobs),
        jobs.c.id != sa.bindparam("this"),
        sa.or_(
            sa.and_(jobs.c.state == constant(State.DONE), jobs.c.changed_at >= sa.bindparam("since")),
            sa.and_(
                ~among(jobs.c.state, [*FINAL, State.FOUND, State.READY, State.REJECTED, State.RESTORING]),
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
        among(jobs.c.state, [State.SUBMITTING, State.UNCERTAIN]),
        jobs.c.id != sa.bindparam("this"),
    )
    .limit(1)
)
"""An unanswered submit that a server's list could not tell from that of this job."""


_OF_NEW_JOBS: dict[str, Any] = {
    "priority": 0, "attempts": 0, "misses": 0, "generations": 0, "reason": "", "hint": "", "digest": "", "note": "",
    "charged": Charged.NO.value,
}  # fmt: skip
_BY_THEMSELVES: dict[str, Any] = {
    "take": 1, "losses": 0, "reorders": 0, "unwatched_ms": 0, "obstacle": "", "lost_reason": "",
    "reference_digest": "", "publishing_digest": "", "fields": "",
}  # fmt: skip
"""Defaults of the columns themselves."""


def unusual(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The columns in which some of these new jobs differ from most new jobs."""
    usual = {**_BY_THEMSELVES, **_OF_NEW_JOBS}
    return frozenset(name for name in rows[0] if any(row[name] != usual.get(name) for row in rows))


@lru_cache(maxsize=64)
def add(columns: frozenset[str]) -> sa.Insert:
    """Add jobs with these columns, and as most new jobs are otherwise. Each column that is bound takes time."""
    values: dict[str, Any] = {name: sa.literal_column(repr(value)) for name, value in _OF_NEW_JOBS.items()}
    return jobs.insert().values(values | {name: sa.bindparam(name) for name in columns})


@lru_cache(maxsize=256)
def save(columns: frozenset[str]) -> sa.Update:
    """Write these columns and the lease of the job ``this``, unless a daemon other than ``me`` has claimed it."""
    values: dict[str, Any] = {name: sa.bindparam(name) for name in (*columns, "lease_owner", "lease_until")}
    lapsed = jobs.c.lease_until < sa.bindparam("now")
    free = sa.or_(jobs.c.lease_owner == sa.bindparam("me"), jobs.c.lease_owner.is_(None), lapsed)
    return jobs.update().where(jobs.c.id == sa.bindparam("this"), free).values(values)


@lru_cache(maxsize=256)
def due(states: tuple[State, ...], excluded: tuple[Exclusion, ...], *, of_account: bool = False) -> sa.Select[Any]:
    """At most ``most`` due jobs, those that are due for the longest time first, their rows locked where possible.

    By urgency the first few thousand renders would be polled again and again, and the others never.

    Args:
        of_account: without jobs of another account than ``my_account`` that became due after ``overdue``.
    """
    ours = sa.or_(
        jobs.c.account.is_(None),
        jobs.c.account == sa.bindparam("my_account"),
        jobs.c.due_at < sa.bindparam("overdue"),
    )
    return (
        sa.select(jobs)
        .where(jobs.c.state.in_(states), _IS_DUE, _IS_FREE, outside(excluded), ours if of_account else sa.true())
        .order_by(jobs.c.due_at, *URGENCY)
        .limit(sa.bindparam("most"))
        .with_for_update(skip_locked=True)
    )


@lru_cache(maxsize=256)
def claim(states: tuple[State, ...], excluded: tuple[Exclusion, ...], *, of_account: bool) -> sa.UpdateBase:
    """Claim those that are `due` for ``me`` until ``until``, and return them."""
    chosen = due(states, excluded, of_account=of_account).with_only_columns(jobs.c.id).cte("due")
    return (
        jobs.update()
        .where(jobs.c.id.in_(sa.select(chosen.c.id)))
        .values(lease_owner=sa.bindparam("me"), lease_until=sa.bindparam("until"))
        .returning(jobs)
    )


def _first_level(condition: sa.ColumnElement[bool]) -> sa.CTE:
    """The first-level folders of the jobs that the condition admits, then NULL: a look-up for each folder."""
    first = sa.select(jobs.c.top).where(condition).order_by(jobs.c.top).limit(1)
    tops = sa.select(first.scalar_subquery().label("top")).cte("tops", recursive=True)
    following = sa.select(jobs.c.top).where(condition, jobs.c.top > tops.c.top).order_by(jobs.c.top).limit(1)
    return tops.union_all(sa.select(following.correlate(tops).scalar_subquery()).where(tops.c.top.is_not(None)))


@lru_cache(maxsize=256)
def first_of_each_folder(state: State, excluded: tuple[Exclusion, ...]) -> sa.Select[Any]:
    """The most urgent due job of each first-level folder, and the number of the folder's last turn.

    It takes a few look-ups in an index for each folder, however many jobs there are.
    """
    tops = _first_level(_may_go(state))
    most_urgent = (
        sa.select(jobs.c.id)
        .where(_may_go(state), jobs.c.top == tops.c.top, _IS_DUE, _IS_FREE, outside(excluded))
        .order_by(*URGENCY)
        .limit(1)
        .correlate(tops)
        .scalar_subquery()
    )
    head = jobs.alias("head")
    turn = sa.and_(turns.c.state == state, turns.c.folder == head.c.top)
    columns = (head.c.top, head.c.priority, head.c.created_at, head.c.image_mtime_ns, head.c.image, head.c.id)
    # To find that nothing in an excluded folder is left would take looking at all its jobs.
    shut = [each.folder for each in excluded if each.models is None]
    return (
        sa.select(*columns, sa.func.coalesce(turns.c.number, 0).label("turn"))
        .select_from(tops.join(head, head.c.id == most_urgent).outerjoin(turns, turn))
        .where(tops.c.top.not_in(shut), sa.false() if "" in shut else sa.true())
    )


@lru_cache(maxsize=256)
def of_folder(state: State, excluded: tuple[Exclusion, ...]) -> sa.Select[Any]:
    """At most ``most`` due jobs of the first-level folder ``folder``, the most urgent first."""
    return (
        sa.select(jobs)
        .where(_may_go(state), jobs.c.top == sa.bindparam("folder"), _IS_DUE, _IS_FREE, outside(excluded))
        .order_by(*URGENCY)
        .limit(sa.bindparam("most"))
    )


@lru_cache(maxsize=16)
def waiting_folders(state: State, awaits_approval: int) -> sa.Select[Any]:
    """The first-level folders that have jobs in this state, by a few look-ups in an index for each folder."""
    tops = _first_level(sa.and_(jobs.c.state == state, jobs.c.awaits_approval == awaits_approval))
    return sa.select(tops.c.top).where(tops.c.top.is_not(None))


@lru_cache(maxsize=64)
def waiting_in(state: State, awaits_approval: int, folder: str) -> sa.Select[Any]:
    """At most ``most`` jobs of the first-level folder ``top`` after ``given``, the most urgent first.

    Only those of ``folder`` and the folders below it.
    """
    here = sa.and_(jobs.c.state == state, jobs.c.awaits_approval == awaits_approval, jobs.c.top == sa.bindparam("top"))
    query = sa.select(jobs).where(here, is_below(jobs.c.folder, folder)).order_by(*URGENCY)
    return query.limit(sa.bindparam("most")).offset(sa.bindparam("given"))


TURNS = sa.select(turns.c.folder, turns.c.number).where(turns.c.state == sa.bindparam("of_state"))
CLAIM_THESE = (
    jobs.update()
    .where(jobs.c.id.in_(sa.bindparam("these", expanding=True)), _IS_FREE)
    .values(lease_owner=sa.bindparam("me"), lease_until=sa.bindparam("until"))
    .returning(jobs)
)
LAST_TURN = sa.select(sa.func.max(turns.c.number)).where(turns.c.state == sa.bindparam("of_state"))
TAKE_TURN = (
    turns.update()
    .where(turns.c.state == sa.bindparam("of_state"), turns.c.folder == sa.bindparam("of_folder"))
    .values(number=sa.bindparam("turn"))
)
FIRST_TURN = turns.insert()


@lru_cache(maxsize=16)
def next_due(states: frozenset[State]) -> sa.Select[Any]:
    """When the next job that is not due yet will be."""
    return sa.select(sa.func.min(jobs.c.due_at)).where(
        among(jobs.c.state, states), jobs.c.due_at > sa.bindparam("now"), jobs.c.lease_owner.is_(None)
    )


@lru_cache(maxsize=256)
def how_many(state: State, excluded: tuple[Exclusion, ...]) -> sa.Select[Any]:
    """The number of jobs in this state that are not excluded and do not wait for approval, at most ``most``."""
    limited = sa.select(jobs.c.id).where(_may_go(state), outside(excluded)).limit(sa.bindparam("most")).subquery()
    return sa.select(sa.func.count()).select_from(limited)


@lru_cache(maxsize=256)
def in_flight(folder: str) -> sa.Select[Any]:
    """The number of jobs of this folder and those below it that take one of the server's places, or may."""
    return _count(sa.and_(among(jobs.c.state, IN_FLIGHT), is_below(jobs.c.folder, folder)))


@lru_cache(maxsize=256)
def spent(folder: str) -> sa.Select[Any]:
    """Micro-dollars spent or reserved since ``since`` in this folder and those below it."""
    return sa.select(sa.func.sum(purchases.c.micros)).where(
        purchases.c.at >= sa.bindparam("since"),
        among(purchases.c.standing, [Standing.OPEN, Standing.SPENT]),
        is_below(purchases.c.folder, folder),
    )


@lru_cache(maxsize=256)
def counts(states: frozenset[State], excluded: tuple[Exclusion, ...], *, unapproved: bool) -> sa.Select[Any]:
    """How many jobs are in each of these states, without unpaid ones that are excluded.

    Args:
        unapproved: also count those that wait for approval.
    """
    going = outside(excluded) if unapproved else sa.and_(outside(excluded), jobs.c.awaits_approval == 0)
    counted = sa.and_(among(jobs.c.state, states), sa.or_(~among(jobs.c.state, UNPAID), going))
    return sa.select(jobs.c.state, sa.func.count()).where(counted).group_by(jobs.c.state)


def _count(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(jobs).where(condition)
