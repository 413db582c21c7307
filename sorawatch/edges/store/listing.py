"""What ``sorawatch status`` lists: jobs by state and folder, and what waiting orders ask for, within a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sorawatch.core.job import FINAL, UNPAID, Job, State
from sorawatch.edges.store.packed_jobs import PackedJobs
from sorawatch.edges.store.statements import is_below
from sorawatch.edges.store.tables import URGENCY, jobs, turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sorawatch.edges.store.session import Session

_BY_AGE = (jobs.c.created_at, jobs.c.id)
_LATEST_FIRST = (jobs.c.changed_at.desc(), jobs.c.id)


@dataclass(frozen=True, slots=True)
class JobGroup:
    """Unfinished jobs of one state that ask for the same kind of clip. Order fields are None if not understood."""

    state: State
    model: str | None
    size: str | None
    seconds: int | None
    count: int
    micros: int
    """The sum of their prices, as far as they are known: from the submit on."""


class JobListing:
    """Reads within the transaction whose session it is given.

    ``folder`` is a folder of the inbox, with those below it; ``""`` is the whole inbox.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._packed = PackedJobs(session.connection)

    def jobs(self, states: Sequence[State], folder: str, limit: int | None) -> list[Job]:
        """At most ``limit`` jobs: state by state as given; unpaid ones in the order of their submits, else by age.

        Jobs that have ended come all together, the latest first.
        """
        found: list[Job] = []
        ended = [state for state in states if state in FINAL]
        for state in (each for each in states if each not in FINAL):
            found += self._session.jobs(_ordered([state], folder).limit(_left(limit, found)))
        return found + (self._ended(ended, folder, _left(limit, found)) if ended else [])

    def _ended(self, states: Sequence[State], folder: str, limit: int | None) -> list[Job]:
        found = self._session.jobs(_ordered(states, folder).limit(limit))
        packed = self._packed.latest(folder, limit) if State.DONE in states else []
        return sorted([*found, *packed], key=lambda job: (-job.changed_at, job.id))[:limit]

    def failures(self, since: int, folder: str, limit: int | None) -> list[Job]:
        """At most ``limit`` jobs that failed since then, and whose pair has no later job, the latest first.

        ``since`` is milliseconds of the store's clock.
        """
        later = jobs.alias()
        again = (
            sa.select(jobs.c.id)
            .join(later, sa.and_(later.c.folder == jobs.c.folder, later.c.image == jobs.c.image))
            .where(jobs.c.state == State.FAILED, jobs.c.changed_at >= since, later.c.created_at > jobs.c.created_at)
        )
        failed = sa.and_(
            jobs.c.state == State.FAILED,
            jobs.c.changed_at >= since,
            is_below(jobs.c.folder, folder),
            jobs.c.id.not_in(again),
        )
        return self._session.jobs(sa.select(jobs).where(failed).order_by(*_LATEST_FIRST).limit(limit))

    def counts(self, folder: str) -> dict[State, int]:
        """How many jobs are in each state, if any."""
        query = sa.select(jobs.c.state, sa.func.count()).where(is_below(jobs.c.folder, folder)).group_by(jobs.c.state)
        found = {State(state): count for state, count in self._session.connection.execute(query)}
        packed = self._packed.count(folder)
        return found | {State.DONE: found.get(State.DONE, 0) + packed} if packed else found

    def groups(self, states: Iterable[State], folder: str) -> list[JobGroup]:
        """The jobs in these states, in groups that cost the same."""
        kind = (jobs.c.state, jobs.c.model, jobs.c.size, jobs.c.seconds)
        query = (
            sa.select(*kind, sa.func.count(), sa.func.sum(jobs.c.price))
            .where(jobs.c.state.in_([*states]), is_below(jobs.c.folder, folder))
            .group_by(*kind)
        )
        rows = self._session.connection.execute(query)
        return [
            JobGroup(State(state), model, size, seconds, count, int(micros or 0))
            for state, model, size, seconds, count, micros in rows
        ]

    def has_folder(self, folder: str) -> bool:
        """Whether a job is or was in this folder or below it."""
        query = sa.select(jobs.c.id).where(is_below(jobs.c.folder, folder)).limit(1)
        return self._session.connection.scalar(query) is not None or self._packed.has_folder(folder)

    def queue(self, limit: int) -> list[Job]:
        """Orders that are not submitted yet and need no approval, in the order in which they will be."""
        return self._session.jobs(_in_turn(UNPAID, "").where(jobs.c.awaits_approval == 0).limit(limit))


def _left(limit: int | None, found: Sequence[Job]) -> int | None:
    return None if limit is None else limit - len(found)


def _ordered(states: Sequence[State], folder: str) -> sa.Select[tuple[object, ...]]:
    """The jobs in these states, which are one state that goes on, or several that have ended."""
    if UNPAID.issuperset(states):
        return _in_turn(states, folder)
    order = _LATEST_FIRST if FINAL.issuperset(states) else _BY_AGE
    return _select(states, folder).order_by(*order)


def _in_turn(states: Iterable[State], folder: str) -> sa.Select[tuple[object, ...]]:
    """In the order in which they are submitted: by priority, and the first-level folders in turn; see `Claims`."""
    # Whole rows would be sorted along, which takes nearly twice as long.
    place = sa.func.row_number().over(partition_by=(jobs.c.priority, jobs.c.top), order_by=URGENCY).label("place")
    places = _select(states, folder).with_only_columns(jobs.c.id, place).subquery()
    turn = sa.and_(turns.c.state == jobs.c.state, turns.c.folder == jobs.c.top)
    first, *others = URGENCY
    query = sa.select(jobs).join(places, places.c.id == jobs.c.id).outerjoin(turns, turn)
    return query.order_by(first, places.c.place, sa.func.coalesce(turns.c.number, 0), *others)


def _select(states: Iterable[State], folder: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(jobs).where(jobs.c.state.in_([*states]), is_below(jobs.c.folder, folder))
