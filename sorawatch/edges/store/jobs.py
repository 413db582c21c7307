"""Jobs and their history, within a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import Job, State
from sorawatch.edges.store import statements
from sorawatch.edges.store.packed_jobs import PackedJobs
from sorawatch.edges.store.pruning import prune
from sorawatch.edges.store.rows import changed_columns, filed_names, row_of
from sorawatch.edges.store.statements import MANY, ONE, TELL
from sorawatch.edges.store.tables import history, jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sorawatch.core.budget import Exclusion
    from sorawatch.edges.store.session import Session

_LONGEST_ID = 16
_LISTED = 10
_ALL = 1 << 62
_ADDED = 500
"""Jobs that are added by one statement."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a job's history. ``at`` is milliseconds of the store's clock."""

    at: int
    state: State
    reason: str


class LeaseLost(Exception):
    """Another daemon has claimed the job meanwhile; nothing was written."""


class JobTable:
    """Reads and writes within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._packed = PackedJobs(session.connection)

    def get(self, job_id: str) -> Job | None:
        """The job of this id."""
        known = self._session.prefetched.pop(job_id, None) or self._session.first_job(ONE, {"this": job_id})
        return known or self._packed.get(job_id)

    def prefetch(self, job_ids: Iterable[str]) -> None:
        """Read in one query the jobs that `get` will be asked for soon, each of them once."""
        self._session.prefetched = {job.id: job for job in self._session.jobs(MANY, {"these": [*job_ids]})}

    def starting_with(self, text: str) -> list[Job]:
        """The job of this id; else those whose id starts with it, at most `_LISTED`."""
        if not (text.isalnum() and text.isascii() and len(text) <= _LONGEST_ID):
            return []
        if (exact := self.get(text)) is not None:
            return [exact]
        query = sa.select(jobs).where(jobs.c.id.startswith(text, autoescape=True)).order_by(jobs.c.id).limit(_LISTED)
        starting = [*self._session.jobs(query), *self._packed.starting_with(text, _LISTED)]
        return sorted(starting, key=lambda job: job.id)[:_LISTED]

    def of_file(self, folder: str, name: str) -> list[Job]:
        """Jobs whose image or sidecar has, or had, this name in a folder of the inbox, the latest first."""
        named = sa.or_(jobs.c.image == name, jobs.c.sidecar == name)
        query = sa.select(jobs).where(jobs.c.folder == folder, named)
        packed = [job for job in self._packed.in_folder(folder) if name in job.pair.names]
        return sorted([*self._session.jobs(query), *packed], key=lambda job: (-job.created_at, job.id))

    def filed_as(self, folder: str, name: str) -> list[Job]:
        """Jobs whose pair was moved to a folder outside the inbox and has this name among its names there.

        The latest is the first.
        """
        query = sa.select(jobs.c.id, jobs.c.filed).where(jobs.c.folder == folder, jobs.c.filed != b"")
        ids = [row.id for row in self._session.connection.execute(query) if name in filed_names(row.filed)]
        packed = [job for job in self._packed.in_folder(folder) if name in job.filed]
        return _latest_first([*self._session.jobs(sa.select(jobs).where(jobs.c.id.in_(ids))), *packed])

    def with_clip(self, path: str) -> list[Job]:
        """Jobs whose clip has this path, the latest first."""
        found = self._session.jobs(sa.select(jobs).where(jobs.c.clip == path))
        return _latest_first([*found, *self._packed.with_clip(path)])

    def in_states(self, states: Iterable[State]) -> list[Job]:
        """Jobs in these states, the oldest first."""
        wanted = {*states}
        found = self._session.jobs(sa.select(jobs).where(jobs.c.state.in_(wanted)))
        packed = self._packed.latest("", None) if State.DONE in wanted else []
        return sorted([*found, *packed], key=lambda job: (job.created_at, job.id))

    def counts(
        self, states: Iterable[State] = State, excluded: Iterable[Exclusion] = (), *, unapproved: bool = True
    ) -> dict[State, int]:
        """How many jobs are in each of these states, if any, without unpaid ones that are ``excluded``.

        Args:
            unapproved: also count those that wait for approval.
        """
        wanted = frozenset(states)
        query = statements.counts(wanted, tuple(excluded), unapproved=unapproved)
        found = {State(state): count for state, count in self._session.connection.execute(query)}
        packed = self._packed.count() if State.DONE in wanted else 0
        return found | {State.DONE: found.get(State.DONE, 0) + packed} if packed else found

    def count(self, state: State, excluded: Iterable[Exclusion] = (), most: int = _ALL) -> int:
        """How many jobs are in this state that are not ``excluded`` and do not wait for approval; at most ``most``."""
        query = statements.how_many(state, tuple(excluded))
        return int(self._session.connection.scalar(query, {"most": max(0, most)}) or 0)

    def in_flight(self, folder: str = "") -> int:
        """How many jobs of this folder and those below it take one of the server's places, or may."""
        return int(self._session.connection.scalar(statements.in_flight(folder)) or 0)

    def submitting(self, model: str | None = None, *, priced: bool = False) -> int:
        """How many orders are being submitted: for a model, or all; with ``priced`` only those that may cost money."""
        query = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == State.SUBMITTING)
        if model is not None:
            query = query.where(jobs.c.model == model)
        if priced:
            query = query.where(sa.or_(jobs.c.price.is_(None), jobs.c.price != 0))
        return int(self._session.connection.scalar(query) or 0)

    def follower(self, video_id: str, job: Job) -> Job | None:
        """Another job whose clip this video is or will be."""
        found = self._session.first_job(statements.FOLLOWER, {"video": video_id, "this": job.id})
        return found or self._packed.with_video(video_id)

    def is_being_published(self, path: str, job: Job) -> bool:
        """Whether the clip of another job may just be appearing under this path of the outbox."""
        theirs = sa.and_(jobs.c.state == State.RENDERED, jobs.c.publishing == path, jobs.c.id != job.id)
        return self._session.connection.execute(sa.select(jobs.c.id).where(theirs).limit(1)).first() is not None

    def add(self, new: Sequence[Job]) -> None:
        """Write new jobs."""
        self._session.claimable = None
        connection = self._session.connection
        # A few at a time, because their rows take more memory than the jobs.
        for part in (new[begins : begins + _ADDED] for begins in range(0, len(new), _ADDED)):
            rows = [row_of(job) for job in part]
            columns = statements.unusual(rows)
            connection.execute(statements.add(columns), [{name: row[name] for name in columns} for row in rows])
            connection.execute(TELL, [self._entry(job) for job in part])

    def save(self, job: Job, before: Job | None = None, *, claim: bool = False) -> None:
        """Write a job that nobody else has claimed. It is free afterwards, or claimed by this daemon with ``claim``.

        Raises:
            LeaseLost: if another daemon has claimed it.
        """
        session = self._session
        session.claimable = None
        session.prefetched.pop(job.id, None)
        lease = {
            "lease_owner": session.owner if claim else None,
            "lease_until": session.now + session.lease_ms if claim else None,
        }
        mine = {"this": job.id, "me": session.owner, "now": session.now}
        changed = row_of(job) if before is None else changed_columns(before, job)
        statement, values = statements.save(frozenset(changed)), changed | lease | mine
        written = session.connection.execute(statement, values).rowcount
        if not written and self._packed.unpack(job.id):
            written = session.connection.execute(statement, values).rowcount
        if not written:
            raise LeaseLost(job.id)
        if before is None or _is_news(before, job):
            session.connection.execute(TELL, self._entry(job))

    def amend(self, job: Job, before: Job) -> None:
        """Write a job whoever has claimed it, and leave the claim as it is."""
        self._session.claimable = None
        self._session.prefetched.pop(job.id, None)
        self._session.connection.execute(jobs.update().where(jobs.c.id == job.id).values(row_of(job)))
        if before.state is not job.state:
            self._session.connection.execute(TELL, self._entry(job))

    def prune(self, before: int, delivered_before: int, limit: int) -> int:
        """Delete jobs that ended before ``before``, and their history. Purchases are never deleted.

        Args:
            before: milliseconds of the store's clock.
            delivered_before: the same for delivered jobs, whose records refuse duplicates.
            limit: at the most so many at once, the oldest first.

        Returns:
            How many were deleted.
        """
        deleted = prune(self._session.connection, before, delivered_before, limit)
        return deleted + self._packed.prune(delivered_before, limit - deleted)

    def pack(self, before: int, limit: int) -> int:
        """Pack jobs that were delivered before ``before``: what is left out of them, no later decision needs.

        Args:
            before: milliseconds of the store's clock.
            limit: at the most so many at once, the oldest first.

        Returns:
            How many were packed.
        """
        return self._packed.pack(before, limit)

    def history(self, job_id: str) -> list[HistoryEntry]:
        """Every change of a job's state or reason, the oldest first; of a packed job only its begin, submit and end."""
        query = sa.select(history).where(history.c.job_id == job_id).order_by(history.c.number)
        rows = self._session.connection.execute(query)
        entries = [HistoryEntry(row.at, State(row.state), row.reason) for row in rows]
        if not entries and (job := self._packed.get(job_id)) is not None:
            return [
                HistoryEntry(job.created_at, State.FOUND, ""),
                HistoryEntry(job.submitted_at or job.created_at, State.SUBMITTING, ""),
                HistoryEntry(job.changed_at, job.state, job.reason),
            ]
        return entries

    def _entry(self, job: Job) -> dict[str, Any]:
        return {"job_id": job.id, "at": self._session.now, "state": job.state.value, "reason": job.latest}


def _latest_first(found: Iterable[Job]) -> list[Job]:
    return sorted(found, key=lambda job: (-job.changed_at, job.id))


def _is_news(before: Job, after: Job) -> bool:
    """Whether a change belongs into the history."""
    has_failed = after.attempts > before.attempts
    has_new_reason = bool(after.latest) and after.latest != before.latest
    return before.state is not after.state or has_failed or has_new_reason
