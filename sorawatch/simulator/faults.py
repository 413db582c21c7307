"""What can be made to go wrong, one request at a time.

A fault acts at one stage of a request. ``BEFORE`` it is looked at, so that nothing is accepted or billed; at the
``ACCEPTANCE`` of a create, where it settles what will become of the video; ``AFTER`` a success, which it loses or
falsifies once everything is accepted, billed and counted. ``KINDS`` is the table of them all.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from sorawatch.simulator import clip_faults
from sorawatch.simulator.answers import Answer, Manner
from sorawatch.simulator.ledger import Plan

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
    """How long a delay lasts, or the whole of a trickle, or until the server says that it takes requests again."""
    status: int = 500
    shape: str = "openai"
    """The form of the body of an ``answer_*``: a key of ``SHAPES``."""
    message: str = "The server had an error while processing your request"
    code: str | int | None = None
    retry_after: str | None = None
    """The Retry-After header: seconds or a date."""
    retry_after_ms: int | None = None
    word: str = ""
    """What stands in place of the status; for the kinds about a clip, see ``clip_faults``."""
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


SHAPES: Mapping[str, tuple[str, Callable[[Fault], str]]] = {
    "openai": ("application/json", lambda fault: json.dumps({"error": _error(fault)})),
    "error_text": ("application/json", lambda fault: json.dumps({"error": fault.message})),
    "detail_text": ("application/json", lambda fault: json.dumps({"detail": fault.message})),
    "detail_list": (
        "application/json",
        lambda fault: json.dumps({"detail": [{"loc": ["body"], "msg": fault.message, "type": "value_error"}]}),
    ),
    "code_message": (
        "application/json",
        lambda fault: json.dumps({"code": fault.code, "message": fault.message, "data": None}),
    ),
    "html": ("text/html", lambda fault: f"<html><body><h1>{fault.status}</h1><p>{fault.message}</p></body></html>"),
    "unparsable": ("application/json", lambda _: '{"id": "video_'),
    "empty": ("text/plain", lambda _: ""),
}
"""The bodies that servers of this contract give their errors: media type and text."""


def _error(fault: Fault) -> dict[str, object]:
    return {"message": fault.message, "type": "server_error", "param": None, "code": fault.code}


def _canned(fault: Fault, _: Answer) -> Answer:
    media_type, text = SHAPES[fault.shape]
    wishes = {"Retry-After": fault.retry_after, "retry-after-ms": fault.retry_after_ms}
    headers = {name: str(value) for name, value in wishes.items() if value is not None}
    return Answer(fault.status, text(fault).encode(), media_type, headers)


def _used_up(fault: Fault, answer: Answer) -> Answer:
    left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{fault.seconds:g}s"}
    return replace(answer, headers={**answer.headers, **left})


def _travelling(manner: Manner) -> Effect:
    return lambda fault, answer: replace(answer, manner=manner, seconds=fault.seconds)


def _unchanged(_: Fault, answer: Answer) -> Answer:
    return answer


def _body(change: Callable[[bytes], bytes]) -> Effect:
    """The clip's bytes changed at their source, so that every Range is one of the changed bytes."""
    return lambda _, answer: replace(answer, body=change(answer.body))


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _half_zero(body: bytes) -> bytes:
    return _half(body) + bytes(len(body) - len(body) // 2)


def _gzipped(_: Fault, answer: Answer) -> Answer:
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    return replace(answer, body=gzip.compress(answer.body, compresslevel=1), headers=headers, ranged=False)


def _without_range(_: Fault, answer: Answer) -> Answer:
    return replace(answer, ranged=False)


def _elsewhere(fault: Fault, answer: Answer) -> Answer:
    return Answer(302, headers={"Location": fault.location or answer.mirror})


Document = dict[str, object]


def _document(change: Callable[[Fault, Document], Document]) -> Effect:
    def effect(fault: Fault, answer: Answer) -> Answer:
        return replace(answer, body=json.dumps(change(fault, json.loads(answer.body))).encode())

    return effect


def _videos(change: Callable[[Fault, Document], Document]) -> Effect:
    """``change`` applied to a video, or to each video of a list."""

    def each(fault: Fault, document: Document) -> Document:
        data = document.get("data")
        if isinstance(data, list):
            return {**document, "data": [change(fault, video) for video in data]}
        return change(fault, document)

    return _document(each)


def _with(**values: object) -> Effect:
    return _videos(lambda _, video: {**video, **values})


def _without(key: str) -> Callable[[Fault, Document], Document]:
    return lambda _, document: {name: value for name, value in document.items() if name != key}


def _receding(_: Fault, video: Document) -> Document:
    progress = video["progress"]
    assert isinstance(progress, int)
    return {**video, "progress": 100 - progress}


def _renamed(_: Fault, video: Document) -> Document:
    return {**video, "id": "task_" + hashlib.sha256(str(video["id"]).encode()).hexdigest()[:24]}


def _failed_as_error(fault: Fault, answer: Answer) -> Answer:
    failed = json.loads(answer.body).get("status") == "failed"
    return replace(answer, status=fault.status) if failed else answer


def _fails(fault: Fault, plan: Plan) -> Plan:
    code = {} if fault.code is None else {"code": fault.code}
    return replace(plan, error={**code, "message": fault.message})


def _long_id(_: Fault, plan: Plan) -> Plan:
    return replace(plan, id=f"video_{secrets.token_hex(30)}/{secrets.token_hex(30)}+a==")


def _stuck(_: Fault, plan: Plan) -> Plan:
    return replace(plan, generation_seconds=float("inf"))


Effect = Callable[[Fault, Answer], Answer]


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of fault does and where, unless told otherwise.

    Before a request, ``effect`` makes the whole answer of an empty one; after it, another of the real one. At the
    acceptance ``plan`` replaces what was to become of the video.
    """

    stage: Stage
    on: str
    effect: Effect = _unchanged
    plan: Callable[[Fault, Plan], Plan] = lambda _, plan: plan
    delays: bool = False
    """Whether it does no more than wait for the fault's ``seconds``."""


def _before(effect: Effect) -> Kind:
    return Kind(Stage.BEFORE, "create", effect)


def _after(on: str, effect: Effect) -> Kind:
    return Kind(Stage.AFTER, on, effect)


def _planned(plan: Callable[[Fault, Plan], Plan]) -> Kind:
    return Kind(Stage.ACCEPTANCE, "create", plan=plan)


KINDS: Mapping[str, Kind] = {
    # Any request
    "lost_before": _before(_travelling(Manner.RESET)),
    "lost_after": _after("create", _travelling(Manner.RESET)),
    "hang_before": _before(_travelling(Manner.HANG)),
    "hang_after": _after("create", _travelling(Manner.HANG)),
    "delay_before": Kind(Stage.BEFORE, "create", delays=True),
    "delay_after": Kind(Stage.AFTER, "create", delays=True),
    "answer_before": _before(_canned),
    "answer_after": _after("create", _canned),
    "used_up": _after("create", _used_up),
    # What becomes of an order
    "generation_fails": _planned(_fails),
    "generation_hangs": _planned(_stuck),
    "long_id": _planned(_long_id),
    # What is told of a video
    "status_word": _after("retrieve", _videos(lambda fault, video: {**video, "status": fault.word})),
    "progress_missing": _after("retrieve", _videos(_without("progress"))),
    "progress_text": _after("retrieve", _videos(lambda _, video: {**video, "progress": f"{video['progress']}%"})),
    "progress_stuck": _after("retrieve", _with(progress=99)),
    "progress_back": _after("retrieve", _videos(_receding)),
    "other_id": _after("retrieve", _videos(_renamed)),
    "failed_as_error": _after("retrieve", _failed_as_error),
    "prompt_hidden": _after("list", _with(prompt=None)),
    "prompt_other": _after("list", _videos(lambda fault, video: {**video, "prompt": fault.word})),
    "seconds_other": _after("list", _with(seconds="1")),
    "model_other": _after("list", _videos(lambda fault, video: {**video, "model": fault.word})),
    # What is told of all videos
    "list_empty": _after("list", _document(lambda _, page: {**page, "data": [], "has_more": False})),
    "list_without_has_more": _after("list", _document(_without("has_more"))),
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
    "range_ignored": _after("content", _without_range),
}
"""Every kind of fault by its name.

Some faults need no kind of their own, for ``answer_before`` with the right ``on`` and ``status`` makes them: a server
without a list, a clip that is not ready or has expired, an overload and, with status 200, an error sent as a success.
"""
