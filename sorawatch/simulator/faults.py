"""What can be made to go wrong, one request at a time.

A fault acts at one stage of a request. ``BEFORE`` it is looked at, so that nothing is accepted or billed; at the
``ACCEPTANCE`` of a create, where it settles what will become of the video; ``AFTER`` a success, which it loses or
falsifies once everything is accepted, billed and counted. ``KINDS`` is the table of them all.
"""

from __future__ import annotations

import gzip
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

from sorawatch.simulator import clip_faults, telling
from sorawatch.simulator.answers import Manner, SimulatedResponse
from sorawatch.simulator.bodies import SHAPES, canned

if TYPE_CHECKING:
    from sorawatch.simulator.ledger import GenerationPlan

OPERATIONS = ("create", "retrieve", "list", "content", "delete", "models", "storage")
"""``storage`` is a request for a clip on the host that a ``redirect`` or a ``link`` leads to."""


class Stage(Enum):
    """When a fault acts."""

    BEFORE = auto()
    ACCEPTANCE = auto()
    AFTER = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to go wrong: ``kind`` is a key of ``KINDS``; the fields below ``prompt`` matter to some kinds only.

    Of the requests that match ``on``, ``when`` and ``prompt`` the first ``after`` are spared and the next
    ``times`` hit.

    Raises:
        ValueError: for a kind, an operation or a shape that does not exist, naming those that do.
    """

    kind: str
    on: str | None = None
    """The operation, or ``any``; None is the kind's own (see ``KINDS``)."""
    times: int | None = 1
    """None: for ever."""
    after: int = 0
    prompt: str | None = None
    """Only videos whose prompt contains this; never a list."""
    when: str | None = None
    """Only videos in this status."""
    seconds: float = 0.0
    """How long a delay lasts, or the whole of a trickle, or how far a list lags, or until requests are taken again."""
    status: int = 500
    shape: str = "openai"
    """The form of the body of an ``answer_*``: a key of ``SHAPES``."""
    body: str | None = None
    """The body of an ``answer_*`` in place of a shape; ``{id}`` stands for the id that the real answer tells."""
    media_type: str | None = None
    """The Content-Type; None is the shape's own, and JSON for a ``body``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers of an ``answer_*``."""
    message: str = "The server had an error while processing your request"
    code: str | int | None = None
    retry_after: str | None = None
    """The Retry-After header: seconds or a date."""
    retry_after_ms: int | None = None
    word: str = ""
    """What stands in place of the status, or what the prompts contain that a list hides; of kinds about a clip see
    ``clip_faults``."""
    location: str | None = None
    """Where a redirect or a link leads; None is this server's own storage host, which records the headers it gets."""

    def __post_init__(self) -> None:
        operations = (None, "any", *OPERATIONS)
        for name, value, allowed in (
            ("kind", self.kind, tuple(KINDS)),
            ("on", self.on, operations),
            ("shape", self.shape, tuple(SHAPES)),
        ):
            if value not in allowed:
                raise ValueError(f"{name}: {value!r} is none of {', '.join(map(str, allowed))}")

    def hits(self, operation: str, stage: Stage, prompt: str | None, status: str | None) -> bool:
        kind = KINDS[self.kind]
        return (
            kind.stage is stage
            and (self.on or kind.on) in (operation, "any")
            and (self.prompt is None or (prompt is not None and self.prompt in prompt))
            and (self.when is None or self.when == status)
        )


class FaultBox:
    """The faults switched on. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[tuple[Fault, int]] = []

    def inject(self, *faults: Fault) -> None:
        with self._lock:
            self._seen += [(fault, 0) for fault in faults]

    def clear(self) -> None:
        with self._lock:
            self._seen.clear()

    def active(self) -> tuple[Fault, ...]:
        """The faults that have hits left."""
        with self._lock:
            return tuple(fault for fault, seen in self._seen if not _spent(fault, seen))

    def take(
        self, operation: str, stage: Stage, prompt: str | None = None, status: str | None = None
    ) -> tuple[Fault, ...]:
        """The faults that hit this request at this stage, in the order of their injection."""
        taken = []
        with self._lock:
            for at, (fault, seen) in enumerate(self._seen):
                if not _spent(fault, seen) and fault.hits(operation, stage, prompt, status):
                    self._seen[at] = (fault, seen + 1)
                    if seen >= fault.after:
                        taken.append(fault)
        return tuple(taken)


def _spent(fault: Fault, seen: int) -> bool:
    return fault.times is not None and seen >= fault.after + fault.times


def _used_up(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{fault.seconds:g}s"}
    return replace(answer, headers={**answer.headers, **left})


def _travelling(manner: Manner) -> Effect:
    return lambda fault, answer: replace(answer, manner=manner, seconds=fault.seconds)


def _unchanged(_: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    return answer


def _body(change: Callable[[bytes], bytes]) -> Effect:
    """The clip's bytes changed at their source, so that every Range is one of the changed bytes."""
    return lambda _, answer: replace(answer, body=change(answer.body))


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _half_zero(body: bytes) -> bytes:
    return _half(body) + bytes(len(body) - len(body) // 2)


def _gzipped(_: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    return replace(answer, body=gzip.compress(answer.body, compresslevel=1), headers=headers, ranged=False)


def _without_range(_: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    return replace(answer, ranged=False)


def _mistyped(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    return replace(answer, media_type=fault.media_type or answer.media_type)


def _elsewhere(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    return SimulatedResponse(302, headers={"Location": fault.location or answer.mirror})


def _failed_as_error(fault: Fault, answer: SimulatedResponse) -> SimulatedResponse:
    failed = json.loads(answer.body).get("status") == "failed"
    return replace(answer, status=fault.status) if failed else answer


def _fails(fault: Fault, plan: GenerationPlan) -> GenerationPlan:
    code = {} if fault.code is None else {"code": fault.code}
    return replace(plan, error={**code, "message": fault.message})


def _long_id(_: Fault, plan: GenerationPlan) -> GenerationPlan:
    return replace(plan, id=f"video_{secrets.token_hex(30)}/{secrets.token_hex(30)}+a==")


def _stuck(_: Fault, plan: GenerationPlan) -> GenerationPlan:
    return replace(plan, generation_seconds=float("inf"))


Effect = Callable[[Fault, SimulatedResponse], SimulatedResponse]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What one kind of fault does and where, unless told otherwise.

    Before a request, ``effect`` makes the whole answer of an empty one; after it, another of the real one. At the
    acceptance ``plan`` replaces what was to become of the video.
    """

    stage: Stage
    on: str
    effect: Effect = _unchanged
    plan: Callable[[Fault, GenerationPlan], GenerationPlan] = lambda _, plan: plan
    delays: bool = False
    """Whether it does no more than wait for the fault's ``seconds``."""


def _before(effect: Effect) -> FaultKind:
    return FaultKind(Stage.BEFORE, "create", effect)


def _after(on: str, effect: Effect) -> FaultKind:
    return FaultKind(Stage.AFTER, on, effect)


def _planned(plan: Callable[[Fault, GenerationPlan], GenerationPlan]) -> FaultKind:
    return FaultKind(Stage.ACCEPTANCE, "create", plan=plan)


KINDS: Mapping[str, FaultKind] = {
    # Any request
    "lost_before": _before(_travelling(Manner.RESET)),
    "lost_after": _after("create", _travelling(Manner.RESET)),
    "hang_before": _before(_travelling(Manner.HANG)),
    "hang_after": _after("create", _travelling(Manner.HANG)),
    "delay_before": FaultKind(Stage.BEFORE, "create", delays=True),
    "delay_after": FaultKind(Stage.AFTER, "create", delays=True),
    "answer_before": _before(canned),
    "answer_after": _after("create", canned),
    "used_up": _after("create", _used_up),
    # What becomes of an order
    "generation_fails": _planned(_fails),
    "generation_hangs": _planned(_stuck),
    "long_id": _planned(_long_id),
    # What is told of a video
    "status_word": _after("retrieve", telling.of_videos(lambda fault, video: {**video, "status": fault.word})),
    "progress_missing": _after("retrieve", telling.of_videos(telling.without("progress"))),
    "progress_text": _after(
        "retrieve", telling.of_videos(lambda _, video: {**video, "progress": f"{video['progress']}%"})
    ),
    "progress_stuck": _after("retrieve", telling.with_values(progress=99)),
    "progress_back": _after("retrieve", telling.of_videos(telling.receding)),
    "other_id": _after("retrieve", telling.of_videos(telling.renamed)),
    "failed_as_error": _after("retrieve", _failed_as_error),
    "prompt_hidden": _after("list", telling.with_values(prompt=None)),
    "prompt_other": _after("list", telling.of_videos(lambda fault, video: {**video, "prompt": fault.word})),
    "seconds_other": _after("list", telling.with_values(seconds="1")),
    "model_other": _after("list", telling.of_videos(lambda fault, video: {**video, "model": fault.word})),
    # What is told of all videos
    "list_empty": _after("list", telling.of_document(telling.emptied)),
    "list_lagging": _after("list", telling.hiding(telling.is_young)),
    "list_unfinished_hidden": _after("list", telling.hiding(telling.is_unfinished)),
    "list_hidden": _after("list", telling.hiding(telling.has_word)),
    "list_filtered": _after("list", telling.of_document(telling.filtered)),
    "list_foreign": _after("list", telling.of_document(telling.foreign)),
    "list_without_has_more": _after("list", telling.of_document(telling.without("has_more"))),
    # The clip
    "redirect": _after("content", _elsewhere),
    "link": _after("retrieve", clip_faults.linked),
    "content_type": _after("content", clip_faults.typed),
    "padded": _after("content", clip_faults.padded),
    "indexed_twice": _after("content", clip_faults.indexed_twice),
    "container": _after("content", clip_faults.contained),
    "gzip": _after("content", _gzipped),
    "cut": _after("content", _travelling(Manner.CUT)),
    "stall": _after("content", _travelling(Manner.STALL)),
    "trickle": _after("content", _travelling(Manner.TRICKLE)),
    "truncated": _after("content", _body(_half)),
    "half_zero": _after("content", _body(_half_zero)),
    "html_as_mp4": _after("content", _body(lambda _: b"<!doctype html><html><body>Bad gateway</body></html>")),
    "json_as_mp4": _after("content", _body(lambda _: b'{"error": {"message": "The video is not available"}}')),
    "mistyped": _after("content", _mistyped),
    "range_ignored": _after("content", _without_range),
}
"""Every kind of fault by its name.

Some faults need no kind of their own, for ``answer_before`` with the right ``on`` and ``status`` makes them: a server
without a list, a clip that is not ready or has expired, an overload and, with status 200, an error sent as a success.
"""
