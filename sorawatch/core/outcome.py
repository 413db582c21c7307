"""The outcomes of actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.core.job import Pair
    from sorawatch.core.order import Size
    from sorawatch.core.video_responses import Failure
    from sorawatch.errors import Cause


@dataclass(frozen=True, slots=True)
class Prepared:
    """PREPARE made a reference image of exactly ``size``.

    ``digest`` is the SHA-256 of the source image, ``reference_digest`` that of the reference image.
    """

    size: Size
    digest: str
    note: str
    reference_digest: str


@dataclass(frozen=True, slots=True)
class Incomplete:
    """PREPARE found an incomplete picture on a share, which may not show all of it yet."""

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
    """A listed video that may have been bought by the submit whose answer was lost."""

    video_id: str
    certain: bool
    """Its prompt is listed and equal, nothing else differs, and it was created when we submitted."""
    differs: bool = False
    """Its prompt, model, size or length is listed and different: a server may list what it made of them."""


@dataclass(frozen=True, slots=True)
class Searched:
    """RESOLVE read the list. ``complete``: it goes back to before the submit, so a missing video means something."""

    candidates: tuple[Candidate, ...]
    complete: bool
    witnessed: bool = False
    """It shows a video of ours that the server still has when asked by its id, so it is our account's list."""
    tagged: bool = False
    """The server was asked by the tag of the submit, and not for a list."""
    expectant: bool = False
    """Other orders may be accepted soon, and become such a video (a witness)."""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """RESOLVE found that the server has no list, or one that proves nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pending:
    """POLL: the server still renders."""

    progress: int | None


@dataclass(frozen=True, slots=True)
class Rendered:
    """POLL: the clip can be downloaded. ``took`` is the milliseconds that the server says it worked on it."""

    took: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    """POLL: the server failed to make the video."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class NameChosen:
    """DELIVER has the clip and chose a path below the outbox for it, under which the clip may appear once it is saved.

    ``digest`` is the SHA-256 of the clip.
    """

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """DELIVER put a clip at this path below the outbox. ``note`` is what a person should know of it."""

    clip: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Archived:
    """ARCHIVE moved the pair out of the inbox; ``names`` are the names of its files now."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """RESTORE moved the pair back into the inbox, where it is found like any other.

    ``pair`` is the pair there, None if it was taken away at once. ``goes_on``: the same job goes on with it.
    """

    pair: Pair | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceLost:
    """SUBMIT found no reference to send; nothing was sent."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """SUBMIT was withheld: this daemon could not be sure that the order was still its own to send."""

    reason: str


@dataclass(frozen=True, slots=True)
class TemporaryFailure:
    """A temporary failure of this job. ``retry_after`` is in seconds.

    ``counts``: it was about this job, so it counts towards the limit of attempts; an unreachable server does not.
    ``answered``: the server answered, even if not in a way that could be understood. ``other_key``: the order was sent
    with another API key than this request, so the server may not know the video for that reason alone.
    """

    reason: str
    retry_after: float | None = None
    counts: bool = True
    answered: bool = True
    other_key: bool = False


@dataclass(frozen=True, slots=True)
class PermanentFailure:
    """A final failure of this job. ``about_content``: it concerns this prompt or picture, and no other job."""

    reason: str
    hint: str = ""
    about_content: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """No job, or none of this model, can go on this way now; this one is not to blame."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The answer to the submit was lost. ``cause`` is what the answer says that stops other orders too."""

    reason: str
    cause: Cause | None = None


Outcome = (
    Prepared
    | Incomplete
    | Accepted
    | Searched
    | Unlisted
    | Pending
    | Rendered
    | GenerationFailed
    | NameChosen
    | Delivered
    | Archived
    | Restored
    | ReferenceLost
    | NotSent
    | TemporaryFailure
    | PermanentFailure
    | AnswerLost
    | Blocked
)
