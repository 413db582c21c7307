"""What ``sorawatch status`` lists: jobs by state and folder, and what waiting orders ask for, within a transaction."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import chain, islice, product
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, UNPAID, Job, State, top_folder
from sorawatch.core.turns import Head, in_turn
from sorawatch.edges.store import statements
from sorawatch.edges.store.packed_jobs import PackedJobs
from sorawatch.edges.store.rows import urgency
from sorawatch.edges.store.statements import is_below
from sorawatch.edges.store.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sorawatch.edges.store.session import Session

_FEW = 16
"""Jobs that are read at first."""
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
            left = _left(limit, found)
            if state in UNPAID:
                found += islice(self._in_turn([state], folder), left)
            else:
                found += self._session.jobs(_select([state], folder).order_by(*_BY_AGE).limit(left))
        return found + (self._ended(ended, folder, _left(limit, found)) if ended else [])

    def _ended(self, states: Sequence[State], folder: str, limit: int | None) -> list[Job]:
        found = self._session.jobs(_select(states, folder).order_by(*_LATEST_FIRST).limit(limit))
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
        return [*islice(self._in_turn((State.FOUND, State.READY), "", (0,)), limit)]

    def _in_turn(self, states: Sequence[State], folder: str, awaits_approval: Sequence[int] = (0, 1)) -> Iterator[Job]:
        """Unpaid jobs in the order in which they are submitted: by priority, and the first-level folders in turn.

        They are read when they are asked for.
        """
        connection = self._session.connection
        kinds = [*product(states, awaits_approval)]
        tops = {top_folder(folder)} if folder else set[str]()
        for kind in () if folder else kinds:
            tops.update(connection.scalars(statements.waiting_folders(*kind)))
        last_turns = {
            (state, row.folder): row.number
            for state in states
            for row in connection.execute(statements.TURNS, {"of_state": state})
        }
        queues: dict[str, Iterator[Job]] = {}
        heads = []
        for top in tops:
            parts = [self._of_folder(statements.waiting_in(*kind, folder), top) for kind in kinds]
            queue = heapq.merge(*parts, key=urgency)
            for first in islice(queue, 1):
                queues[top] = chain([first], queue)
                heads.append(Head(top, last_turns.get((first.state, top), 0), urgency(first)))
        return in_turn(heads, queues.__getitem__, urgency)

    def _of_folder(self, query: sa.Select[Any], top: str) -> Iterator[Job]:
        """The jobs of a first-level folder, a few at a time: often only the first are needed."""
        given, step = 0, _FEW
        while True:
            found = self._session.jobs(query, {"top": top, "most": step, "given": given})
            yield from found
            if len(found) < step:
                return
            given, step = given + step, 4 * step


def _left(limit: int | None, found: Sequence[Job]) -> int | None:
    return None if limit is None else limit - len(found)


def _select(states: Iterable[State], folder: str) -> sa.Select[tuple[object, ...]]:
    return sa.select(jobs).where(jobs.c.state.in_([*states]), is_below(jobs.c.folder, folder))
