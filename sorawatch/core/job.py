"""A job: one order, and everything about it that must survive a restart."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.core.order import Order


class State(StrEnum):
    """What is already true of a job, and written down."""

    FOUND = "found"
    READY = "ready"
    SUBMITTING = "submitting"
    UNCERTAIN = "uncertain"
    RENDERING = "rendering"
    RENDERED = "rendered"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    RESTORING = "restoring"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED})
"""Nothing happens to these by itself."""

IN_FLIGHT = frozenset({State.SUBMITTING, State.UNCERTAIN, State.RENDERING})
"""These take one of the server's places, or may."""

UNPAID = frozenset({State.FOUND, State.READY})
"""These can still be cancelled without cost."""


class Charged(StrEnum):
    """Whether the server charges for the job."""

    NO = "no"
    YES = "yes"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Billing:
    """What the server charges for although there is no clip: failed generations, and what its moderation refused."""

    failed: bool = False
    moderated: bool = True


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one content of a file from another: bytes, and nanoseconds of modification.

    Inode numbers are left out: FUSE shares give a file a new one after every mount.
    """

    size: int
    mtime_ns: int


def path_in(folder: str, name: str) -> str:
    """The path of ``name`` in ``folder``, which is relative to the inbox or another of the four folders, or ``""``."""
    return f"{folder}/{name}" if folder else name


def top_folder(folder: str) -> str:
    """The folder at the first level of the inbox that contains ``folder``; ``""`` is the inbox itself."""
    return folder.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its sidecar: where they are below the inbox, and their stamps.

    Names are as ``os.fsdecode`` gives them, so that any bytes survive. ``folder`` is relative to the inbox,
    ``""`` being the inbox itself.
    """

    folder: str
    image: str
    image_stamp: Stamp
    sidecar: str | None = None
    sidecar_stamp: Stamp | None = None

    @property
    def path(self) -> str:
        """The image's path relative to the inbox."""
        return path_in(self.folder, self.image)

    @property
    def names(self) -> tuple[str, ...]:
        """The image's name and, if there is one, the sidecar's."""
        return (self.image,) if self.sidecar is None else (self.image, self.sidecar)


@dataclass(frozen=True, slots=True)
class Job:
    """One order and its progress. Times are integer milliseconds of the store's clock, money is in micro-dollars."""

    id: str
    state: State
    pair: Pair
    created_at: int
    due_at: int
    """Nothing is done before this time."""
    changed_at: int
    """When ``state`` became true."""
    order: Order | None = None
    """None where the pair could not be understood."""
    attempts: int = 0
    """Failures of the present action in a row."""
    retry_state: State | None = None
    """The state to which ``sorawatch retry`` takes a held job; None unless held."""
    reason: str = ""
    """What the job waits for, or why it ended."""
    hint: str = ""
    """What a person can do about the reason."""
    obstacle: str = ""
    """What keeps the pair from being moved out of the inbox; ``reason`` remains why the job ended."""
    digest: str = ""
    """SHA-256 of the image's bytes; empty until prepared."""
    reference_digest: str = ""
    """SHA-256 of the reference image; empty until prepared, and where an older sorawatch prepared it."""
    note: str = ""
    """What was done to the picture, such as ``upscaled 2.3×``, and what is unusual about the clip."""
    price: int | None = None
    """What the order costs; None where that is not known, or nothing was submitted yet."""
    token: str | None = None
    """Names one submit; written before it is sent."""
    submitted_at: int | None = None
    lost_at: int | None = None
    """When the answer to the submit was given up as lost."""
    misses: int = 0
    """How often in a row the server had nothing for the job: complete lists without the submit whose answer was lost,
    polls that found no such video, downloads without a clip."""
    losses: int = 0
    """How often in a row a submit's answer was lost and a list then said that it had not arrived."""
    reorders: int = 0
    """How often an order that costs nothing was sent again because its answer or its video was lost."""
    lost_reason: str = ""
    """Why the answer to the submit counts as lost: what came instead."""
    witness_until: int | None = None
    """Until when a job whose answer was lost waits for a witness: another order that shows that the list is ours."""
    video_id: str | None = None
    """The server's own id."""
    account: str | None = None
    """The fingerprint of the API key with which the order was sent (`core/accounts.py`); None if it is not known."""
    progress: int | None = None
    """Per cent, as the server reported last."""
    unwatched_ms: int = 0
    """Milliseconds of the present render in which nobody polled: sorawatch was stopped, or the clock jumped ahead."""
    generations: int = 0
    """How often the server failed to make the video."""
    charged: Charged = Charged.NO
    publishing: str | None = None
    """The path relative to the outbox under which the clip may have appeared, although that is not recorded yet."""
    publishing_digest: str = ""
    """SHA-256 of that clip."""
    clip: str | None = None
    """The clip's path relative to the outbox."""
    filed: tuple[str, ...] = ()
    """The pair's names after it left the inbox, in the same subfolder of ``processed`` or ``errors``."""

    def render_age(self, now: int) -> int:
        """Milliseconds since the render began, less those in which nobody polled."""
        return now - self.changed_at - self.unwatched_ms

    @property
    def wants_video(self) -> bool:
        """Whether a person may name the video that was bought: the server has not named one, or does not know it."""
        match self.state:
            case State.HELD:
                return self.video_id is None or self.lost_at is not None
            case State.UNCERTAIN:
                return self.video_id is None
            case State.RENDERING:
                return self.lost_at is not None and self.misses > 0
            case _:
                return False

    @property
    def latest(self) -> str:
        """The latest reason: why the pair was not moved, else why the job waits or ended."""
        return self.obstacle or self.reason

    @property
    def short_reason(self) -> str:
        """The first line of the reason."""
        return self.reason.splitlines()[0] if self.reason else ""


Change = tuple[Job | None, Job]
"""A job before (None if it is new) and after."""
