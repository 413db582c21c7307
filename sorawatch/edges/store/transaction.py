"""What can be read and written within one transaction, in expressions that SQLite and PostgreSQL both understand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, UNPAID, Job, State
from sorawatch.core.naming import likeness
from sorawatch.core.purchase import LedgerEntry, Purchase, PurchaseSettled, Standing, VideoKnown, Witness
from sorawatch.edges.store import statements
from sorawatch.edges.store.clock import database_time
from sorawatch.edges.store.orders import Orders
from sorawatch.edges.store.peers import Peers
from sorawatch.edges.store.pruning import prune
from sorawatch.edges.store.rows import changed_columns, job_of, keys_of, purchase_in, purchase_of, row_of
from sorawatch.edges.store.spending import SpendingQueries
from sorawatch.edges.store.statements import CLAIMABLE, MANY, ONE, TELL, outside
from sorawatch.edges.store.tables import commands, history, jobs, notes, purchases

if TYPE_CHECKING:
    from sorawatch.core.budget import Exclusion
    from sorawatch.edges.store.database import Database

_LONGEST_ID = 16
_DAY = 86_400_000
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Command:
    """A person's wish, written by another process: ``verb`` for ``job_id`` with an optional ``argument``."""

    number: int
    verb: str
    job_id: str | None
    argument: str | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a job's history."""

    at: int
    state: State
    reason: str


class LeaseLost(Exception):
    """The job's row belongs to another daemon by now; what was to be written is void."""


class Transaction:
    """One transaction. Made by `Store.turn`, and of no use after it."""

    def __init__(self, connection: sa.Connection, owner: str, keeper: Database, now: int | None = None) -> None:
        self._connection = connection
        self._owner = owner
        self._keeper = keeper
        self.now = database_time(connection) if now is None else now
        """Milliseconds of the clock when the transaction began."""
        self._claimable: set[State] | None = None
        """States with jobs to claim; None once something was written since they were asked for."""
        self._notes: dict[str, str | None] = {}
        """As read or written in this transaction."""
        self.entries: list[LedgerEntry] = []
        """What is to be entered into the ledger once the transaction is on disk."""
        self._ahead: dict[str, Job] = {}
        """Jobs that were read ahead and have not been asked for or changed since, by their ids."""

    # jobs

    def job(self, job_id: str) -> Job | None:
        return self._ahead.pop(job_id, None) or self._first(ONE, {"this": job_id})

    def read_ahead(self, job_ids: Iterable[str]) -> None:
        """Read in one query the jobs that `job` will soon be asked for, each of them once."""
        self._ahead = {job.id: job for job in self._all(MANY, {"these": [*job_ids]})}

    def find(self, text: str) -> Job | None:
        """The job a person means: by its id or the start of it, or the latest one of a picture by its path."""
        if text.isalnum() and text.isascii() and len(text) <= _LONGEST_ID:
            meant = sa.select(jobs).where(jobs.c.id.startswith(text, autoescape=True)).limit(2)
            starting = self._all(meant.order_by(jobs.c.id != text, jobs.c.id))
            if starting and (len(starting) == 1 or starting[0].id == text):
                return starting[0]
        folder, _, image = text.rpartition("/")
        pictured = sa.select(jobs).where(jobs.c.folder == folder, jobs.c.image == image)
        return self._first(pictured.order_by(jobs.c.created_at.desc(), jobs.c.id).limit(1))

    def jobs(self, states: Iterable[State]) -> list[Job]:
        """Jobs in these states, the oldest first."""
        return self._all(sa.select(jobs).where(jobs.c.state.in_([*states])).order_by(jobs.c.created_at, jobs.c.id))

    def latest(self, states: Iterable[State], limit: int) -> list[Job]:
        """Jobs in these states, the latest change first."""
        query = sa.select(jobs).where(jobs.c.state.in_([*states]))
        return self._all(query.order_by(jobs.c.changed_at.desc(), jobs.c.id).limit(limit))

    def counts(self, states: Iterable[State] = State, excluded: Iterable[Exclusion] = ()) -> dict[State, int]:
        """How many jobs are in each of these states, if any. Those that are ``excluded`` and unpaid do not count."""
        counted = sa.and_(jobs.c.state.in_([*states]), sa.or_(jobs.c.state.not_in([*UNPAID]), outside(excluded)))
        query = sa.select(jobs.c.state, sa.func.count()).where(counted).group_by(jobs.c.state)
        return {State(state): count for state, count in self._connection.execute(query)}

    def count(self, state: State, excluded: Iterable[Exclusion] = ()) -> int:
        """How many jobs are in this state that are not ``excluded``."""
        return int(self._connection.scalar(statements.how_many(state, tuple(excluded))) or 0)

    def in_flight(self, folder: str = "") -> int:
        """How many jobs of this folder and those below it take one of the server's places, or may."""
        return int(self._connection.scalar(statements.in_flight(folder)) or 0)

    def add(self, new: Sequence[Job]) -> None:
        """Write new jobs."""
        self._claimable = None
        if new:
            self._connection.execute(jobs.insert(), [row_of(job) for job in new])
            self._connection.execute(history.insert(), [self._event(job) for job in new])

    def save(self, job: Job, before: Job | None = None, *, lease_ms: int | None = None) -> None:
        """Write a job that nobody else has claimed; it stays claimed for ``lease_ms``, or is free again.

        Raises:
            LeaseLost: if another daemon has claimed it.
        """
        self._claimable = None
        self._ahead.pop(job.id, None)
        lease = {
            "lease_owner": None if lease_ms is None else self._owner,
            "lease_until": None if lease_ms is None else self.now + lease_ms,
        }
        mine = {"this": job.id, "me": self._owner, "now": self.now}
        changed = row_of(job) if before is None else changed_columns(before, job)
        if self._connection.execute(statements.save(frozenset(changed)), changed | lease | mine).rowcount == 0:
            raise LeaseLost(job.id)
        if before is None or _is_news(before, job):
            self._connection.execute(TELL, self._event(job))

    def amend(self, job: Job, before: Job) -> None:
        """Write a job whatever is being done for it meanwhile, and whoever does it, leaving the claim as it is."""
        self._claimable = None
        self._ahead.pop(job.id, None)
        self._connection.execute(jobs.update().where(jobs.c.id == job.id).values(row_of(job)))
        if before.state is not job.state:
            self._connection.execute(TELL, self._event(job))

    def prune(self, before: int, delivered_before: int, limit: int) -> int:
        """Forget jobs that ended before ``before``, and their history; of purchases nothing is ever forgotten.

        Args:
            before: milliseconds of the store's clock.
            delivered_before: the same for delivered jobs, which refuse the same order.
            limit: at the most so many at once, the oldest first.

        Returns:
            How many were forgotten.
        """
        return prune(self._connection, before, delivered_before, limit)

    def history(self, job_id: str) -> list[HistoryEntry]:
        query = sa.select(history).where(history.c.job_id == job_id).order_by(history.c.number)
        return [HistoryEntry(row.at, State(row.state), row.reason) for row in self._connection.execute(query)]

    def _event(self, job: Job) -> dict[str, Any]:
        return {"job_id": job.id, "at": self.now, "state": job.state.value, "reason": job.latest}

    # claims

    def due(
        self, states: Sequence[State], limit: int, horizon: int, excluded: Iterable[Exclusion] = ()
    ) -> Iterator[Job]:
        """Jobs that could be claimed and are not ``excluded``, the most urgent first; nothing is written.

        A ``due_at`` further off than ``horizon`` milliseconds is of a clock that was wrong then, so it counts as past.
        """
        query = statements.due(tuple(states), tuple(excluded))
        # All rows are fetched, for what follows may write to the table; each is a job only once it is asked for.
        return map(job_of, self._connection.execute(query, self._bounds(limit, horizon)).all())

    def claim(
        self, states: Sequence[State], limit: int, horizon: int, lease_ms: int, excluded: Iterable[Exclusion] = ()
    ) -> list[Job]:
        """Take due jobs in these states that are not ``excluded``, for this daemon, the most urgent first."""
        # A daemon asks for each state at every turn, and mostly there is nothing: one question answers them all.
        if self._claimable is None:
            bounds = {"now": self.now, "horizon": self.now + horizon}
            self._claimable = {State(state) for state in self._connection.scalars(CLAIMABLE, bounds)}
        if self._claimable.isdisjoint(states):
            return []
        bounds = self._bounds(limit, horizon) | {"until": self.now + lease_ms}
        return sorted(self._all(statements.claim(tuple(states), tuple(excluded)), bounds), key=_urgency)

    def _bounds(self, limit: int, horizon: int) -> dict[str, Any]:
        return {"now": self.now, "horizon": self.now + horizon, "me": self._owner, "most": limit}

    def claimed(self) -> list[Job]:
        """Jobs that this daemon has claimed."""
        return self._all(sa.select(jobs).where(jobs.c.lease_owner == self._owner))

    def next_due(self, states: Iterable[State]) -> int | None:
        """When the next job in these states, of those not due yet, will be."""
        due: int | None = self._connection.scalar(statements.next_due(frozenset(states)), {"now": self.now})
        return due

    def hasten(self) -> None:
        """Make everything due that waits after a failure, but for searches of a list, which prove by being apart."""
        waiting = sa.and_(jobs.c.attempts > 0, jobs.c.due_at > self.now, jobs.c.lease_owner.is_(None))
        wanted = jobs.c.state.not_in([*FINAL, State.HELD, State.UNCERTAIN])
        self._connection.execute(jobs.update().where(waiting, wanted).values(due_at=self.now))
        self._claimable = None
        self._ahead.clear()

    def bring_forward(self, states: Iterable[State]) -> None:
        """Make jobs in these states due now that would be later. One that is overdue stays so, for its age counts."""
        later = sa.and_(jobs.c.due_at > self.now, jobs.c.lease_owner.is_(None))
        self._connection.execute(jobs.update().where(jobs.c.state.in_([*states]), later).values(due_at=self.now))
        self._claimable = None

    def release(self, job: Job) -> None:
        """Give a claim back without having done anything."""
        self._claimable = None
        statement = jobs.update().where(jobs.c.id == job.id, jobs.c.lease_owner == self._owner)
        self._connection.execute(statement.values(lease_owner=None, lease_until=None))

    def renew(self, lease_ms: int) -> None:
        """Prolong every claim of this daemon."""
        statement = jobs.update().where(jobs.c.lease_owner == self._owner)
        self._connection.execute(statement.values(lease_until=self.now + lease_ms))

    @property
    def peers(self) -> Peers:
        """The daemons on this state."""
        return Peers(self._connection, self._owner, self._keeper)

    # twins

    def same_order(self, job: Job, since: int) -> Job | None:
        """Another job that buys, or since then delivered, what ``job`` asks for."""
        return self._first(statements.SAME_ORDER, {**keys_of(job), "this": job.id, "since": since})

    def being_submitted(self, job: Job) -> bool:
        """Whether a submit that a server's list could not tell from this one is open."""
        assert job.order is not None
        alike = {"like": likeness(job.order), "this": job.id}
        return self._connection.execute(statements.LIKE_IN_SUBMIT, alike).first() is not None

    # purchases

    def buy(self, job: Job) -> None:
        """Write down that ``job`` is about to be submitted under its token."""
        purchase = purchase_of(job, self.now)
        self._connection.execute(statements.BUY, asdict(purchase))
        self.entries.append(purchase)

    def settle(self, token: str, standing: Standing, clip: str | None = None) -> None:
        """What became of a purchase, and the path of its clip below the outbox."""
        self._connection.execute(statements.SETTLE, {"this": token, "stands": standing, "delivered": clip})
        self.entries.append(PurchaseSettled(token, standing, clip))

    def know_video(self, token: str, video_id: str) -> None:
        """Write down which video a purchase bought."""
        self._connection.execute(statements.KNOW_VIDEO, {"this": token, "video": video_id})
        self.entries.append(VideoKnown(token, video_id))

    def has_purchase(self, token: str) -> bool:
        """Whether a submit of this token is written down."""
        return self._connection.scalar(sa.select(purchases.c.token).where(purchases.c.token == token)) is not None

    def purchases_like(self, job: Job) -> list[Purchase]:
        """Purchases of exactly this order."""
        return self._purchases(statements.PURCHASES_LIKE, keys_of(job))

    def rivals(self, job: Job) -> list[Purchase]:
        """Other submits without a known video, of the same day, that a server's list could not tell from this job's."""
        assert job.order is not None
        assert job.submitted_at is not None
        query = sa.select(purchases).where(
            purchases.c.at >= job.submitted_at - _DAY,
            purchases.c.likeness == likeness(job.order),
            purchases.c.token != job.token,
            purchases.c.standing == Standing.OPEN,
            purchases.c.video_id.is_(None),
        )
        return self._purchases(query.order_by(purchases.c.at, purchases.c.token))

    def follower(self, video_id: str, job: Job) -> Job | None:
        """Another job whose clip this video is or will be."""
        given_up = [State.REJECTED, State.FAILED, State.WITHDRAWN, State.CANCELLED]
        has_it = sa.and_(jobs.c.video_id == video_id, jobs.c.id != job.id, jobs.c.state.not_in(given_up))
        return self._first(sa.select(jobs).where(has_it).limit(1))

    def known_videos(self, video_ids: Iterable[str]) -> set[str]:
        """Those of these ids that some purchase has."""
        query = sa.select(purchases.c.video_id).where(purchases.c.video_id.in_([*video_ids]))
        return set(self._connection.scalars(query))

    def is_of_another(self, video_id: str, job: Job) -> bool:
        """Whether another job bought, or follows, this video."""
        bought = sa.select(purchases.c.token).where(purchases.c.video_id == video_id, purchases.c.job_id != job.id)
        return self._connection.execute(bought.limit(1)).first() is not None or self.follower(video_id, job) is not None

    def witnesses(self, limit: int) -> list[Witness]:
        """The latest videos that were bought, the oldest of them first."""
        bought = sa.select(purchases.c.video_id, purchases.c.job_id, purchases.c.at, jobs.c.prompt)
        query = bought.join(jobs, jobs.c.id == purchases.c.job_id, isouter=True).where(
            purchases.c.video_id.is_not(None)
        )
        rows = self._connection.execute(query.order_by(purchases.c.at.desc()).limit(limit)).all()
        return [Witness(row.video_id, row.job_id, row.at, row.prompt) for row in reversed(rows)]

    def submitting(self, model: str | None) -> int:
        """How many orders that cost money, or may, are being submitted: for a model, or all."""
        priced = sa.or_(jobs.c.price.is_(None), jobs.c.price != 0)
        query = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == State.SUBMITTING, priced)
        return int(self._connection.scalar(query if model is None else query.where(jobs.c.model == model)) or 0)

    def being_sent(self, model: str) -> int:
        """How many orders for a model are being submitted."""
        query = sa.select(sa.func.count()).select_from(jobs)
        return int(self._connection.scalar(query.where(jobs.c.state == State.SUBMITTING, jobs.c.model == model)) or 0)

    @property
    def orders(self) -> Orders:
        """What was ordered before, and by whom."""
        return Orders(self._connection)

    @property
    def books(self) -> SpendingQueries:
        """The purchases as a person wants them told."""
        return SpendingQueries(self._connection)

    # commands and notes

    def command(self, verb: str, job_id: str | None = None, argument: str | None = None) -> None:
        """Leave a wish for the daemon."""
        self._connection.execute(commands.insert().values(verb=verb, job_id=job_id, argument=argument, at=self.now))

    def take_commands(self) -> list[Command]:
        """The wishes since the last turn, oldest first; they are gone once the turn is committed."""
        taken = self._connection.execute(statements.TAKE_COMMANDS).all()
        return [Command(row.number, row.verb, row.job_id, row.argument) for row in sorted(taken)]

    def note(self, key: str) -> Any:
        """What `write_note` last wrote under ``key``, or None."""
        if key not in self._notes:
            self._notes[key] = self._connection.scalar(statements.READ_NOTE, {"name": key})
        value = self._notes[key]
        return None if value is None else json.loads(value)

    def write_note(self, key: str, value: object) -> None:
        """Keep anything JSON can say; None forgets."""
        there = notes.c.key == key
        text = self._notes[key] = None if value is None else json.dumps(value)
        if text is None:
            self._connection.execute(notes.delete().where(there))
        elif self._connection.execute(notes.update().where(there).values(value=text)).rowcount == 0:
            self._connection.execute(notes.insert().values(key=key, value=text))

    # helpers

    def _all(self, query: sa.sql.expression.Executable, parameters: Mapping[str, Any] | None = None) -> list[Job]:
        return [job_of(row) for row in self._connection.execute(query, parameters)]

    def _first(self, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> Job | None:
        row = self._connection.execute(query, parameters).first()
        return None if row is None else job_of(row)

    def _purchases(self, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> list[Purchase]:
        return [purchase_in(row) for row in self._connection.execute(query, parameters).mappings()]


def _is_news(before: Job, after: Job) -> bool:
    failed, told = after.attempts > before.attempts, after.latest and after.latest != before.latest
    return before.state is not after.state or failed or bool(told)


def _urgency(job: Job) -> tuple[int, int, int, str, str]:
    priority = job.order.priority if job.order else 0
    return -priority, job.created_at, job.pair.image_stamp.mtime_ns, job.pair.image, job.id
