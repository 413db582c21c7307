"""What was ordered, how it ended and what it cost. This is the only shared state, and safe to use from any thread."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sorawatch.simulator.orders import GenerationPlan, Order


class TooManyRunningError(Exception):
    """As many videos are unfinished as the server takes."""


class RepeatedIdError(Exception):
    """There is a video with this id."""


@dataclass(frozen=True, slots=True)
class LedgerVideo:
    """One accepted create. ``billed`` is in dollars, ``created_at`` in Unix seconds.

    ``status`` is one of ``queued in_progress completed failed cancelled deleted forgotten``. A failed generation is not
    billed. ``reference_sha256`` is empty if the server has no picture, or ignored it.
    """

    id: str
    prompt: str
    model: str
    size: str
    seconds: str
    reference_sha256: str
    status: str
    created_at: int
    billed: float
    downloads: int
    polls: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """All counts since the start.

    ``creates`` are the accepted creates, ``rejected`` all others. ``duplicates`` are accepted creates with the same
    reference and prompt as an earlier one. ``downloads`` are responses with a clip or a part of one. ``polls`` and
    ``lists`` are requests with a valid key, ``deletes`` are deleted videos.
    """

    requests: int
    creates: int
    duplicates: int
    polls: int
    lists: int
    downloads: int
    deletes: int
    rejected: int
    in_flight: int
    max_in_flight: int
    usd: float
    videos: tuple[LedgerVideo, ...]


@dataclass(slots=True)
class SimulatedVideo:
    """One accepted order. ``started`` is on the monotonic clock, ``*_at`` are Unix seconds."""

    sequence: int
    order: Order
    plan: GenerationPlan
    created_at: int
    started: float | None
    """When its generation began; None while it waits for earlier ones."""
    account: str = ""
    """Whose it is. Others do not find it."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to finish the generation before its time."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the generation is over."""
    outcome: str | None = None
    completed_at: int | None = None
    ended_at: float | None = None
    expires_at: float | None = None
    billed: Decimal = Decimal(0)
    downloads: int = 0
    polls: int = 0

    @property
    def id(self) -> str:
        return self.plan.id

    def is_expired(self) -> bool:
        """Whether the server has deleted the clip."""
        return self.expires_at is not None and self.expires_at <= time.time()

    def progress(self, now: float | None = None) -> tuple[str, int]:
        """Status and percentage at ``now`` on the monotonic clock. Queued for a tenth of the time, at most a second."""
        if self.outcome is not None:
            return self.outcome, 100 if self.outcome == "completed" else 0
        if self.started is None:
            return "queued", 0
        elapsed, total = (time.monotonic() if now is None else now) - self.started, self.plan.generation_seconds
        if elapsed <= min(1.0, total / 10):
            return "queued", 0
        return "in_progress", min(99, int(100 * elapsed / total)) if total else 99

    def entry(self, now: float) -> LedgerVideo:
        order = self.order
        return LedgerVideo(
            self.id,
            order.prompt,
            order.model,
            order.size,
            order.seconds,
            order.reference_sha256,
            self.progress(now)[0],
            self.created_at,
            float(self.billed),
            self.downloads,
            self.polls,
        )


class LedgerBook:
    """All accepted orders and the counts. Every method may be called from any thread."""

    def __init__(self, lifetime_seconds: float, max_running: int | None) -> None:
        self._lifetime_seconds = lifetime_seconds
        self._max_running = max_running
        self._changed = threading.Condition()
        self._counts: Counter[str] = Counter()
        self._pairs: set[tuple[str, str]] = set()
        self._videos: dict[str, SimulatedVideo] = {}
        """What the server knows, by id; of several with one id, the last."""
        self._order: list[SimulatedVideo] = []
        self._running = 0
        self._most_running = 0

    def count(self, *names: str) -> None:
        """Add one to each named field of the ledger."""
        with self._changed:
            self._counts.update(names)
            self._changed.notify_all()

    def accept(
        self,
        order: Order,
        plan: GenerationPlan,
        account: str = "",
        *,
        starts: bool = True,
        unique_ids: bool = False,
    ) -> SimulatedVideo:
        """Accept and bill an order, whose generation starts at once or later.

        Raises:
            RepeatedIdError: with ``unique_ids``, if there is a video with the id of the plan.
            TooManyRunningError: if no more videos are taken.
        """
        with self._changed:
            if unique_ids and plan.id in self._videos:
                raise RepeatedIdError
            if self._max_running is not None and self._running >= self._max_running:
                raise TooManyRunningError
            started = time.monotonic() if starts else None
            number, now = len(self._order), int(time.time())
            video = SimulatedVideo(number, order, plan, now, started, account, billed=order.usd)
            self._videos[plan.id] = video
            self._order.append(video)
            self._pairs.add((order.reference_sha256, order.prompt))
            self._running += 1
            self._most_running = max(self._most_running, self._running)
            self._changed.notify_all()
            return video

    def start(self, video: SimulatedVideo) -> None:
        """The generation of a video that had to wait begins."""
        with self._changed:
            if video.started is None:
                video.started = time.monotonic()

    def finish(self, video: SimulatedVideo) -> None:
        """Record the end of a generation: a success, or the error of the plan, which costs nothing."""
        self._end(video, "completed" if video.plan.error is None else "failed")

    def cancel(self, video: SimulatedVideo) -> None:
        """Stop an unfinished generation, which then costs nothing."""
        self._end(video, "cancelled")

    def find(self, video_id: str, account: str | None = None) -> SimulatedVideo | None:
        """The video with this id, of any account if none is given; None if there is none, or it was deleted."""
        with self._changed:
            video = self._videos.get(video_id)
            return video if video is not None and account in {None, video.account} else None

    def all(self) -> list[SimulatedVideo]:
        """Every video that the server knows, in the order of acceptance, with those whose id was used again."""
        with self._changed:
            return list(self._listed(0, 1))

    def count_poll(self, video: SimulatedVideo) -> None:
        with self._changed:
            video.polls += 1

    def count_download(self, video: SimulatedVideo) -> None:
        with self._changed:
            video.downloads += 1
            self._counts["downloads"] += 1
            self._changed.notify_all()

    def delete(self, video: SimulatedVideo) -> None:
        """Delete a video, whose generation stops. Its cost still counts."""
        self._end(video, "deleted")
        with self._changed:
            self._videos.pop(video.id, None)
            video.outcome = "deleted"
            self._counts["deletes"] += 1
            self._changed.notify_all()

    def forget(self) -> list[SimulatedVideo]:
        """Forget all videos, whose generations stop, and return them. Their cost still counts."""
        forgotten = self.all()
        for video in forgotten:
            self._end(video, "forgotten")
        with self._changed:
            for video in forgotten:
                video.outcome = "forgotten"
            self._videos.clear()
            self._changed.notify_all()
        return forgotten

    def page(
        self, account: str, after: SimulatedVideo | None, limit: int, *, descending: bool
    ) -> tuple[list[SimulatedVideo], bool]:
        """At most ``limit`` videos of an account after ``after``, and whether there are more."""
        with self._changed:
            step = -1 if descending else 1
            start = (len(self._order) - 1 if descending else 0) if after is None else after.sequence + step
            own = (video for video in self._listed(start, step) if video.account == account)
            found = list(islice(own, limit + 1))
            return found[:limit], len(found) > limit

    def unfinished(self) -> list[SimulatedVideo]:
        with self._changed:
            return [video for video in self._order if video.outcome is None]

    def snapshot(self) -> Ledger:
        with self._changed:
            now = time.monotonic()
            names = ("requests", "polls", "lists", "downloads", "deletes", "rejected")
            return Ledger(
                **{name: self._counts[name] for name in names},
                creates=len(self._order),
                duplicates=len(self._order) - len(self._pairs),
                in_flight=self._running,
                max_in_flight=self._most_running,
                usd=float(sum((video.billed for video in self._order), Decimal(0))),
                videos=tuple(video.entry(now) for video in self._order),
            )

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Whether ``condition`` became true within ``timeout`` seconds. It is checked after every change."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def _end(self, video: SimulatedVideo, outcome: str) -> None:
        with self._changed:
            if video.outcome is not None:
                return
            self._running -= 1
            video.outcome, video.ended_at = outcome, time.time()
            if outcome == "completed":
                video.completed_at = int(video.ended_at)
                if math.isfinite(self._lifetime_seconds):
                    video.expires_at = video.ended_at + self._lifetime_seconds
            elif outcome in ("failed", "cancelled"):
                video.billed = Decimal(0)
            self._changed.notify_all()

    def _listed(self, start: int, step: int) -> Iterator[SimulatedVideo]:
        stop = len(self._order) if step > 0 else -1
        hidden = ("deleted", "forgotten")
        return (self._order[at] for at in range(start, stop, step) if self._order[at].outcome not in hidden)
