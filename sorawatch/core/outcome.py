"""What carrying out one action came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.core.answers import Failure
    from sorawatch.core.job import Pair
    from sorawatch.core.order import Size


@dataclass(frozen=True, slots=True)
class Prepared:
    """PREPARE staged a reference of exactly ``size``, cut from an image.

    ``digest`` is the SHA-256 of the image, ``reference_digest`` that of the reference.
    """

    size: Size
    digest: str
    note: str
    reference_digest: str


@dataclass(frozen=True, slots=True)
class Partial:
    """PREPARE found a picture that is not whole, on a share that may not show all of it yet."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """SUBMIT was answered with a video id, or RESOLVE found it.

    ``rest`` is the seconds for which the server says that it takes no other order.
    """

    video_id: str
    rest: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A listed video that may be the submit whose answer was lost."""

    video_id: str
    certain: bool
    """Its prompt is listed and equal, nothing else differs, and it was created when we submitted."""
    differs: bool = False
    """Its prompt, model, size or length is listed and another: a server may name what it made of them."""


@dataclass(frozen=True, slots=True)
class Searched:
    """RESOLVE read the list. ``complete``: it reaches back to before the submit, so absence proves something."""

    candidates: tuple[Candidate, ...]
    complete: bool
    witnessed: bool = False
    """It shows a video of ours that the server still has when asked by its id, so it is our account's list."""
    expectant: bool = False
    """Other orders may be accepted soon, and become such a video."""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """RESOLVE found that the server has no list to search."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """POLL: the server is still at it."""

    progress: int | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """POLL: the clip can be downloaded. ``took`` is the milliseconds that the server says it worked on it."""

    took: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """POLL: the server gave the order up."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Delivered:
    """DELIVER published a clip at this path below the outbox. ``note`` is what a person should know of it."""

    clip: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Filed:
    """ARCHIVE moved the pair out of the inbox; ``names`` is what its files are called now."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """RESTORE moved the pair back into the inbox, where it is found like any other.

    ``pair`` is how it lies there, None if it was taken away at once. ``goes_on``: the job itself takes it up again.
    """

    pair: Pair | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceLost:
    """SUBMIT found no reference to send; nothing was sent."""


@dataclass(frozen=True, slots=True)
class FailedForNow:
    """A temporary failure of this job. ``retry_after`` is in seconds.

    ``counts``: the answer was about this job, so a limit of attempts makes sense; a server out of reach is not.
    ``answered``: the server said something, if nothing that could be understood.
    """

    reason: str
    retry_after: float | None = None
    counts: bool = True
    answered: bool = True


@dataclass(frozen=True, slots=True)
class FailedForGood:
    """A final failure of this job. ``own``: it is about this prompt or picture, and says nothing of other jobs."""

    reason: str
    hint: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Halted:
    """No job can go this way now; this one is not to blame. ``retry_after`` is in seconds."""

    reason: str
    hint: str
    passing: bool
    retry_after: float | None = None
    crowded: bool = False
    """The server says that too many of our videos run at once."""
    keyed: bool = False
    """Another API key ends it."""
    model: bool = False
    """It holds for jobs of the same model only."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The submit's answer was lost."""

    reason: str
    cause: Halted | None = None
    """What the answer says that stops other orders too."""


Outcome = (
    Prepared
    | Partial
    | Accepted
    | Searched
    | Unlisted
    | Pending
    | Rendered
    | GenerationFailed
    | Delivered
    | Filed
    | Restored
    | ReferenceLost
    | FailedForNow
    | FailedForGood
    | Unknown
    | Halted
)
