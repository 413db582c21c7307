"""How things stand, read from the state without disturbing the daemon: what ``status`` and ``show`` tell."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sorawatch.app.state import StateLocation
from sorawatch.core.budget import next_beat
from sorawatch.core.calendar import day_of, month_of
from sorawatch.core.concurrency_limit import effective
from sorawatch.core.job import FINAL, Job, State
from sorawatch.core.naming import legible
from sorawatch.core.order import MICROS
from sorawatch.daemon.submission.allowance import allowance
from sorawatch.daemon.upkeep.find_job import find
from sorawatch.daemon.upkeep.status_note import PAUSED, Pause
from sorawatch.edges.store import HistoryEntry, Spending, Store

if TYPE_CHECKING:
    from sorawatch.config import Config
    from sorawatch.core.limits import Limits

_ENDED = 20
"""Ended jobs that are told, the latest."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment. Times are milliseconds of the store's clock, money is micro-dollars."""

    now: int
    running: bool
    jobs: tuple[Job, ...]
    """All that go on, then the latest that ended."""
    counts: dict[State, int]
    note: dict[str, Any]
    """What a daemon posted: ``pid``, ``waiting``, ``waiting_count``; several see the same folders."""
    daemons: tuple[str, ...]
    """Who works on it: ``pid 123 on nas``."""
    pauses: tuple[Pause, ...]
    today: Spending
    month: Spending
    limits: Limits
    in_flight: int
    allowed: int
    """What may be in flight at once, now that the server had its say."""
    paced_until: int
    """When the pace lets the next order go; long past where it is no hindrance."""


def snapshot(config: Config) -> Snapshot:
    """Read the state.

    Raises:
        UsageError: if there is none yet.
    """
    where = StateLocation.of(config)
    with closing(Store.open_for_reading(where.keeper)) as store, store.transaction() as tx:
        running = where.is_worked_on(tx)
        boards = where.boards(tx)
        pauses = [Pause(**pause) for board in boards for pause in board.get("pauses", [])] if running else []
        if not running and "since" in (tx.note("paused") or {}):
            pauses = [Pause(PAUSED)]
        return Snapshot(
            now=tx.now,
            running=running,
            jobs=(*tx.jobs({*State} - FINAL), *tx.latest(FINAL, _ENDED)),
            counts=tx.counts(),
            note=boards[0] if boards else {},
            daemons=tuple(f"pid {board.get('pid')} on {board.get('host')}" for board in boards) if running else (),
            pauses=tuple({pause.cause: pause for pause in reversed(pauses)}.values())[::-1],
            today=tx.books.spending(day_of(tx.now, config.timezone).begins),
            month=tx.books.spending(month_of(tx.now, config.timezone).begins),
            limits=config.limits,
            in_flight=tx.in_flight(),
            allowed=effective(allowance(tx), config.limits.in_flight or 1),
            paced_until=next_beat(config.limits, (tx.note("paces") or {}).get("", 0)),
        )


def history(config: Config, text: str) -> tuple[Job, list[HistoryEntry], int]:
    """The job that ``text`` means, all that happened to it, and the present time.

    Raises:
        Rejected: if there is no such job.
    """
    with closing(Store.open_for_reading(StateLocation.of(config).keeper)) as store, store.transaction() as tx:
        job = find(tx, text)
        return job, tx.history(job.id), tx.now


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """The snapshot for programs: money in dollars, times in seconds since 1970."""
    return {
        "daemon": {"running": snapshot.running, "pid": snapshot.note.get("pid") if snapshot.running else None},
        "daemons": snapshot.daemons,
        "pauses": [
            {**asdict(pause), "until": _seconds(pause.until), "since": _seconds(pause.since)}
            for pause in snapshot.pauses
        ],
        "watching": snapshot.note.get("watching") if snapshot.running else None,
        "in_flight": {
            "now": snapshot.in_flight,
            "allowed": snapshot.allowed,
            "limit": snapshot.limits.in_flight,
        },
        "paced_until": _seconds(snapshot.paced_until) if snapshot.paced_until > snapshot.now else None,
        "spending": {
            "today": _spending(snapshot.today, snapshot.limits.micros_per_day),
            "month": _spending(snapshot.month, snapshot.limits.micros_per_month),
        },
        "counts": {state.value: count for state, count in sorted(snapshot.counts.items())},
        "jobs": [job_as_json(job) for job in snapshot.jobs],
        "waiting": [{"path": path, "why": why} for path, why in snapshot.note.get("waiting", [])],
        "waiting_count": snapshot.note.get("waiting_count", 0),
    }


def job_as_json(job: Job) -> dict[str, object]:
    """A job for programs. Names that are not valid text have their bytes escaped."""
    order = job.order
    return {
        "id": job.id,
        "state": job.state.value,
        "image": legible(job.pair.path),
        "sidecar": None if job.pair.sidecar is None else legible(job.pair.sidecar),
        "model": order.model if order else None,
        "size": str(order.size) if order else None,
        "seconds": order.seconds if order else None,
        "take": order.take if order else None,
        "price_usd": _usd(job.price),
        "charged": job.charged.value,
        "video_id": job.video_id,
        "progress": job.progress,
        "attempts": job.attempts,
        "reason": job.reason,
        "obstacle": job.obstacle,
        "hint": job.hint,
        "note": job.note,
        "clip": None if job.clip is None else legible(job.clip),
        "created_at": _seconds(job.created_at),
        "changed_at": _seconds(job.changed_at),
        "due_at": None if job.state in FINAL else _seconds(job.due_at),
    }


def history_as_json(job: Job, events: Iterable[HistoryEntry]) -> dict[str, object]:
    """A job and all that happened to it, the oldest first, for programs."""
    happened = [{"at": _seconds(event.at), "state": event.state.value, "reason": event.reason} for event in events]
    return {**job_as_json(job), "history": happened}


def _spending(spending: Spending, cap: int | None) -> dict[str, object]:
    return {
        "spent_usd": _usd(spending.spent),
        "reserved_usd": _usd(spending.reserved),
        "left_usd": _usd(spending.left(cap)),
        "cap_usd": _usd(cap),
        "clips": spending.clips,
    }


def _usd(micros: int | None) -> float | None:
    return None if micros is None else micros / MICROS


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000
