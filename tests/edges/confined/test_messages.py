"""Messages between the daemon and a worker arrive as they were sent; anything else is known for what it is."""

from __future__ import annotations

import io
import json
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorawatch.core.order import Aim, Fit, Model, Point, Size
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.edges.confined import Reply, messages
from sorawatch.edges.images import ReferenceRequest, wire


def received(data: bytes) -> Reply:
    return messages.receive_reply(io.BytesIO(data))


def sent_and_received(reply: Reply) -> Reply:
    pipe = io.BytesIO()
    messages.send_reply(pipe, reply)
    return received(pipe.getvalue())


def written(head: object, data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return struct.pack(">QQ", len(text), len(data)) + text + data


def test_a_reply_arrives_as_it_was_sent() -> None:
    for reply in (Reply({"kind": "begun"}), Reply({"kind": "x", "text": "a\udcff", "n": [1, None]}, b"\0\xff")):
        assert sent_and_received(reply) == reply


def test_a_request_arrives_as_it_was_sent(tmp_path: Path) -> None:
    model = Model("sora-2", (Size(720, 1280),), (4,))
    wish = ReferenceRequest(
        model, Aim.AUTO, Fit.CROP, Point(0.1, 1), ReferenceOptions(Format.WEBP, 80, (1, 2, 3), 2.5), Size(40, 30)
    )
    request = wire.Request("a\udcff.jpg", wish)
    (tmp_path / "picture").write_bytes(b"its bytes")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        with open(tmp_path / "picture", "rb") as picture:
            messages.send_request(ours, request, picture)
            messages.send_request(ours, wire.Request("b", ReferenceRequest(model, Size(1, 1), Fit.PAD)), picture)
        received = messages.receive_request(theirs)
        assert received is not None
        with received[1] as picture:
            assert (received[0], picture.read()) == (request, b"its bytes")
        second = messages.receive_request(theirs)
        assert second is not None
        second[1].close()
        ours.close()
        assert messages.receive_request(theirs) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda each: st.lists(each, max_size=4)
)


@given(json_values | st.dictionaries(st.text(max_size=5), json_values), st.binary())
def test_an_object_is_a_reply_and_other_json_is_garbled(head: Any, data: bytes) -> None:
    if isinstance(head, dict):
        assert received(written(head, data)).data == data
    else:
        with pytest.raises(messages.Garbled):
            received(written(head, data))


@given(st.binary(max_size=200))
@example(struct.pack(">QQ", 1 << 40, 0))
@example(struct.pack(">QQ", 5, 1 << 62) + b"{}")
@example(struct.pack(">QQ", 100_000, 0) + b"[" * 100_000)
def test_bytes_that_are_no_message_are_garbled(data: bytes) -> None:
    with pytest.raises(messages.Garbled):
        received(data)
