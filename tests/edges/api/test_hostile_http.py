"""Whatever bytes a server sends, and however it ends, each call of the client ends in one of our errors.

A call that does not end fails by the time-out of the test.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sorawatch.edges.api import TransferLimits, VideoApi
from sorawatch.errors import Blocked, Deferred, Rejected, SorawatchError, Unresolved
from tests.edges.api.test_client import CLIP, JOB, Reply, Server, client, submit

SECONDS = 0.2
"""The time-out of the client."""
LIMITS = TransferLimits(upload_rate=1 << 30, download_rate=1 << 20, window_seconds=SECONDS, max_clip_bytes=1 << 20)
NOT_ACCEPTED = (Deferred, Rejected, Blocked)
MAY_REFUSE = {*range(200, 300), *range(400, 500), 503, 529}
"""The statuses of answers that may prove that nothing was accepted."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "status", "error", "message", "code", "data", "url", "detail", "has_more", "progress"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([
        json.dumps(JOB).encode(),
        json.dumps({"error": {"message": "no", "code": "bad"}}).encode(),
        json.dumps({"data": [JOB]}).encode(),
        b"[" * 100_000,
        b"<html>",
        CLIP,
    ]),
)  # fmt: skip
HEADERS = st.lists(
    st.tuples(
        st.sampled_from([
            b"Location", b"Content-Type", b"Content-Range", b"Retry-After", b"retry-after-ms", b"Connection",
            b"Set-Cookie", b"x-ratelimit-remaining-requests", b"x-ratelimit-reset-requests", b"Trailer", b"",
        ]),
        st.sampled_from([
            b"/", b"//", b"http://[", b"http://127.0.0.1:1/", b"\xff\xfe", b"bytes 0-1/2", b"bytes 4096-1/*", b"close",
            b"9" * 5_000, b"-1", b"nan", b"inf", b"0", b"1e999", b"Thu, 01 Jan 99999 00:00:00 GMT", b"x" * 70_000,
            b"keep-alive",
        ]) | st.binary(max_size=20).filter(lambda value: b"\n" not in value and b"\r" not in value),
    ),
    max_size=4,
)  # fmt: skip
ENCODINGS = st.sampled_from([b"", b"", b"", b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"none"])
STATUSES = st.sampled_from([200, 200, 202, 206, 302, 400, 401, 404, 416, 429, 503]) | st.integers(100, 599)
ENDS = st.sampled_from(["close", "close", "reset", "hang", "repeat"])
REPEATED = st.sampled_from([
    b" ", b"\0", b"\xff" * 1000, b"0", b"1\r\n \r\n", b"A: b\r\n", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
    gzip.compress(b""),
]) | st.binary(min_size=1, max_size=40)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a server sends. ``whole``: it is an answer of HTTP that is complete."""

    reply: Reply
    status: int | None
    whole: bool


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Answers of which any part may be wrong."""
    end, repeated = draw(ENDS), draw(REPEATED)
    pause = draw(st.sampled_from([0, 0.01]))
    if draw(st.integers(0, 5)) == 0:
        return Answer(Reply(draw(st.binary(max_size=300)), end, repeated, pause), None, whole=False)
    status, body, encoding = draw(STATUSES), draw(BODIES), draw(ENCODINGS)
    if encoding.startswith(b"gzip") and draw(st.booleans()):
        body = gzip.compress(body)
    head = b"HTTP/1.1 %d X\r\n" % status
    head += b"".join(b"%s: %s\r\n" % header for header in draw(HEADERS))
    head += b"Content-Encoding: %s\r\n" % encoding if encoding else b""
    framing = draw(
        st.sampled_from(["length", "length", "length", "too long", "chunked", "cut chunks", "no end", "none", "both"])
    )
    match framing:
        case "length":
            head += b"Content-Length: %d\r\n" % len(body)
        case "too long":
            head += b"Content-Length: %d\r\n" % (len(body) + draw(st.integers(1, 1 << 50)))
        case "chunked" | "cut chunks" | "both":
            head += b"Transfer-Encoding: chunked\r\n"
            head += b"Content-Length: 3\r\n" if framing == "both" else b""
            last = b"" if framing == "cut chunks" else b"0\r\n\r\n"
            body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + last
        case "none":
            pass
        case "no end":
            head = head.removesuffix(b"\r\n")
            return Answer(Reply(head, end, repeated, pause), status, whole=False)
    whole = framing in {"length", "chunked", "both"} or (framing == "none" and end == "close")
    if prefix := draw(st.integers(0, 3)):
        head = b"HTTP/1.1 100 Continue\r\n\r\n" * prefix + head
    return Answer(Reply(head + b"\r\n" + body, end, repeated, pause), status, whole or status in {204, 304})


CALLS: dict[str, Callable[[VideoApi], object]] = {
    "submit": submit,
    "retrieve": lambda api: api.retrieve("v"),
    "page": lambda api: api.page(),
    "models": lambda api: api.models(),
    "download": lambda api: api.download("v", io.BytesIO(CLIP[:5_000])),
}


def ends_in_one_of_our_errors(name: str, answer: Answer) -> None:
    error: SorawatchError | None = None
    with Server(answer.reply) as server:
        api = client(server, timeout_seconds=SECONDS, limits=LIMITS)
        try:
            CALLS[name](api)
        except SorawatchError as raised:
            error = raised
        finally:
            api.close()
    event(type(error).__name__)
    posts = [request for request in server.requests if request.method == "POST"]
    assert len(posts) == (1 if name == "submit" and server.requests else 0)
    if error is not None:
        assert isinstance(error, (*NOT_ACCEPTED, Unresolved) if name == "submit" else NOT_ACCEPTED)
        assert str(error).isprintable()
        assert len(str(error)) < 20_000
    if posts and isinstance(error, NOT_ACCEPTED):
        # Nothing but a whole answer with the right status proves that an order was not accepted.
        assert answer.whole
        assert answer.status in MAY_REFUSE


SETTINGS = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.parametrize("name", CALLS)
@settings(SETTINGS, max_examples=20)
@given(answer=answers())
def test_any_answer_ends_in_one_of_our_errors(name: str, answer: Answer) -> None:
    ends_in_one_of_our_errors(name, answer)


@pytest.mark.nightly
@pytest.mark.parametrize("name", CALLS)
@settings(SETTINGS, max_examples=500)
@given(answer=answers())
def test_any_of_many_answers_ends_in_one_of_our_errors(name: str, answer: Answer) -> None:
    ends_in_one_of_our_errors(name, answer)
