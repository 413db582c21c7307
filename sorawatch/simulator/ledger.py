"""What was ordered, how it ended and what it cost. This is the only shared state, and safe to use from any thread."""

from __future__ import annotations

import asyncio
import math
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from sorawatch.simulator.contract import no_such_video, too_many_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sorawatch.simulator.contract import CreateRequest
    from sorawatch.simulator.settings import SimulatorSettings


@dataclass(frozen=True, slots=True)
class LedgerVideo:
    """One accepted create. ``billed`` is in dollars, ``created_at`` in Unix seconds.

    ``status`` is one of ``queued in_progress completed failed deleted``. A failed generation is not billed.
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


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """How a video will be generated, decided when its order is accepted. With an ``error`` the generation fails."""

    id: str
    generation_seconds: float
    error: dict[str, object] | None = None

    @classmethod
    def default(cls, generation_seconds: float) -> GenerationPlan:
        return cls(f"video_{secrets.token_hex(16)}", generation_seconds)


@dataclass(slots=True)
class SimulatedVideo:
    """One accepted order. ``started`` is on the monotonic clock, ``*_at`` are Unix seconds."""

    sequence: int
    order: CreateRequest
    plan: GenerationPlan
    created_at: int
    started: float
    account: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set to finish the generation before its time."""
    outcome: str | None = None
    completed_at: int | None = None
    expires_at: float | None = None
    billed: Decimal = Decimal(0)
    downloads: int = 0
    polls: int = 0

    def progress(self, now: float) -> tuple[str, int]:
        """Status and percentage at ``now`` on the monotonic clock. Queued for a tenth of the time, at most a second."""
        if self.outcome is not None:
            return self.outcome, 100 if self.outcome == "completed" else 0
        elapsed, total = now - self.started, self.plan.generation_seconds
        if elapsed <= min(1.0, total / 10):
            return "queued", 0
        return "in_progress", min(99, int(100 * elapsed / total)) if total else 99

    def resource(self, now: float | None = None) -> dict[str, object]:
        """The ``VideoResource`` of the OpenAPI schema, with the ``quality`` of the API reference."""
        status, progress = self.progress(time.monotonic() if now is None else now)
        return {
            "id": self.plan.id,
            "object": "video",
            "model": self.order.model,
            "status": status,
            "progress": progress,
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "expires_at": None if self.expires_at is None else int(self.expires_at),
            "prompt": self.order.prompt,
            "size": self.order.size,
            "seconds": self.order.seconds,
            "quality": self.order.quality,
            "remixed_from_video_id": None,
            "error": self.plan.error if status == "failed" else None,
        }

    def entry(self, now: float) -> LedgerVideo:
        order = self.order
        return LedgerVideo(
            self.plan.id,
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

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._changed = threading.Condition()
        self._counts: Counter[str] = Counter()
        self._pairs: set[tuple[str, str]] = set()
        self._videos: dict[str, SimulatedVideo] = {}
        self._order: list[SimulatedVideo] = []
        self._running = 0
        self._most_running = 0

    def count(self, *names: str) -> None:
        """Add one to each named field of the ledger."""
        with self._changed:
            self._counts.update(names)
            self._changed.notify_all()

    def accept(self, order: CreateRequest, plan: GenerationPlan, account: str = "") -> SimulatedVideo:
        """Accept and bill an order. Raises ApiError 429 if too many are running."""
        with self._changed:
            if self._settings.max_running is not None and self._running >= self._settings.max_running:
                raise too_many_running()
            number, now, started = len(self._order), int(time.time()), time.monotonic()
            video = SimulatedVideo(number, order, plan, now, started, account, billed=order.usd)
            self._videos[plan.id] = video
            self._order.append(video)
            self._pairs.add((order.reference_sha256, order.prompt))
            self._running += 1
            self._most_running = max(self._most_running, self._running)
            self._changed.notify_all()
            return video

    def finish(self, video: SimulatedVideo) -> None:
        """Record the end of a generation: a success, or the error of the plan, which costs nothing."""
        with self._changed:
            now = time.time()
            self._running -= 1
            if video.plan.error is None:
                video.outcome, video.completed_at = "completed", int(now)
                lifetime = self._settings.clip_lifetime_seconds
                video.expires_at = now + lifetime if math.isfinite(lifetime) else None
            else:
                video.outcome, video.billed = "failed", Decimal(0)
            self._changed.notify_all()

    def find(self, video_id: str, account: str | None = None) -> SimulatedVideo:
        """The video with this id, of any account if none is given.

        Raises:
            ApiError: 404 if there is none, or it was deleted.
        """
        with self._changed:
            video = self._videos.get(video_id)
            if video is None or account not in {None, video.account}:
                raise no_such_video(video_id)
            return video

    def count_poll(self, video: SimulatedVideo) -> None:
        with self._changed:
            video.polls += 1

    def count_download(self, video: SimulatedVideo) -> None:
        with self._changed:
            video.downloads += 1
            self._counts["downloads"] += 1
            self._changed.notify_all()

    def delete(self, video: SimulatedVideo) -> None:
        """Delete a finished video. Its cost still counts."""
        with self._changed:
            self._videos.pop(video.plan.id, None)
            video.outcome = "deleted"
            self._counts["deletes"] += 1
            self._changed.notify_all()

    def page(
        self, account: str, after: str | None, limit: int, *, descending: bool
    ) -> tuple[list[SimulatedVideo], bool]:
        """At most ``limit`` videos after ``after``, and whether there are more. Raises ApiError 404 for a wrong id."""
        with self._changed:
            step = -1 if descending else 1
            start = (
                (len(self._order) - 1 if descending else 0)
                if after is None
                else self.find(after, account).sequence + step
            )
            found = list(islice(self._listed(account, start, step), limit + 1))
            return found[:limit], len(found) > limit

    def unfinished(self) -> list[SimulatedVideo]:
        with self._changed:
            return [video for video in self._videos.values() if video.outcome is None]

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

    def _listed(self, account: str, start: int, step: int) -> Iterator[SimulatedVideo]:
        stop = len(self._order) if step > 0 else -1
        videos = (self._order[at] for at in range(start, stop, step))
        return (video for video in videos if video.outcome != "deleted" and video.account == account)
