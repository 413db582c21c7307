"""The data of ``sorawatch status`` and ``sorawatch show``, read from the state while the daemon may be running."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sorawatch.app.state import StateLocation
from sorawatch.core.batches import pause_of
from sorawatch.core.budget import next_beat
from sorawatch.core.calendar import LocalTime, day_of, month_of
from sorawatch.core.concurrency_limit import effective
from sorawatch.core.job import FINAL, Job, State
from sorawatch.core.naming import valid_text
from sorawatch.core.order import MICROS
from sorawatch.core.pause import Pause
from sorawatch.daemon.submission.usage_values import concurrency_limit, paced_until
from sorawatch.daemon.upkeep.find_job import find
from sorawatch.daemon.upkeep.pause_switch import is_paused
from sorawatch.daemon.upkeep.published_status import PAUSED, ConfigFile, PublishedStatus
from sorawatch.edges.store import HistoryEntry, Spending, Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.config import Config, Folders
    from sorawatch.core.limits import Limits

_ENDED = 20
"""How many of the latest ended jobs are shown."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one moment. Times are milliseconds of the store's clock, money is micro-dollars."""

    time: LocalTime
    running: bool
    jobs: tuple[Job, ...]
    """All unfinished jobs, then the latest ended ones."""
    counts: dict[State, int]
    published: PublishedStatus
    """The status of one daemon. It stands for all, because all daemons on a state use the same folders."""
    daemons: tuple[str, ...]
    """The running daemons, each as ``pid 123 on nas``."""
    pauses: tuple[Pause, ...]
    today: Spending
    month: Spending
    limits: Limits
    """Those that the daemon holds to; where none runs, those of the configuration file."""
    config_changed: ConfigFile | None
    """The configuration file as the daemon read it, if the file has changed since."""
    in_flight: int
    allowed: int
    """How many orders may be in flight at once, according to the configuration and the server."""
    paced_until: int
    """When the pace allows the next order; in the past if it delays none."""


def snapshot(config: Config) -> Snapshot:
    """Read the state.

    Raises:
        UsageError: if there is no state yet.
    """
    location = StateLocation.of(config)
    with closing(Store.open_for_reading(location.database)) as store, store.transaction() as tx:
        running = location.has_daemon(tx)
        published = location.published(tx)
        pauses = [pause for each in published for pause in each.pauses] if running else []
        if not running and is_paused(tx):
            pauses = [Pause(PAUSED)]
        if not running:
            pauses += [pause_of(batch, config.limits.confirm_above_micros) for batch in tx.batches.waiting()]
        limits = next((each.limits for each in published if running and each.limits), config.limits)
        return Snapshot(
            time=LocalTime(tx.now, config.timezone),
            running=running,
            jobs=(*tx.jobs.in_states({*State} - FINAL), *tx.jobs.latest(FINAL, _ENDED)),
            counts=tx.jobs.counts(),
            published=published[0] if published else PublishedStatus(),
            daemons=tuple(f"pid {each.pid} on {each.host}" for each in published) if running else (),
            pauses=tuple({pause.cause: pause for pause in reversed(pauses)}.values())[::-1],
            today=tx.spending.summary(day_of(tx.now, config.timezone).begins),
            month=tx.spending.summary(month_of(tx.now, config.timezone).begins),
            limits=limits,
            config_changed=_changed(config, published) if running else None,
            in_flight=tx.jobs.in_flight(),
            allowed=effective(concurrency_limit(tx), limits.in_flight or 1),
            paced_until=next_beat(limits, paced_until(tx)),
        )


def _changed(config: Config, published: Iterable[PublishedStatus]) -> ConfigFile | None:
    """What a daemon of this machine has read, if the file was changed since."""
    here, path = socket.gethostname(), valid_text(str(config.path))
    read = (each.config_file for each in published if each.host == here)
    return next((file for file in read if file and file.path == path and file.digest != config.digest), None)


def history(config: Config, text: str) -> tuple[Job, list[HistoryEntry], LocalTime]:
    """The job that ``text`` names, its history, and the present time.

    Raises:
        Rejected: if there is no such job.
        UsageError: if there is no state yet.
    """
    location = StateLocation.of(config)
    with closing(Store.open_for_reading(location.database)) as store, store.transaction() as tx:
        job = find(tx, text, config.folders)
        return job, tx.jobs.history(job.id), LocalTime(tx.now, config.timezone)


def as_json(snapshot: Snapshot) -> dict[str, object]:
    """The snapshot for programs: money in dollars, times in seconds since 1970."""
    published, now = snapshot.published, snapshot.time.now
    return {
        "daemon": {"running": snapshot.running, "pid": published.pid if snapshot.running else None},
        "daemons": snapshot.daemons,
        "pauses": [
            {**asdict(pause), "until": _seconds(pause.until), "since": _seconds(pause.since)}
            for pause in snapshot.pauses
        ],
        "limits": {
            "in_flight": snapshot.limits.in_flight,
            "submits_per_minute": snapshot.limits.submits_per_minute,
            "burst": snapshot.limits.burst,
            "usd_per_clip": _usd(snapshot.limits.micros_per_clip),
            "usd_per_day": _usd(snapshot.limits.micros_per_day),
            "usd_per_month": _usd(snapshot.limits.micros_per_month),
            "confirm_above_usd": _usd(snapshot.limits.confirm_above_micros),
        },
        "config_changed": snapshot.config_changed is not None,
        "watching": published.watching if snapshot.running else None,
        "in_flight": {
            "now": snapshot.in_flight,
            "allowed": snapshot.allowed,
            "limit": snapshot.limits.in_flight,
        },
        "paced_until": _seconds(snapshot.paced_until) if snapshot.paced_until > now else None,
        "spending": {
            "today": _spending(snapshot.today, snapshot.limits.micros_per_day),
            "month": _spending(snapshot.month, snapshot.limits.micros_per_month),
        },
        "counts": {state.value: count for state, count in sorted(snapshot.counts.items())},
        "jobs": [job_as_json(job) for job in snapshot.jobs],
        "waiting": [{"path": path, "why": why} for path, why in published.waiting],
        "waiting_count": published.waiting_count,
    }


def job_as_json(job: Job) -> dict[str, object]:
    """A job for programs. Bytes of file names that are not valid UTF-8 are escaped."""
    order = job.order
    return {
        "id": job.id,
        "state": job.state.value,
        "image": valid_text(job.pair.path),
        "sidecar": None if job.pair.sidecar is None else valid_text(job.pair.sidecar),
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
        "clip": None if job.clip is None else valid_text(job.clip),
        "created_at": _seconds(job.created_at),
        "changed_at": _seconds(job.changed_at),
        "due_at": None if job.state in FINAL else _seconds(job.due_at),
    }


def history_as_json(job: Job, entries: Iterable[HistoryEntry], folders: Folders) -> dict[str, object]:
    """A job with its full paths and its history, the oldest entry first, for programs."""
    items = [{"at": _seconds(entry.at), "state": entry.state.value, "reason": entry.reason} for entry in entries]
    clip = folders.clip(job)
    paths = {
        "picture": valid_text(str(folders.inbox / job.pair.path)),
        "moved_to": [valid_text(str(path)) for path in folders.filed(job)],
        "clip": None if clip is None else valid_text(str(clip)),
    }
    return {**job_as_json(job), "paths": paths, "history": items}


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
