"""The messages between the daemon and a worker: requests over a socket, with the open picture, replies over a pipe.

Requests are pickled, since a worker trusts the daemon. Replies are not: a worker that has just decoded a malicious file
may send anything, so a reply is read as data, never as code.
"""

from __future__ import annotations

import json
import pickle
import socket
import struct
from dataclasses import dataclass
from typing import IO, Any

from sorawatch.core.order import Size
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail
from sorawatch.errors import Damaged, Deferred, Rejected

MAX_REPLY = 1 << 30
"""Bytes: more than the largest reference has. A worker must not be able to fill the daemon's memory."""

_LONGEST_REQUEST = 1 << 16
"""Bytes. A request is sent as one packet."""

_HEADER = struct.Struct(">QQ")


@dataclass(frozen=True, slots=True)
class Request:
    """The name of a picture, for messages, and how to make its reference."""

    name: str
    reference_request: ReferenceRequest


@dataclass(frozen=True, slots=True)
class Begun:
    """The file has been read and decoding begins: the content of the file causes whatever happens next."""


@dataclass(frozen=True, slots=True)
class UnknownError:
    """An unexpected error in the worker, which is a bug."""

    trace: str


WorkerReply = Reference | Rejected | Deferred | UnknownError


class Garbled(Exception):
    """The other side ended in the middle of a message, or sent an invalid one."""


def send_request(connection: socket.socket, request: Request, picture: IO[bytes]) -> None:
    """Raises: OSError: if the other end is closed."""
    socket.send_fds(connection, [pickle.dumps(request)], [picture.fileno()])


def receive_request(connection: socket.socket) -> tuple[Request, IO[bytes]] | None:
    """The next request and its picture; None if there are no more."""
    message, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, 1)
    if not message:
        return None
    (descriptor,) = descriptors
    request = pickle.loads(message)  # noqa: S301 -- it comes from the process that started this one
    assert isinstance(request, Request)
    return request, open(descriptor, "rb")


def send_reply(pipe: IO[bytes], reply: Begun | WorkerReply) -> None:
    """Raises: OSError: if the other end is closed."""
    head, data = _encoded(reply)
    _send(pipe, json.dumps(head).encode("ascii"), data)


def receive_reply(pipe: IO[bytes]) -> Begun | WorkerReply:
    """The next reply. Raises: Garbled."""
    head, data = _receive(pipe)
    try:
        return _decoded(json.loads(head), data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Garbled(str(error)) from error


def _send(pipe: IO[bytes], head: bytes, data: bytes) -> None:
    pipe.write(_HEADER.pack(len(head), len(data)) + head)
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    lengths = _read_exactly(pipe, _HEADER.size)
    head, data = _HEADER.unpack(lengths)
    if head + data > MAX_REPLY:
        raise Garbled(f"{head + data} bytes")
    return _read_exactly(pipe, head), _read_exactly(pipe, data)


def _read_exactly(pipe: IO[bytes], length: int) -> bytes:
    found = pipe.read(length)
    if len(found) < length:
        raise Garbled("the pipe was closed")
    return found


def _encoded(reply: Begun | WorkerReply) -> tuple[dict[str, object], bytes]:
    match reply:
        case Begun():
            return {"kind": "begun"}, b""
        case UnknownError():
            return {"kind": "fault", "trace": reply.trace}, b""
        case Rejected():
            kind = "damaged" if isinstance(reply, Damaged) else "rejected"
            return {"kind": kind, "reason": str(reply), "hint": reply.hint}, b""
        case Deferred():
            return {"kind": "deferred", "reason": str(reply)}, b""
        case Reference():
            thumbnail = reply.thumbnail
            head: dict[str, object] = {
                "kind": "reference",
                "mime": reply.mime,
                "size": str(reply.size),
                "source": str(reply.source),
                "digest": reply.digest,
                "crop": reply.crop,
                "note": reply.note,
                "thumbnail": thumbnail and str(thumbnail.size),
            }
            return head, (thumbnail.pixels if thumbnail else b"") + reply.data


def _decoded(head: dict[str, Any], data: bytes) -> Begun | WorkerReply:
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
            thumbnail = _thumbnail(head["thumbnail"], data)
            return Reference(
                data=data[len(thumbnail.pixels) if thumbnail else 0 :],
                mime=str(head["mime"]),
                size=Size.parse(head["size"]),
                source=Size.parse(head["source"]),
                digest=str(head["digest"]),
                crop=_box(head["crop"]),
                note=str(head["note"]),
                thumbnail=thumbnail,
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
