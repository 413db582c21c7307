"""The types that describe faults: one thing that goes wrong, and what each kind of fault does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.simulator.orders import GenerationPlan
    from sorawatch.simulator.responses import SimulatedResponse


class Stage(Enum):
    """When a fault acts on a request."""

    BEFORE = auto()
    """Before the request is processed, so that nothing is accepted or billed."""
    ACCEPTANCE = auto()
    """When a create is accepted: the fault changes how the video is generated."""
    AFTER = auto()
    """After a success, when everything is accepted, billed and counted: the response is lost or changed."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong. ``kind`` is a key of `sorawatch.simulator.faults.KINDS`.

    Of the requests that match ``on``, ``when`` and ``prompt``, the first ``after`` are not affected and the next
    ``times`` are. The fields below ``when`` are used by some kinds only.
    """

    kind: str
    on: str | None = None
    """The operation, or ``any``; None means the default of the kind."""
    times: int | None = 1
    """None means always."""
    after: int = 0
    prompt: str | None = None
    """Only videos whose prompt contains this; never a list."""
    when: str | None = None
    """Only videos in this status."""
    seconds: float = 0.0
    """The duration of a delay or a slow response, the pause between the repetitions of an ``endless_*``, the lag of a
    list, or the time until requests are accepted again."""
    status: int = 500
    shape: str | None = None
    """The form of the body of an ``answer_*``: a key of `sorawatch.simulator.error_bodies.SHAPES`; None means that of
    the API."""
    body: str | None = None
    """The body of an ``answer_*``, instead of a shape. ``{id}`` is replaced by the id in the real response."""
    media_type: str | None = None
    """The Content-Type; None means that of the shape, or JSON for a ``body``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Additional headers of an ``answer_*``."""
    message: str = "The server had an error while processing your request"
    code: str | int | None = None
    retry_after: str | None = None
    """The Retry-After header: seconds or a date."""
    retry_after_ms: int | None = None
    word: str = ""
    """The status word, a text in the prompts of the videos that a list hides, or why a create is ``refused``. For
    faults of clips see `sorawatch.simulator.clip_faults`."""
    location: str | None = None
    """The target of a redirect or a link; None means the storage host of this server, which records its requests."""


Effect = Callable[[Fault, "SimulatedResponse"], "SimulatedResponse"]


def _no_effect(_: Fault, response: SimulatedResponse) -> SimulatedResponse:
    return response


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What one kind of fault does, and on which operation by default.

    Before a request, ``effect`` makes the whole response from an empty one; after it, it changes the real one. At the
    acceptance of a create, ``plan`` changes how the video is generated.
    """

    stage: Stage
    on: str
    effect: Effect = _no_effect
    plan: Callable[[Fault, GenerationPlan], GenerationPlan] = lambda _, plan: plan
    delays: bool = False
    """Whether it only waits for the ``seconds`` of the fault."""
    needs: str | None = None
    """What the answers of the API must have: a field of `sorawatch.simulator.api.Abilities`."""
