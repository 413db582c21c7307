"""The only SQL: jobs, their history, purchases, commands and notes, in SQLite through SQLAlchemy Core.

Every expression is one that PostgreSQL understands too, and every job row carries a lease, so that several
daemons can share one store. Times are integer milliseconds of the database's clock.

SQLite before 3.51.3 (and its back-ports 3.50.7 and 3.44.6) can damage a database in WAL mode when two
connections meet at a checkpoint, so WAL is used only from those on (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sorawatch.core.job import FINAL, IN_FLIGHT, Charged, Job, Pair, Stamp, State
from sorawatch.core.naming import likeness, order_key
from sorawatch.core.order import Aim, Fit, Order, Size
from sorawatch.core.purchase import Purchase, Standing
from sorawatch.errors import Blocked, UsageError

SCHEMA_VERSION = 1

_metadata = sa.MetaData()


class _FileName(sa.TypeDecorator[str]):
    """A file name kept as its own bytes: names need not be valid text."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: sa.Dialect) -> bytes | None:
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, _dialect: sa.Dialect) -> str | None:
        return None if value is None else os.fsdecode(value)


_jobs = sa.Table(
    "jobs",
    _metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("folder", _FileName, nullable=False),
    sa.Column("image", _FileName, nullable=False),
    sa.Column("image_size", sa.BigInteger, nullable=False),
    sa.Column("image_mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("sidecar", _FileName),
    sa.Column("sidecar_size", sa.BigInteger),
    sa.Column("sidecar_mtime_ns", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("prompt", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("size", sa.String(32)),
    sa.Column("seconds", sa.Integer),
    sa.Column("fit", sa.String(16)),
    sa.Column("priority", sa.Integer, nullable=False, default=0),
    sa.Column("order_key", sa.String(64)),
    sa.Column("likeness", sa.String(64)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("mend", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("price", sa.BigInteger),
    sa.Column("token", sa.String(64)),
    sa.Column("submitted_at", sa.BigInteger),
    sa.Column("lost_at", sa.BigInteger),
    sa.Column("misses", sa.Integer, nullable=False),
    sa.Column("video_id", sa.Text),
    sa.Column("progress", sa.Integer),
    sa.Column("generations", sa.Integer, nullable=False),
    sa.Column("charged", sa.String(8), nullable=False),
    sa.Column("clip", _FileName),
    sa.Column("filed", sa.LargeBinary, nullable=False),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", sa.BigInteger),
    sa.Index("jobs_by_state", "state", "due_at"),
    sa.Index("jobs_by_order", "order_key"),
    sa.Index("jobs_by_likeness", "likeness", "state"),
)

_purchases = sa.Table(
    "purchases",
    _metadata,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("job_id", sa.String(16), nullable=False),
    sa.Column("order_key", sa.String(64), nullable=False),
    sa.Column("likeness", sa.String(64), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("micros", sa.BigInteger),
    sa.Column("standing", sa.String(16), nullable=False),
    sa.Column("video_id", sa.Text),
    sa.Index("purchases_by_order", "order_key"),
    sa.Index("purchases_by_likeness", "likeness"),
    sa.Index("purchases_by_time", "at"),
    sa.Index("purchases_by_video", "video_id"),
)

_history = sa.Table(
    "history",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String(16), nullable=False, index=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

_commands = sa.Table(
    "commands",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("verb", sa.String(16), nullable=False),
    sa.Column("job_id", sa.String(16)),
    sa.Column("argument", sa.Text),
    sa.Column("at", sa.BigInteger, nullable=False),
)

_notes = sa.Table(
    "notes",
    _metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A person's wish, written by another process: ``verb`` for ``job_id`` with an optional ``argument``."""

    number: int
    verb: str
    job_id: str | None
    argument: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's history."""

    at: int
    state: State
    reason: str


class LeaseLost(Exception):
    """The job's row belongs to another daemon by now; what was to be written is void."""


class Store:
    """The state of one daemon. Used from one thread."""

    def __init__(self, engine: sa.Engine, owner: str, path: Path) -> None:
        self._engine = engine
        self._owner = owner
        self.path = path

    @classmethod
    def create_or_open(cls, path: Path, owner: str) -> tuple[Store, bool]:
        """Open the state for writing, making it if there is none; the flag says whether it is new.

        ``owner`` names this daemon in leases.

        Raises:
            UsageError: if the file is no state of ours, damaged, or of a newer version.
            Blocked: if it cannot be opened or written.
        """
        fresh = not path.exists()
        store = cls(_engine(f"sqlite:///{path}"), owner, path)
        with _translated(path), store._engine.begin() as connection:
            _check_version(connection, path)
            _metadata.create_all(connection)
            if connection.scalar(sa.select(_notes.c.value).where(_notes.c.key == "schema")) is None:
                connection.execute(_notes.insert().values(key="schema", value=str(SCHEMA_VERSION)))
        return store, fresh

    @classmethod
    def open_for_reading(cls, path: Path) -> Store:
        """Open an existing state for looking only; it may be in use by a daemon.

        Raises:
            UsageError: if there is none, or it is no state of ours.
        """
        if not path.exists():
            raise UsageError(f"there is no state at {path} yet. `sorawatch run` makes it.")
        store = cls(_engine(f"sqlite:///file:{_quoted(path)}?mode=ro&uri=true"), "", path)
        with _translated(path), store._engine.connect() as connection:
            _check_version(connection, path)
        return store

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction: all of it is on disk when the block ends, or none of it.

        Raises:
            Blocked: if the state cannot be written.
        """
        with _translated(self.path), self._engine.begin() as connection:
            yield Turn(connection, self._owner)

    def close(self) -> None:
        self._engine.dispose()


class Turn:
    """What can be read and written within one transaction."""

    def __init__(self, connection: sa.Connection, owner: str) -> None:
        self._connection = connection
        self._owner = owner
        self.now: int = connection.scalar(_clock(connection)) or 0
        """Milliseconds of the database's clock when the transaction began."""

    # jobs

    def job(self, job_id: str) -> Job | None:
        row = self._connection.execute(sa.select(_jobs).where(_jobs.c.id == job_id)).first()
        return None if row is None else _job(row)

    def find(self, text: str) -> Job | None:
        """The job a person means: by its id or the start of it, or the latest one of a picture by its path."""
        exact = self.job(text)
        if exact is not None:
            return exact
        starting = self._connection.execute(
            sa.select(_jobs).where(_jobs.c.id.startswith(text, autoescape=True)).limit(2)
        ).all()
        if len(starting) == 1:
            return _job(starting[0])
        folder, _, image = text.rpartition("/")
        query = sa.select(_jobs).where(_jobs.c.folder == folder, _jobs.c.image == image)
        row = self._connection.execute(query.order_by(_jobs.c.created_at.desc()).limit(1)).first()
        return None if row is None else _job(row)

    def jobs(self, states: Iterable[State]) -> list[Job]:
        """Jobs in these states, the oldest first."""
        query = sa.select(_jobs).where(_jobs.c.state.in_([*states])).order_by(_jobs.c.created_at, _jobs.c.id)
        return [_job(row) for row in self._connection.execute(query)]

    def latest(self, states: Iterable[State], limit: int) -> list[Job]:
        """Jobs in these states, the latest change first."""
        query = sa.select(_jobs).where(_jobs.c.state.in_([*states])).order_by(_jobs.c.changed_at.desc()).limit(limit)
        return [_job(row) for row in self._connection.execute(query)]

    def counts(self) -> dict[State, int]:
        query = sa.select(_jobs.c.state, sa.func.count()).group_by(_jobs.c.state)
        return {State(state): count for state, count in self._connection.execute(query)}

    def count(self, state: State) -> int:
        query = sa.select(sa.func.count()).where(_jobs.c.state == state)
        return self._connection.scalar(query) or 0

    def add(self, jobs: Sequence[Job]) -> None:
        """Write new jobs."""
        if jobs:
            self._connection.execute(_jobs.insert(), [_row(job) for job in jobs])
            events = [{"job_id": job.id, "at": self.now, "state": job.state, "reason": job.reason} for job in jobs]
            self._connection.execute(_history.insert(), events)

    def save(self, job: Job, before: Job | None = None, *, lease_ms: int | None = None) -> None:
        """Write a job that nobody else has claimed; it stays claimed for ``lease_ms``, or is free again.

        Raises:
            LeaseLost: if another daemon has claimed it.
        """
        lease = {
            "lease_owner": None if lease_ms is None else self._owner,
            "lease_until": None if lease_ms is None else self.now + lease_ms,
        }
        mine = sa.or_(_jobs.c.lease_owner == self._owner, self._unclaimed())
        statement = _jobs.update().where(_jobs.c.id == job.id, mine).values(_row(job) | lease)
        if self._connection.execute(statement).rowcount == 0:
            raise LeaseLost(job.id)
        if before is None or before.state is not job.state or (job.reason and before.reason != job.reason):
            self._remember(job)

    def amend(self, job: Job) -> None:
        """Write a job whatever is being done for it meanwhile, leaving the claim as it is."""
        self._connection.execute(_jobs.update().where(_jobs.c.id == job.id).values(_row(job)))

    def _unclaimed(self) -> sa.ColumnElement[bool]:
        return sa.or_(_jobs.c.lease_owner.is_(None), _jobs.c.lease_until < self.now)

    def _due(self, states: Sequence[State], limit: int, horizon: int) -> sa.Select[Any]:
        """Unclaimed jobs whose time has come, the most urgent first, their rows locked where the database can."""
        return (
            sa.select(_jobs)
            .where(
                _jobs.c.state.in_([*states]),
                sa.or_(_jobs.c.due_at <= self.now, _jobs.c.due_at > self.now + horizon),
                self._unclaimed(),
            )
            .order_by(_jobs.c.priority.desc(), _jobs.c.created_at, _jobs.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )

    def due(self, states: Sequence[State], limit: int, horizon: int) -> list[Job]:
        """Jobs that could be claimed; nothing is written."""
        return [_job(row) for row in self._connection.execute(self._due(states, limit, horizon))]

    def claim(self, states: Sequence[State], limit: int, horizon: int, lease_ms: int) -> list[Job]:
        """Take due jobs in these states for this daemon."""
        due = self._due(states, limit, horizon).with_only_columns(_jobs.c.id).cte("due")
        statement = (
            _jobs.update()
            .where(_jobs.c.id.in_(sa.select(due.c.id)))
            .values(lease_owner=self._owner, lease_until=self.now + lease_ms)
            .returning(_jobs)
        )
        claimed = [_job(row) for row in self._connection.execute(statement)]
        return sorted(claimed, key=lambda job: (-(job.order.priority if job.order else 0), job.created_at, job.id))

    def release(self, job: Job) -> None:
        """Give a claim back without having done anything."""
        statement = _jobs.update().where(_jobs.c.id == job.id, _jobs.c.lease_owner == self._owner)
        self._connection.execute(statement.values(lease_owner=None, lease_until=None))

    def renew(self, lease_ms: int) -> None:
        """Prolong every claim of this daemon."""
        statement = _jobs.update().where(_jobs.c.lease_owner == self._owner)
        self._connection.execute(statement.values(lease_until=self.now + lease_ms))

    def release_all(self) -> None:
        """Void every claim: only for the sole daemon of a state, at its start."""
        self._connection.execute(_jobs.update().values(lease_owner=None, lease_until=None))

    def next_due(self, states: Iterable[State]) -> int | None:
        """When the next job in these states, of those not due yet, will be."""
        query = sa.select(sa.func.min(_jobs.c.due_at)).where(
            _jobs.c.state.in_([*states]), _jobs.c.due_at > self.now, _jobs.c.lease_owner.is_(None)
        )
        due: int | None = self._connection.scalar(query)
        return due

    def in_flight(self) -> int:
        query = sa.select(sa.func.count()).where(_jobs.c.state.in_([*IN_FLIGHT]))
        return self._connection.scalar(query) or 0

    def same_order(self, job: Job, since: int) -> Job | None:
        """Another job that buys, or since then delivered, what ``job`` asks for."""
        assert job.order is not None
        done = sa.and_(_jobs.c.state == State.DONE, _jobs.c.changed_at >= since)
        going = _jobs.c.state.not_in([*FINAL, State.FOUND, State.READY, State.REJECTED, State.RESTORING])
        query = (
            sa.select(_jobs)
            .where(
                _jobs.c.order_key == order_key(job.digest, job.order),
                _jobs.c.id != job.id,
                sa.or_(done, sa.and_(going, _jobs.c.token.is_not(None))),
            )
            .order_by(_jobs.c.changed_at.desc())
            .limit(1)
        )
        row = self._connection.execute(query).first()
        return None if row is None else _job(row)

    def being_submitted(self, job: Job) -> bool:
        """Whether a submit that a server's list could not tell from this one is open."""
        assert job.order is not None
        query = sa.select(_jobs.c.id).where(
            _jobs.c.likeness == likeness(job.order),
            _jobs.c.state.in_([State.SUBMITTING, State.UNCERTAIN]),
            _jobs.c.id != job.id,
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def _remember(self, job: Job) -> None:
        self._connection.execute(
            _history.insert().values(job_id=job.id, at=self.now, state=job.state, reason=job.reason)
        )

    def history(self, job_id: str) -> list[Event]:
        query = sa.select(_history).where(_history.c.job_id == job_id).order_by(_history.c.number)
        return [Event(row.at, State(row.state), row.reason) for row in self._connection.execute(query)]

    # purchases

    def buy(self, job: Job) -> None:
        """Write down that ``job`` is about to be submitted under its token."""
        assert job.order is not None
        self._connection.execute(
            _purchases.insert().values(
                token=job.token,
                job_id=job.id,
                order_key=order_key(job.digest, job.order),
                likeness=likeness(job.order),
                at=self.now,
                micros=job.price,
                standing=Standing.OPEN,
                video_id=None,
            )
        )

    def settle(self, token: str, standing: Standing) -> None:
        """What became of a purchase."""
        self._connection.execute(_purchases.update().where(_purchases.c.token == token).values(standing=standing))

    def know_video(self, token: str, video_id: str) -> None:
        """Write down which video a purchase bought."""
        self._connection.execute(_purchases.update().where(_purchases.c.token == token).values(video_id=video_id))

    def purchases_like(self, job: Job) -> list[Purchase]:
        """Purchases of exactly this order."""
        assert job.order is not None
        return self._purchases(_purchases.c.order_key == order_key(job.digest, job.order))

    def rivals(self, job: Job) -> list[Purchase]:
        """Other submits without a known video that a server's list could not tell from this job's."""
        assert job.order is not None
        return self._purchases(
            sa.and_(
                _purchases.c.likeness == likeness(job.order),
                _purchases.c.token != job.token,
                _purchases.c.standing == Standing.OPEN,
                _purchases.c.video_id.is_(None),
            )
        )

    def known_videos(self, video_ids: Iterable[str]) -> set[str]:
        """Those of these ids that some purchase has."""
        query = sa.select(_purchases.c.video_id).where(_purchases.c.video_id.in_([*video_ids]))
        return set(self._connection.scalars(query))

    def spent(self, since: int) -> int:
        """Micro-dollars spent or reserved since then."""
        query = sa.select(sa.func.coalesce(sa.func.sum(_purchases.c.micros), 0)).where(
            _purchases.c.at >= since, _purchases.c.standing.in_([Standing.OPEN, Standing.SPENT])
        )
        return int(self._connection.scalar(query) or 0)

    def _purchases(self, condition: sa.ColumnElement[bool]) -> list[Purchase]:
        query = sa.select(_purchases).where(condition).order_by(_purchases.c.at)
        return [
            Purchase(row.token, row.job_id, row.at, row.micros, Standing(row.standing), row.video_id)
            for row in self._connection.execute(query)
        ]

    # commands and notes

    def command(self, verb: str, job_id: str | None = None, argument: str | None = None) -> None:
        self._connection.execute(_commands.insert().values(verb=verb, job_id=job_id, argument=argument, at=self.now))

    def take_commands(self) -> list[Command]:
        """The wishes since the last turn, oldest first; they are gone once the turn is committed."""
        rows = self._connection.execute(sa.select(_commands).order_by(_commands.c.number)).all()
        if rows:
            self._connection.execute(_commands.delete().where(_commands.c.number <= rows[-1].number))
        return [Command(row.number, row.verb, row.job_id, row.argument) for row in rows]

    def note(self, key: str) -> Any:
        """What `write_note` last wrote under ``key``, or None."""
        value = self._connection.scalar(sa.select(_notes.c.value).where(_notes.c.key == key))
        return None if value is None else json.loads(value)

    def write_note(self, key: str, value: Any) -> None:
        """Keep anything JSON can say; None forgets."""
        self._connection.execute(_notes.delete().where(_notes.c.key == key))
        if value is not None:
            self._connection.execute(_notes.insert().values(key=key, value=json.dumps(value)))


def _clock(connection: sa.Connection) -> sa.TextClause:
    if connection.dialect.name == "sqlite":
        return sa.text("SELECT CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
    return sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")


def _engine(url: str) -> sa.Engine:
    engine = sa.create_engine(
        url, poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False, "timeout": 30}
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        mode = "WAL" if _has_safe_wal(sqlite3.sqlite_version_info) else "TRUNCATE"
        if "mode=ro" not in url:
            cursor.execute(f"PRAGMA journal_mode={mode}")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    begin = "BEGIN" if "mode=ro" in url else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _has_safe_wal(version: tuple[int, ...]) -> bool:
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _check_version(connection: sa.Connection, path: Path) -> None:
    if not sa.inspect(connection).has_table("notes"):
        if sa.inspect(connection).get_table_names():
            raise UsageError(f"{path} is a database, but not one of sorawatch. Name another file in `state`.")
        return
    version = connection.scalar(sa.select(_notes.c.value).where(_notes.c.key == "schema"))
    if version is not None and int(version) > SCHEMA_VERSION:
        raise UsageError(f"{path} was written by a newer sorawatch (schema {version}). Install that version or newer.")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sa.exc.DatabaseError as error:
        cause = str(error.orig)
        if "malformed" in cause or "not a database" in cause:
            mend = f"Keep it aside for looking into: mv {path} {path}.damaged"
            raise UsageError(f"the state file {path} is damaged: {cause}. {mend}") from error
        raise Blocked(
            f"the state file {path} cannot be used: {cause}", "Check its disk and its permissions."
        ) from error


def _row(job: Job) -> dict[str, Any]:
    order = job.order
    sidecar_stamp = job.pair.sidecar_stamp
    return {
        "id": job.id,
        "state": job.state,
        "folder": job.pair.folder,
        "image": job.pair.image,
        "image_size": job.pair.image_stamp.size,
        "image_mtime_ns": job.pair.image_stamp.mtime_ns,
        "sidecar": job.pair.sidecar,
        "sidecar_size": sidecar_stamp and sidecar_stamp.size,
        "sidecar_mtime_ns": sidecar_stamp and sidecar_stamp.mtime_ns,
        "created_at": job.created_at,
        "changed_at": job.changed_at,
        "due_at": job.due_at,
        "prompt": order and order.prompt,
        "model": order and order.model,
        "size": order and str(order.size),
        "seconds": order and order.seconds,
        "fit": order and order.fit.value,
        "priority": order.priority if order else 0,
        "order_key": order_key(job.digest, order) if order and job.digest else None,
        "likeness": likeness(order) if order else None,
        "attempts": job.attempts,
        "reason": job.reason,
        "mend": job.mend,
        "digest": job.digest,
        "note": job.note,
        "price": job.price,
        "token": job.token,
        "submitted_at": job.submitted_at,
        "lost_at": job.lost_at,
        "misses": job.misses,
        "video_id": job.video_id,
        "progress": job.progress,
        "generations": job.generations,
        "charged": job.charged.value,
        "clip": job.clip,
        "filed": b"\0".join(os.fsencode(name) for name in job.filed),
    }


def _job(row: sa.Row[Any]) -> Job:
    order = None
    if row.prompt is not None:
        order = Order(row.prompt, row.model, _size(row.size), row.seconds, Fit(row.fit), row.priority)
    sidecar_stamp = None if row.sidecar is None else Stamp(row.sidecar_size, row.sidecar_mtime_ns)
    image_stamp = Stamp(row.image_size, row.image_mtime_ns)
    return Job(
        id=row.id,
        state=State(row.state),
        pair=Pair(row.folder, row.image, image_stamp, row.sidecar, sidecar_stamp),
        created_at=row.created_at,
        due_at=row.due_at,
        changed_at=row.changed_at,
        order=order,
        attempts=row.attempts,
        reason=row.reason,
        mend=row.mend,
        digest=row.digest,
        note=row.note,
        price=row.price,
        token=row.token,
        submitted_at=row.submitted_at,
        lost_at=row.lost_at,
        misses=row.misses,
        video_id=row.video_id,
        progress=row.progress,
        generations=row.generations,
        charged=Charged(row.charged),
        clip=row.clip,
        filed=tuple(os.fsdecode(name) for name in row.filed.split(b"\0")) if row.filed else (),
    )


def _size(text: str) -> Size | Aim:
    return Aim(text) if text in {*Aim} else Size.parse(text)
