"""What the daemon and a worker say to each other, over two pipes.

The way in is pickled, for the daemon is trusted. The way out is not: whoever has just decoded hostile bytes may say
anything, so an answer is read as data, never as code.
"""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sorawatch.core.order import Size
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail
from sorawatch.errors import Damaged, Deferred, Rejected

MAX_ANSWER = 1 << 30
"""Bytes: more than the largest reference has; nothing a worker says may take the daemon's memory."""

_LENGTHS = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True)
class Request:
    """The absolute path of a picture, and what it shall become."""

    path: Path
    wish: ReferenceRequest


@dataclass(frozen=True, slots=True)
class Begun:
    """The file has been read; what happens from here on is the doing of its bytes."""


@dataclass(frozen=True, slots=True)
class UnknownError:
    """The worker met an error that it does not know: a fault in the program."""

    trace: str


WorkerReply = Reference | Rejected | Deferred | UnknownError


class Garbled(Exception):
    """The other side has gone in the middle of a message, or sent none of ours."""


def send_request(pipe: IO[bytes], request: Request) -> None:
    """Raises: OSError: if nobody listens."""
    _send(pipe, pickle.dumps(request), b"")


def receive_request(pipe: IO[bytes]) -> Request | None:
    """The next request; None if there will be none."""
    try:
        head, _ = _receive(pipe)
    except Garbled:
        return None
    request = pickle.loads(head)  # noqa: S301 -- it comes from the process that started this one
    assert isinstance(request, Request)
    return request


def send_reply(pipe: IO[bytes], answer: Begun | WorkerReply) -> None:
    """Raises: OSError: if nobody listens."""
    head, data = _written(answer)
    _send(pipe, json.dumps(head).encode("ascii"), data)


def receive_reply(pipe: IO[bytes]) -> Begun | WorkerReply:
    """Raises: Garbled."""
    head, data = _receive(pipe)
    try:
        return _read(json.loads(head), data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Garbled(str(error)) from error


def _send(pipe: IO[bytes], head: bytes, data: bytes) -> None:
    pipe.write(_LENGTHS.pack(len(head), len(data)) + head)
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    lengths = _exactly(pipe, _LENGTHS.size)
    head, data = _LENGTHS.unpack(lengths)
    if head + data > MAX_ANSWER:
        raise Garbled(f"{head + data} bytes")
    return _exactly(pipe, head), _exactly(pipe, data)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    found = pipe.read(length)
    if len(found) < length:
        raise Garbled("the pipe was closed")
    return found


def _written(answer: Begun | WorkerReply) -> tuple[dict[str, object], bytes]:
    match answer:
        case Begun():
            return {"kind": "begun"}, b""
        case UnknownError():
            return {"kind": "fault", "trace": answer.trace}, b""
        case Rejected():
            kind = "damaged" if isinstance(answer, Damaged) else "rejected"
            return {"kind": kind, "reason": str(answer), "hint": answer.hint}, b""
        case Deferred():
            return {"kind": "deferred", "reason": str(answer)}, b""
        case Reference():
            small = answer.thumbnail
            head: dict[str, object] = {
                "kind": "reference",
                "mime": answer.mime,
                "size": str(answer.size),
                "source": str(answer.source),
                "digest": answer.digest,
                "crop": answer.crop,
                "note": answer.note,
                "thumbnail": small and str(small.size),
            }
            return head, (small.pixels if small else b"") + answer.data


def _read(head: dict[str, Any], data: bytes) -> Begun | WorkerReply:
    match head["kind"]:
        case "begun":
            return Begun()
        case "fault":
            return UnknownError(str(head["trace"]))
        case "rejected":
            return Rejected(str(head["reason"]), str(head["hint"]))
        case "damaged":
            return Damaged(str(head["reason"]), str(head["hint"]))
        case "deferred":
            return Deferred(str(head["reason"]))
        case "reference":
            small = _thumbnail(head["thumbnail"], data)
            return Reference(
                data=data[len(small.pixels) if small else 0 :],
                mime=str(head["mime"]),
                size=Size.parse(head["size"]),
                source=Size.parse(head["source"]),
                digest=str(head["digest"]),
                crop=_box(head["crop"]),
                note=str(head["note"]),
                thumbnail=small,
            )
        case other:
            raise ValueError(other)


def _box(edges: list[float] | None) -> tuple[float, float, float, float] | None:
    if edges is None:
        return None
    left, top, right, bottom = map(float, edges)
    return left, top, right, bottom


def _thumbnail(size: str | None, data: bytes) -> Thumbnail | None:
    if size is None:
        return None
    parsed = Size.parse(size)
    return Thumbnail(parsed, data[: 3 * parsed.pixels])
