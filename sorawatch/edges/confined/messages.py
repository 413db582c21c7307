"""The messages between the daemon and a worker: requests over a socket, with one open file, replies over a pipe.

Requests are pickled, since a worker trusts the daemon. Replies are not: a worker that has just read a malicious file
may send anything, so a reply is read as data, never as code.
"""

from __future__ import annotations

import json
import pickle
import socket
import struct
from dataclasses import dataclass
from typing import IO, Any

MAX_REPLY = 1 << 30
"""Bytes: more than the largest reply has. A worker must not be able to fill the daemon's memory."""

_LONGEST_REQUEST = 1 << 16
"""Bytes. A request is sent as one packet."""

_HEADER = struct.Struct(">QQ")

READY, BEGUN, FAULT = "ready", "begun", "fault"
"""The kinds of message that all workers send: it is confined and waits for requests; the content of the file causes
whatever happens from now on; an unexpected error, which is a bug."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message of a worker: a JSON object with its ``kind``, and bytes."""

    head: dict[str, Any]
    data: bytes = b""

    @property
    def kind(self) -> object:
        return self.head.get("kind")


@dataclass(frozen=True, slots=True)
class UnknownError:
    """An unexpected error in the worker, which is a bug."""

    trace: str


class Garbled(Exception):
    """The other side ended in the middle of a message, or sent an invalid one."""


def send_request(connection: socket.socket, request: object, file: IO[bytes]) -> None:
    """Raises: OSError: if the other end is closed."""
    socket.send_fds(connection, [pickle.dumps(request)], [file.fileno()])


def receive_request(connection: socket.socket) -> tuple[Any, IO[bytes]] | None:
    """The next request and its file; None if there are no more."""
    message, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_REQUEST, 1)
    if not message:
        return None
    (descriptor,) = descriptors
    # It comes from the process that started this one.
    return pickle.loads(message), open(descriptor, "rb")  # noqa: S301


def send_reply(pipe: IO[bytes], reply: Reply) -> None:
    """Write a reply to a pipe without a buffer. Raises: OSError: if it is closed, or writing fails twice."""
    head = json.dumps(reply.head).encode("ascii")
    unsent = memoryview(_HEADER.pack(len(head), len(reply.data)) + head + reply.data)
    has_failed = False
    while unsent:
        try:
            unsent = unsent[pipe.write(unsent) :]
        except BrokenPipeError:
            raise
        except OSError:
            # Without a reply the daemon would take the picture for the cause.
            if has_failed:
                raise
            has_failed = True


def receive_reply(pipe: IO[bytes]) -> Reply:
    """The next reply. Raises: Garbled."""
    head_length, data_length = _HEADER.unpack(_read_exactly(pipe, _HEADER.size))
    if head_length + data_length > MAX_REPLY:
        raise Garbled(f"{head_length + data_length} bytes")
    head, data = _read_exactly(pipe, head_length), _read_exactly(pipe, data_length)
    try:
        parsed = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise Garbled(str(error)) from error
    if not isinstance(parsed, dict):
        raise Garbled("it is no object")
    return Reply(parsed, data)


def _read_exactly(pipe: IO[bytes], length: int) -> bytes:
    found = pipe.read(length)
    if len(found) < length:
        raise Garbled("the pipe was closed")
    return found
