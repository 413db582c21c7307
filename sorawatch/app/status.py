"""The data of ``sorawatch status`` and ``sorawatch show``, read from the state while the daemon may be running."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.app.outlook import Circumstances, ShownJob, Total, look, total
from sorawatch.app.state import StateLocation
from sorawatch.core.batches import pause_of
from sorawatch.core.budget import is_below, next_beat
from sorawatch.core.calendar import LocalTime, day_of, month_of
from sorawatch.core.concurrency_limit import effective
from sorawatch.core.job import FINAL, IN_FLIGHT, Job, State
from sorawatch.core.naming import valid_text
from sorawatch.core.order import MICROS
from sorawatch.core.pause import Pause
from sorawatch.daemon.submission.usage_values import concurrency_limit, paced_until
from sorawatch.daemon.upkeep.find_job import find, find_folder
from sorawatch.daemon.upkeep.pause_switch import is_paused
from sorawatch.daemon.upkeep.published_status import PAUSED, ConfigFile, PublishedStatus
from sorawatch.edges.store import HistoryEntry, Spending, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sorawatch.config import Config, Folders
    from sorawatch.core.limits import Limits
    from sorawatch.daemon.upkeep.published_status import UnusedFile
    from sorawatch.edges.store import Transaction

_ENDED = 20
"""How many of the latest ended jobs are shown, unless more are asked for."""
_RECENT = 86_400_000
"""Milliseconds for which a failure is shown among what needs a person."""
_GOING_ON = (
    State.UNCERTAIN, State.REJECTED, State.WITHDRAWN, State.RESTORING,
    State.DELIVERED, State.RENDERED, State.RENDERING, State.SUBMITTING, State.READY, State.FOUND,
)  # fmt: skip
"""The states of unfinished jobs that no person needs to look after, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which jobs are shown."""

    states: frozenset[State] = frozenset()
    """Empty for all."""
    folder: str = ""
    """As a person writes it; see `find_folder`."""
    most: int | None = None
    """At most so many that need a person, and so many others that go on."""
    all_ended: bool = False
    """Not only the latest ones."""

    def of(self, states: Iterable[State]) -> list[State]:
        """Those of ``states`` that are selected."""
        return [state for state in states if not self.states or state in self.states]

    @property
    def most_ended(self) -> int | None:
        if self.all_ended:
            return None
        return self.most if self.states else _ENDED


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one moment. Times are milliseconds of the store's clock, money is micro-dollars."""

    time: LocalTime
    running: bool
    selection: Selection
    """Its folder is relative to the inbox."""
    needing: tuple[ShownJob, ...]
    """Held jobs, then those that failed lately and were not dropped again since."""
    going_on: tuple[ShownJob, ...]
    """The other unfinished jobs."""
    ended: tuple[ShownJob, ...]
    """The latest ended ones, without those in ``needing``."""
    left_out: int
    """How many selected jobs that go on, or need a person, are not among them."""
    left_out_ended: int
    counts: dict[State, int]
    """Of the selected folder, in any state."""
    ready: Total
    """What ready orders of the selected folder will cost."""
    found: Total
    """What orders will cost whose picture was not prepared yet."""
    reserved_in_flight: int
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
    files: tuple[UnusedFile, ...]
    """Files of the selected folder that are not part of a job, as far as the daemon has listed them."""

    @property
    def shown(self) -> tuple[ShownJob, ...]:
        """All jobs that are shown."""
        return (*self.needing, *self.going_on, *self.ended)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(each.job for each in self.shown)


def snapshot(config: Config, selection: Selection = Selection()) -> Snapshot:
    """Read the state.

    Raises:
        Rejected: if the selected folder does not exist.
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
        selection = replace(selection, folder=find_folder(tx, selection.folder, config.folders))
        limits = next((each.limits for each in published if running and each.limits), config.limits)
        catalogue = next((each.catalogue for each in published if running and each.catalogue), config.catalogue)
        today = tx.spending.summary(day_of(tx.now, config.timezone).begins)
        month = tx.spending.summary(month_of(tx.now, config.timezone).begins)
        lefts = (today.left(limits.micros_per_day), month.left(limits.micros_per_month))
        now = Circumstances(
            time=LocalTime(tx.now, config.timezone),
            delays=[each.delays for each in published] if running else (),
            alike=frozenset().union(*(each.alike for each in published)),
            catalogue=catalogue,
            limits=limits,
            allowed=effective(concurrency_limit(tx), limits.in_flight or 1),
            paced_until=next_beat(limits, paced_until(tx)),
            micros_left=min((left for left in lefts if left is not None), default=None),
        )
        counts = tx.listing.counts(selection.folder)
        listed = _Listed.read(tx, selection, counts)
        groups = tx.listing.groups((State.READY, State.FOUND), selection.folder)
        under_way = tx.listing.groups(IN_FLIGHT, "")
        first = published[0] if published else PublishedStatus()
        return Snapshot(
            time=now.time,
            running=running,
            selection=selection,
            needing=tuple(look(tx, listed.needing, now)),
            going_on=tuple(look(tx, listed.going_on, now)),
            ended=tuple(look(tx, listed.ended, now)),
            left_out=listed.left_out,
            left_out_ended=listed.left_out_ended,
            counts=counts,
            ready=total((each for each in groups if each.state is State.READY), catalogue),
            found=total((each for each in groups if each.state is State.FOUND), catalogue),
            reserved_in_flight=sum(group.micros for group in under_way),
            published=first,
            daemons=tuple(f"pid {each.pid} on {each.host}" for each in published) if running else (),
            pauses=tuple({pause.cause: pause for pause in reversed(pauses)}.values())[::-1],
            today=today,
            month=month,
            limits=limits,
            config_changed=_changed(config, published) if running else None,
            in_flight=sum(group.count for group in under_way),
            allowed=now.allowed,
            paced_until=now.paced_until,
            files=tuple(each for each in first.waiting if is_below(each.path, valid_text(selection.folder))),
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    """The selected jobs."""

    needing: list[Job]
    going_on: list[Job]
    ended: list[Job]
    left_out: int
    left_out_ended: int

    @classmethod
    def read(cls, tx: Transaction, selection: Selection, counts: Mapping[State, int]) -> _Listed:
        """``counts`` are those of the selected folder."""
        folder, most = selection.folder, selection.most
        held = tx.listing.jobs(selection.of([State.HELD]), folder, most)
        failed: list[Job] = []
        if selection.of([State.FAILED]):
            failed = tx.listing.failures(tx.now - _RECENT, folder, None if selection.all_ended else _ENDED)
        going_on = tx.listing.jobs(selection.of(_GOING_ON), folder, most)
        ended = tx.listing.jobs(selection.of(FINAL), folder, selection.most_ended)
        told = {job.id for job in failed}
        ended = [job for job in ended if job.id not in told]
        of_unfinished = sum(counts.get(state, 0) for state in selection.of((State.HELD, *_GOING_ON)))
        of_ended = sum(counts.get(state, 0) for state in selection.of(FINAL))
        return cls(
            [*held, *failed],
            going_on,
            ended,
            of_unfinished - len(held) - len(going_on),
            of_ended - len(failed) - len(ended),
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
            "reserved_usd": _usd(snapshot.reserved_in_flight),
        },
        "ready": _total(snapshot.ready),
        "found": _total(snapshot.found),
        "paced_until": _seconds(snapshot.paced_until) if snapshot.paced_until > now else None,
        "spending": {
            "today": _spending(snapshot.today, snapshot.limits.micros_per_day),
            "month": _spending(snapshot.month, snapshot.limits.micros_per_month),
        },
        "counts": {state.value: count for state, count in sorted(snapshot.counts.items())},
        "folder": valid_text(snapshot.selection.folder),
        "jobs": [
            *(_shown_as_json(each, now, needs_person=True) for each in snapshot.needing),
            *(_shown_as_json(each, now) for each in (*snapshot.going_on, *snapshot.ended)),
        ],
        "left_out": {"going_on": snapshot.left_out, "ended": snapshot.left_out_ended},
        "waiting": [{"path": each.path, "why": each.why, "needs_person": not each.passes} for each in snapshot.files],
        "waiting_count": published.waiting_count,
    }


def _shown_as_json(shown: ShownJob, now: int, *, needs_person: bool = False) -> dict[str, object]:
    low, high = shown.prices or (None, None)
    return {
        **job_as_json(shown.job),
        "needs_person": needs_person,
        "waits_for": shown.waits_for,
        "lowest_price_usd": _usd(low),
        "highest_price_usd": _usd(high),
        "rendered_at": None if shown.rendered_in is None else _seconds(now + shown.rendered_in),
    }


def _total(orders: Total) -> dict[str, object]:
    return {
        "orders": orders.orders,
        "lowest_usd": _usd(orders.lowest),
        "highest_usd": _usd(orders.highest),
        "unpriced": orders.unpriced,
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
