"""The data of ``sorawatch plan``: what lies in the inbox, what it would cost, and when it would be done.

Nothing is ordered or written, whether or not a daemon is running. Pictures are not opened; their files are read only if
one of the same size was ordered before, or lies in the inbox a second time.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sorawatch.app.build import admission
from sorawatch.app.folders import marked_folders, require_own_inbox
from sorawatch.app.state import StateLocation
from sorawatch.app.state_identity import known_state_id
from sorawatch.core.batches import WINDOW_MS, Recent, expected_price, must_wait
from sorawatch.core.budget import LimitScope, Usage, is_below
from sorawatch.core.calendar import LocalTime, day_of, month_of
from sorawatch.core.concurrency_limit import effective
from sorawatch.core.job import FINAL, IN_FLIGHT, UNPAID, Job, State, top_folder
from sorawatch.core.naming import one_line, order_key, valid_text
from sorawatch.core.order import MICROS, Aim, Order, Size
from sorawatch.core.schedule import Load, Task, done_at
from sorawatch.core.turns import Head, Urgency, in_turn
from sorawatch.daemon.actions.render_times import past_durations
from sorawatch.daemon.intake.scan import InboxScanner, NewPair, ScanResult, new_job
from sorawatch.daemon.submission import usage_values
from sorawatch.daemon.upkeep.find_job import inbox_folder
from sorawatch.daemon.upkeep.pause_switch import is_paused
from sorawatch.daemon.upkeep.published_status import PAUSED
from sorawatch.edges.inbox import Inbox, digest_of
from sorawatch.edges.marker import require_marker
from sorawatch.edges.store import Store
from sorawatch.errors import Blocked, Deferred, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sorawatch.config import Config
    from sorawatch.edges.store import Transaction

ASSUMED_MS = 180_000
"""How long a render is assumed to take if none of its kind was made yet."""
_SHAPES = (Size(16, 9), Size(9, 16))


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """A pair that would be ordered."""

    path: str
    folder: str
    order: Order
    price: int | None
    """Micro-dollars; None if it is not known, 0 also if its clip exists already and is only fetched."""
    done_at: int | None
    """Milliseconds of the store's clock; None if a limit keeps it back until a person acts."""
    note: str = ""
    awaits_approval: bool = False


@dataclass(frozen=True, slots=True)
class PlannedRefusal:
    """A pair that would be moved to the errors folder."""

    path: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True)
class WaitingPair:
    """A file or a pair that would not be ordered now."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A pair whose order was sent."""

    path: str
    job: str
    state: State
    price: int | None
    done_at: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done with the pictures in the inbox. Orders are in the order in which they would be sent."""

    time: LocalTime
    orders: tuple[PlannedOrder, ...]
    refused: tuple[PlannedRefusal, ...]
    waiting: tuple[WaitingPair, ...]
    under_way: tuple[UnderWay, ...]
    pauses: tuple[str, ...]
    """Why nothing would be submitted now."""
    assumed: bool
    """For some orders no render of the same kind is known, so that its duration is assumed."""


@dataclass(slots=True)
class _Draft:
    """What is found out about the pairs, before the times are estimated."""

    orders: list[tuple[Job, int | None, str]] = field(default_factory=list)
    """Each with its price and a note."""
    refused: list[PlannedRefusal] = field(default_factory=list)
    waiting: list[WaitingPair] = field(default_factory=list)
    under_way: list[Job] = field(default_factory=list)


def read(config: Config, folder: Path | None) -> Plan:
    """Find out what would be done with the inbox, or with one of its folders and those below it.

    Raises:
        UsageError: if there is no such folder, the state is of another version, or the inbox belongs to another state.
        Blocked, Deferred: if the inbox or the state cannot be read.
    """
    below = "" if folder is None else inbox_folder(config.folders, folder)
    if not (config.folders.inbox / below).is_dir() and below:
        raise UsageError(f"there is no folder {one_line(below)} in the inbox {one_line(str(config.folders.inbox))}.")
    database = StateLocation.of(config).database
    if not database.is_there():
        return _planned(config, None, below)
    with closing(Store.open_for_reading(database)) as store, store.transaction() as tx:
        if str(config.folders.inbox) in marked_folders(tx):
            require_marker(config.folders.inbox)
        if (state := known_state_id(tx)) is not None:
            require_own_inbox(config, state)
        return _planned(config, tx, below)


def _planned(config: Config, tx: Transaction | None, below: str) -> Plan:
    now = time.time_ns() // 1_000_000 if tx is None else tx.now
    scan = _scan(config)
    unfinished = [] if tx is None else tx.jobs.in_states({*State} - FINAL)
    draft = _Sorter(config, tx, scan, now, {job.pair.path: job for job in unfinished}).sort()
    draft.orders = [*_in_turn(draft.orders)]
    estimate = _Estimate(config, tx, scan.folder_limits, now, [job for job in unfinished if job.state in IN_FLIGHT])
    ends = estimate.ends([(job, price) for job, price, _ in draft.orders])
    approval = _awaiting_approval(config, tx, now, draft.orders)
    orders = [
        PlannedOrder(job.pair.path, job.pair.folder, job.order, price, end, note, job.id in approval)
        for (job, price, note), end in zip(draft.orders, ends, strict=True)
        if job.order is not None
    ]
    under_way = [UnderWay(job.pair.path, job.id, job.state, job.price, estimate.end_of(job)) for job in draft.under_way]
    return Plan(
        LocalTime(now, config.timezone),
        tuple(each for each in orders if is_below(each.folder, below)),
        tuple(each for each in draft.refused if _is_in(each.path, below)),
        tuple(each for each in draft.waiting if _is_in(each.path, below)),
        tuple(each for each in under_way if _is_in(each.path, below)),
        tuple(_pauses(tx, scan)),
        estimate.assumed,
    )


def _scan(config: Config) -> ScanResult:
    """What the inbox holds now. A file counts as complete if it does not change between two listings."""
    watch = config.watch
    inbox = Inbox(config.folders.inbox, ignore=watch.ignore, settle_seconds=0)
    scanner = InboxScanner(inbox, config.defaults, config.catalogue, lambda: None, sidecar_grace_seconds=0)
    scanner.scan({}, time.monotonic())
    return scanner.scan({}, time.monotonic())


def _pauses(tx: Transaction | None, scan: ScanResult) -> Iterator[str]:
    if scan.listing.pause_file is not None:
        yield f"a file named {one_line(scan.listing.pause_file)} is in the inbox; remove it to continue"
    if tx is not None and is_paused(tx):
        yield PAUSED


class _Sorter:
    """Decides for each pair whether it would be ordered, refused, or wait."""

    def __init__(
        self, config: Config, tx: Transaction | None, scan: ScanResult, now: int, jobs: dict[str, Job]
    ) -> None:
        """``jobs`` are the unfinished ones, by the path of their picture."""
        self._config = config
        self._tx = tx
        self._scan = scan
        self._now = now
        self._jobs = jobs
        self._admission = admission(config)
        counts = Counter(each.pair.image_stamp.size for each in scan.new)
        self._ambiguous = {size for size, count in counts.items() if count > 1}
        if tx is not None and self._admission.refuse_duplicates:
            self._ambiguous |= tx.orders.picture_sizes()
        self._keys: dict[str, str] = {}
        """The paths of the pictures that would be ordered, by the key of their order."""
        self._draft = _Draft()

    def sort(self) -> _Draft:
        for found in sorted(self._scan.new, key=lambda each: each.pair.path):
            self._sort(found)
        self._draft.waiting += [WaitingPair(each.path, each.why) for each in self._scan.waiting]
        return self._draft

    def _sort(self, found: NewPair) -> None:
        job = self._jobs.get(found.pair.path)
        if job is not None and job.pair == found.pair and job.state not in UNPAID:
            if job.state is State.HELD:
                self._draft.waiting.append(WaitingPair(job.pair.path, f"job {job.id} is held: {job.reason}"))
            else:
                self._draft.under_way.append(job)
            return
        if job is None or job.pair != found.pair:
            job = new_job(found, self._now)
            if job.order is not None and self._tx is not None:
                job = replace(job, order=replace(job.order, take=self._tx.orders.take_of(job.pair)))
        job = self._admission.check_limits(job, self._now, self._scan.folder_limits)
        if job.state is State.REJECTED:
            self._refuse(job)
            return
        blocked = next(
            (each for each in self._scan.folder_limits if each.blocked and each.covers(job.pair.folder)), None
        )
        if blocked is not None and blocked.blocked is not None:
            self._draft.waiting.append(WaitingPair(job.pair.path, blocked.blocked.pause.reason))
            return
        self._compare(job)

    def _compare(self, job: Job) -> None:
        """Compare an order with those that were made before, and with the others in the inbox."""
        order = job.order
        assert order is not None
        price = expected_price(self._config.catalogue[order.model], order)
        if job.pair.image_stamp.size in self._ambiguous:
            try:
                digest = digest_of(self._config.folders.inbox, job.pair.path)
            except (Blocked, Deferred) as error:
                self._draft.waiting.append(WaitingPair(job.pair.path, f"cannot be read: {error}"))
                return
            job = replace(job, digest=digest)
            for each in self._sized(job):
                after = each if self._tx is None else self._admission.without_buying(self._tx, each)
                if after.state in {State.REJECTED, State.WITHDRAWN}:
                    self._refuse(after)
                    return
                if after.state is not each.state:
                    self._draft.orders.append((job, 0, "its clip was bought before and is only fetched"))
                    return
                if after is not each:
                    self._draft.waiting.append(WaitingPair(job.pair.path, after.reason))
                    return
            key = order_key(job.digest, order)
            first = self._keys.setdefault(key, job.pair.path)
            if first != job.pair.path and self._admission.refuse_duplicates:
                hint = "Ask for something else in its sidecar, or take it out of the inbox."
                why = f"it is the same order as that of {one_line(first)}"
                self._draft.refused.append(PlannedRefusal(job.pair.path, why, hint))
                return
        self._draft.orders.append((job, price, ""))

    def _sized(self, job: Job) -> list[Job]:
        """The job with each size that it may get, as a prepared one. A picture has only one of the shapes."""
        assert job.order is not None
        model, order = self._config.catalogue[job.order.model], job.order
        shapes = _SHAPES if isinstance(order.size, Aim) else _SHAPES[:1]
        sizes = dict.fromkeys(model.resolve(order.size, shape) for shape in shapes)
        return [replace(job, state=State.READY, order=replace(order, size=size)) for size in sizes]

    def _refuse(self, job: Job) -> None:
        # A command for this job would find none: it exists only here.
        hint = "" if job.id in job.hint else job.hint
        self._draft.refused.append(PlannedRefusal(job.pair.path, job.reason, hint))


def _in_turn(orders: Iterable[tuple[Job, int | None, str]]) -> Iterator[tuple[Job, int | None, str]]:
    """In the order in which they would be sent."""
    folders: dict[str, list[tuple[Job, int | None, str]]] = defaultdict(list)
    for each in sorted(orders, key=_urgency):
        folders[top_folder(each[0].pair.folder)].append(each)
    heads = [Head(folder, 0, _urgency(each[0])) for folder, each in folders.items()]
    return in_turn(heads, lambda folder: iter(folders[folder]), _urgency)


def _urgency(planned: tuple[Job, int | None, str]) -> Urgency:
    job = planned[0]
    priority = job.order.priority if job.order else 0
    return -priority, job.created_at, job.pair.image_stamp.mtime_ns, job.pair.image, job.pair.path


def _awaiting_approval(
    config: Config, tx: Transaction | None, now: int, orders: Sequence[tuple[Job, int | None, str]]
) -> set[str]:
    """The ids of the jobs that wait for approval, or would if they were added now."""
    recent, waiting = Recent(0, has_waiting=False), set[str]()
    if tx is not None:
        recent, waiting = tx.batches.recent(now - WINDOW_MS), tx.batches.waiting_jobs()
    new = {job.id: price for job, price, _ in orders if job.created_at == now and price}
    total = replace(recent, micros=recent.micros + sum(new.values()))
    if new and must_wait(config.limits.confirm_above_micros, total):
        waiting |= new.keys()
    return waiting


class _Estimate:
    """Estimates when orders are done, by the past renders of their kind, the places, the pace and the caps."""

    def __init__(
        self,
        config: Config,
        tx: Transaction | None,
        folder_limits: Sequence[LimitScope],
        now: int,
        in_flight: Sequence[Job],
    ) -> None:
        self._tx = tx
        self._now = now
        self._zone = config.timezone
        self._config = config
        self._durations: dict[tuple[str, str, int], int] = {}
        self.assumed = False
        places = config.limits.in_flight or 1
        if tx is not None:
            places = effective(usage_values.concurrency_limit(tx), places)
        self._total = LimitScope(replace(config.limits, in_flight=places))
        self._folder_limits = folder_limits
        day, month = day_of(now, self._zone), month_of(now, self._zone)
        self._loads = {
            scope: Load(
                Usage(0, 0, 0) if tx is None else usage_values.usage(tx, scope, day, month),
                tuple(self.end_of(job) or now for job in in_flight if scope.covers(job.pair.folder)),
            )
            for scope in (self._total, *folder_limits)
        }

    def ends(self, orders: Iterable[tuple[Job, int | None]]) -> list[int | None]:
        """When each order is done, in the order in which they are sent."""
        tasks = [Task(price or 0, self._duration(job), self._scopes(job)) for job, price in orders]
        return done_at(tasks, self._loads, self._now, self._zone)

    def end_of(self, job: Job) -> int | None:
        """When a job that is under way will be done; None if it will be moved to the errors folder."""
        match job.state:
            case State.RENDERING:
                return max(self._now, job.changed_at + self._duration(job))
            case State.SUBMITTING | State.UNCERTAIN:
                return self._now + self._duration(job)
            case State.RENDERED | State.DELIVERED:
                return self._now
            case _:
                return None

    def _scopes(self, job: Job) -> tuple[LimitScope, ...]:
        return self._total, *(scope for scope in self._folder_limits if scope.covers(job.pair.folder))

    def _duration(self, job: Job) -> int:
        """The median of the past renders of this kind."""
        assert job.order is not None
        order = job.order
        if isinstance(order.size, Aim) and order.model in self._config.catalogue:
            order = replace(order, size=self._config.catalogue[order.model].resolve(order.size, _SHAPES[0]))
        kind = order.model, str(order.size), order.seconds
        if kind not in self._durations:
            past = () if self._tx is None else past_durations(self._tx, order)
            self.assumed = self.assumed or not past
            self._durations[kind] = past[len(past) // 2] if past else ASSUMED_MS
        return self._durations[kind]


def _is_in(path: str, below: str) -> bool:
    """Whether a file or folder at ``path`` is in the folder ``below`` of the inbox, or is that folder."""
    return is_below(path, below)


def sums(orders: Iterable[PlannedOrder]) -> dict[str, tuple[int, int, int]]:
    """By folder: the number of orders, their price in micro-dollars, and how many have no known price."""
    found: dict[str, tuple[int, int, int]] = {}
    for each in orders:
        count, micros, unknown = found.get(each.folder, (0, 0, 0))
        found[each.folder] = count + 1, micros + (each.price or 0), unknown + (each.price is None)
    return dict(sorted(found.items()))


def as_json(plan: Plan) -> dict[str, object]:
    """The plan for programs: money in dollars, times in seconds since 1970."""
    by_folder = sums(plan.orders)
    ends = [each.done_at for each in plan.orders]
    return {
        "orders": [
            {
                "image": valid_text(each.path),
                "folder": valid_text(each.folder),
                "model": each.order.model,
                "size": str(each.order.size),
                "seconds": each.order.seconds,
                "priority": each.order.priority,
                "take": each.order.take,
                "price_usd": _usd(each.price),
                "done_at": _seconds(each.done_at),
                "awaits_approval": each.awaits_approval,
                "note": each.note,
            }
            for each in plan.orders
        ],
        "folders": [
            {"folder": valid_text(folder), "orders": count, "usd": _usd(micros), "unknown_prices": unknown}
            for folder, (count, micros, unknown) in by_folder.items()
        ],
        "refused": [{"image": valid_text(each.path), "why": each.why, "hint": each.hint} for each in plan.refused],
        "waiting": [{"path": valid_text(each.path), "why": valid_text(each.why)} for each in plan.waiting],
        "under_way": [
            {
                "image": valid_text(each.path),
                "job": each.job,
                "state": each.state.value,
                "price_usd": _usd(each.price),
                "done_at": _seconds(each.done_at),
            }
            for each in plan.under_way
        ],
        "total": {
            "orders": len(plan.orders),
            "usd": _usd(sum(micros for _, micros, _ in by_folder.values())),
            "unknown_prices": sum(unknown for _, _, unknown in by_folder.values()),
            "done_at": None if None in ends else _seconds(max((end for end in ends if end is not None), default=None)),
        },
        "pauses": list(plan.pauses),
        "assumed_seconds": ASSUMED_MS / 1000 if plan.assumed else None,
    }


def _usd(micros: int | None) -> float | None:
    return None if micros is None else micros / MICROS


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000
