"""Every request ends in time, however steadily the server sends. Without the deadlines these tests would hang."""

from __future__ import annotations

import gzip
import io
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from sorawatch.edges.api import OrderTerms, Picture, TransferLimits, VideoApi
from sorawatch.errors import Deferred, Unresolved
from tests.edges.api.test_client import CLIP, JOB, Reply, Request, Server, client, reply, serving, submit

OK = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "status line": Reply(b"HTTP/1.1 200 ", "repeat", b"O"),
    "100 Continue": Reply(b"", "repeat", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue at full speed": Reply(b"", "repeat", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 0),
    "header": Reply(OK + b"X-Slow: ", "repeat", b"x"),
    "body": Reply(OK + b"Content-Length: 9999999\r\n\r\n", "repeat", b" "),
    "body of unknown length": Reply(OK + b"\r\n", "repeat", b" "),
    "chunks": Reply(OK + b"Transfer-Encoding: chunked\r\n\r\n", "repeat", b"1\r\n \r\n"),
    "length of a chunk": Reply(OK + b"Transfer-Encoding: chunked\r\n\r\n", "repeat", b"0"),
    "extension of a chunk": Reply(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", "repeat", b"x"),
    "trailer": Reply(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", "repeat", b"A: b\r\n"),
    "gzip of nothing": Reply(OK + b"Content-Encoding: gzip\r\n\r\n", "repeat", gzip.compress(b"")),
    "gzip of nothing at full speed": Reply(
        OK + b"Content-Encoding: gzip\r\n\r\n", "repeat", gzip.compress(b"") * 1000, 0
    ),
    "silence": Reply(then="hang"),
}
CALLS: dict[str, tuple[Callable[[VideoApi], object], type[Exception]]] = {
    "submit": (submit, Unresolved),
    "retrieve": (lambda api: api.retrieve("v"), Deferred),
    "page": (lambda api: api.page(), Deferred),
    "models": (lambda api: api.models(), Deferred),
    "download": (lambda api: api.download("v", io.BytesIO()), Deferred),
}


@pytest.mark.parametrize("endless", ENDLESS.values(), ids=ENDLESS.keys())
@pytest.mark.parametrize(("call", "error"), CALLS.values(), ids=CALLS.keys())
def test_an_endless_answer_ends(endless: Reply, call: Callable[[VideoApi], object], error: type[Exception]) -> None:
    with serving(endless, timeout_seconds=0.3) as (server, api), pytest.raises(error):
        call(api)
    assert [request.method for request in server.requests].count("POST") == (1 if error is Unresolved else 0)


def test_a_whole_answer_before_the_deadline_counts_even_if_more_follows() -> None:
    kept = Reply(reply(200, JOB).data, "repeat", b" ")
    with serving(kept, timeout_seconds=5) as (_, api):
        assert submit(api).id == JOB["id"]


def test_an_answer_of_unknown_length_that_was_cut_is_not_taken_for_a_whole_one() -> None:
    cut = Reply(OK + b'\r\n{"id": "video_1", "status": "queued"}', "repeat", b" ")
    with serving(cut, timeout_seconds=0.3) as (_, api):
        with pytest.raises(Unresolved, match="longer than"):
            submit(api)
        with pytest.raises(Deferred, match="longer than"):
            api.retrieve("v")


def test_a_clip_of_unknown_length_that_was_cut_is_not_taken_for_a_whole_one() -> None:
    part = io.BytesIO()
    slow = Reply(OK + b"\r\n" + CLIP, "repeat", b"\xff")
    limits = TransferLimits(download_rate=1 << 20, window_seconds=0.3)
    with serving(slow, timeout_seconds=5, limits=limits) as (_, api), pytest.raises(Deferred, match="slower than"):
        api.download("v", part)
    # The next attempt goes on after it.
    assert part.getvalue().startswith(CLIP)


def test_a_clip_may_take_longer_than_other_answers_if_it_comes_fast_enough() -> None:
    part = io.BytesIO()

    def respond(request: Request) -> Reply:
        head = OK + b"Content-Length: %d\r\n\r\n" % (len(CLIP) + 1_000_000)
        return Reply(head + CLIP, "repeat", b"\xff" * 50_000, 0.1)

    limits = TransferLimits(download_rate=1_000, window_seconds=1)
    with Server(respond=respond) as server:
        api = client(server, timeout_seconds=1, limits=limits)
        assert api.download("v", part) == len(CLIP) + 1_000_000
        api.close()


class SlowReader:
    """A server that reads an upload slowly, for as long as it comes, and answers at its end."""

    def __init__(self, pause: float) -> None:
        self._released = threading.Event()
        self._pause = pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> SlowReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        received = b""
        with connection, suppress(OSError):
            while not received.endswith(b"--\r\n") and not self._released.wait(self._pause):
                if not (block := connection.recv(1 << 16)):
                    return
                received = received[-4:] + block
            connection.sendall(reply(200, JOB).data)


def upload(api: VideoApi) -> object:
    terms = OrderTerms("sora-2", "waves", "1280x720", "8")
    return api.submit(terms, Picture(bytes(8 << 20), "r.jpg", "image/jpeg"))


def test_an_upload_that_is_read_slowly_for_ever_is_unresolved() -> None:
    limits = TransferLimits(upload_rate=1 << 40)
    with SlowReader(pause=0.2) as server:
        api = client(server.url, timeout_seconds=1, limits=limits)
        with pytest.raises(Unresolved, match="longer than 1 s"):
            upload(api)
        api.close()


def test_a_large_upload_may_take_longer_than_other_requests() -> None:
    limits = TransferLimits(upload_rate=1 << 17)
    with SlowReader(pause=0.01) as server:
        api = client(server.url, timeout_seconds=1, limits=limits)
        assert upload(api)
        api.close()


def test_a_proxy_that_drips_is_given_up_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Server(Reply(b"HTTP/1.1 200 ", "repeat", b"O")) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        api = client("https://videos.example", timeout_seconds=0.3)
        with pytest.raises(Deferred):
            submit(api)
        api.close()
    assert [request.method for request in proxy.requests] == ["CONNECT"]


def test_other_requests_go_on_while_one_is_ended() -> None:
    def respond(request: Request) -> Reply:
        slow = request.target.endswith("slow")
        return Reply(OK + b"\r\n", "repeat", b" ") if slow else reply(200, JOB)

    with Server(respond=respond) as server:
        api = client(server, timeout_seconds=1)
        ended = threading.Event()

        def hang() -> None:
            with suppress(Deferred):
                api.retrieve("slow")
            ended.set()

        thread = threading.Thread(target=hang)
        thread.start()
        while not ended.is_set():
            assert api.retrieve("v").id == JOB["id"]
        thread.join()
        api.close()
