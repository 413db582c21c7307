"""What passes between the daemon and a worker arrives as it was sent; anything else is known for what it is."""

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
from sorawatch.edges.images import Reference, ReferenceRequest, Thumbnail, wire
from sorawatch.errors import Damaged, Deferred, Rejected

HEAD = {
    "kind": "reference",
    "mime": "image/jpeg",
    "size": "2x1",
    "source": "4x2",
    "digest": "ab",
    "note": "upscaled 2×",
}


def sent(answer: wire.Begun | wire.WorkerReply) -> bytes:
    pipe = io.BytesIO()
    wire.send_reply(pipe, answer)
    return pipe.getvalue()


def received(data: bytes) -> wire.Begun | wire.WorkerReply:
    return wire.receive_reply(io.BytesIO(data))


def written(head: object, data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return struct.pack(">QQ", len(text), len(data)) + text + data


@pytest.mark.parametrize("thumbnail", [None, Thumbnail(Size(2, 1), b"abcdef")])
@pytest.mark.parametrize("crop", [None, (0.0, 1.5, 2.25, 3.0)])
def test_a_reference_arrives_as_it_was_sent(
    thumbnail: Thumbnail | None, crop: tuple[float, float, float, float] | None
) -> None:
    reference = Reference(b"\0\xffdata", "image/png", Size(2, 1), Size(4, 2), "ab", crop, "upscaled 2×", thumbnail)
    assert received(sent(reference)) == reference


def test_refusals_arrive_as_they_were_sent() -> None:
    refused = received(sent(Rejected("a\udcff.jpg is damaged", "Mend it.")))
    assert isinstance(refused, Rejected)
    assert (str(refused), refused.hint) == ("a\udcff.jpg is damaged", "Mend it.")
    assert not isinstance(refused, Damaged)
    damaged = received(sent(Damaged("a.jpg is cut off", "Copy it again.")))
    assert isinstance(damaged, Damaged)
    assert (str(damaged), damaged.hint) == ("a.jpg is cut off", "Copy it again.")
    deferred = received(sent(Deferred("later")))
    assert isinstance(deferred, Deferred)
    assert str(deferred) == "later"
    assert received(sent(wire.Begun())) == wire.Begun()
    assert received(sent(wire.UnknownError("trace"))) == wire.UnknownError("trace")


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
            wire.send_request(ours, request, picture)
            wire.send_request(ours, wire.Request("b", ReferenceRequest(model, Size(1, 1), Fit.PAD)), picture)
        received = wire.receive_request(theirs)
        assert received is not None
        with received[1] as picture:
            assert (received[0], picture.read()) == (request, b"its bytes")
        second = wire.receive_request(theirs)
        assert second is not None
        second[1].close()
        ours.close()
        assert wire.receive_request(theirs) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda each: st.lists(each, max_size=4)
)


@given(
    st.dictionaries(st.sampled_from([*HEAD, "crop", "thumbnail", "reason", "hint", "trace"]), json_values), st.binary()
)
@example({"kind": "rejected"}, b"")
@example({"size": 5}, b"")
@example({"size": "0x0"}, b"")
@example({"crop": [1, 2]}, b"")
@example({"crop": None, "thumbnail": "9x9"}, b"short")
def test_whatever_a_worker_says_is_an_answer_or_garbled(change: dict[str, Any], data: bytes) -> None:
    for head in (change, HEAD | change, [change]):
        try:
            answer = received(written(head, data))
        except wire.Garbled:
            continue
        assert isinstance(answer, Reference | Rejected | Deferred | wire.Begun | wire.UnknownError)


@given(st.binary(max_size=200))
@example(struct.pack(">QQ", 1 << 40, 0))
@example(struct.pack(">QQ", 5, 1 << 62) + b"{}")
@example(struct.pack(">QQ", 100_000, 0) + b"[" * 100_000)
def test_bytes_that_are_no_message_are_garbled(data: bytes) -> None:
    with pytest.raises(wire.Garbled):
        received(data)
