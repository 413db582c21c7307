"""The client against real sockets on loopback: what is sent, how often, and what every fault becomes."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from itertools import takewhile
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sorawatch.config.dialect_file import shipped
from sorawatch.core.dialect import customized
from sorawatch.core.video_responses import Status, Video
from sorawatch.edges.api import OrderTerms, Picture, VideoApi
from sorawatch.edges.api.fetching import MAX_RESPONSE
from sorawatch.edges.api.range_download import OVERLAP
from sorawatch.edges.mp4 import check
from sorawatch.errors import Blocked, Deferred, NotSent, Rejected, SorawatchError, Unresolved
from sorawatch.simulator import SimulatorSettings, running
from tests.support import texts

REFERENCE = shipped("openai")
KEY = "sk-secret/0123456789"
JOB = {"id": "video_1", "object": "video", "status": "queued", "progress": 0}
CLIP = b"\0\0\0\x20ftypisom" + os.urandom(3 * OVERLAP + 5)


@dataclass
class Request:
    """One request as it came over the wire; ``connection`` counts the sockets."""

    connection: int
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> list[tuple[str, str | None, str, bytes]]:
        """Name, file name, type and content of each part."""
        boundary = self.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
        parts = []
        for part in self.body.split(b"--" + boundary)[1:-1]:
            head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            fields = BytesParser(policy=HTTP).parsebytes(head)
            name = str(fields.get_param("name", header="Content-Disposition"))
            parts.append((name, fields.get_filename(), fields.get_content_type(), data.removesuffix(b"\r\n")))
        return parts


@dataclass
class Reply:
    """What the server does with a request: these bytes, then it keeps, closes or resets the connection, or hangs, or
    repeats other bytes, with a pause of some seconds between, until the client closes the connection."""

    data: bytes = b""
    then: str = "keep"
    repeated: bytes = b""
    pause: float = 0.01


def reply(status: int, body: bytes | object = b"", *, then: str = "keep", cut: int = 0, **headers: str) -> Reply:
    """An HTTP answer; ``cut`` bytes of it are announced and not sent."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(data))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return Reply(head.encode("latin-1") + data[: len(data) - cut], "close" if cut and then == "keep" else then)


RESET = Reply(then="reset")


class Server:
    """A listener that answers by script: the replies in turn, the last one over and over."""

    def __init__(
        self, *script: Reply, host: str = "127.0.0.1", respond: Callable[[Request], Reply] | None = None
    ) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.connections = 0
        self.respond = respond
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._released = threading.Event()
        self.port = self._listener.getsockname()[1]
        self.url = f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        with self._lock:
            self._listener.shutdown(socket.SHUT_RDWR)
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection, self.connections))
            with self._lock:
                self._threads.append(thread)
                self.connections += 1
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with self._lock:
            self._open.add(connection)
        with connection, connection.makefile("rb") as incoming:
            while (request := self._receive(incoming, number)) is not None:
                with self._lock:
                    self.requests.append(request)
                    tx = self.script.pop(0) if len(self.script) > 1 else (self.script or [Reply()])[0]
                answer = self.respond(request) if self.respond else tx
                try:
                    connection.sendall(answer.data)
                except OSError:
                    return
                if answer.then == "hang":
                    self._released.wait()
                while answer.then == "repeat" and not self._released.wait(answer.pause):
                    try:
                        connection.sendall(answer.repeated)
                    except OSError:
                        return
                if answer.then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if answer.then != "keep":
                    return

    @staticmethod
    def _receive(incoming: io.BufferedReader, number: int) -> Request | None:
        try:
            line = incoming.readline().decode("latin-1").split()
            if len(line) != 3:
                return None
            head = list(takewhile(lambda line: line.strip(), iter(incoming.readline, b"")))
            headers = BytesParser(policy=HTTP).parsebytes(b"".join(head))
            body = incoming.read(int(headers.get("Content-Length", "0")))
        except OSError:
            return None
        return Request(number, line[0], line[1], cast("Mapping[str, str]", headers), body)


def client(server: Server | str, **options: Any) -> VideoApi:
    url = server if isinstance(server, str) else server.url
    given_options = {"timeout_seconds": 5.0, "user_agent": "sorawatch/test"} | options
    dialect = given_options.pop("dialect", REFERENCE)
    return VideoApi(dialect, f"{url}/v1/", lambda: KEY, **given_options)  # type: ignore[arg-type]


def submit(api: VideoApi, prompt: str = "waves", **options: Any) -> Video:
    terms = OrderTerms("sora-2", prompt, "1280x720", "8")
    return api.submit(terms, Picture(b"\xff\xd8\r\n\x00", "r.jpg", "image/jpeg"), **options)


@contextmanager
def serving(*script: Reply, **options: Any) -> Iterator[tuple[Server, VideoApi]]:
    with Server(*script) as server:
        api = client(server, **options)
        try:
            yield server, api
        finally:
            api.close()


@dataclass
class Storage:
    """A server of one clip that honours Range, with the client's part of it."""

    clip: bytes = CLIP
    ranges: list[str | None] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if wanted is None:
            return reply(200, self.clip, Content_Type="video/mp4")
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.clip):
            return reply(416, Content_Range=f"bytes */{len(self.clip)}")
        span = f"bytes {start}-{len(self.clip) - 1}/{len(self.clip)}"
        return reply(206, self.clip[start:], Content_Type="video/mp4", Content_Range=span)


# What is sent


@pytest.mark.parametrize(
    "prompt", ['a "quoted"\r\n--boundary\n\ttab', "зима 海浪 🌊 é", "  spaces  ", "x" * 32_000, "\u2028\x00\x7f"]
)
def test_the_order_arrives_byte_for_byte(prompt: str) -> None:
    with serving(reply(200, JOB)) as (server, api):
        assert submit(api, prompt).id == "video_1"
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/videos")
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["User-Agent"] == "sorawatch/test"
    assert [(name, file_name, data) for name, file_name, _, data in request.form] == [
        ("model", None, b"sora-2"),
        ("prompt", None, prompt.encode()),
        ("seconds", None, b"8"),
        ("size", None, b"1280x720"),
        ("input_reference", "r.jpg", b"\xff\xd8\r\n\x00"),
    ]
    assert request.form[-1][2] == "image/jpeg"


def test_a_dialect_changes_the_form() -> None:
    extra = (("fps", "24"),)
    dialect = customized(REFERENCE, image_field="image", extra_fields=extra, send_size=False, auth="X-Api-Key")
    with serving(reply(200, JOB), dialect=dialect, headers={"X-Team": "film"}) as (server, api):
        submit(api)
    (request,) = server.requests
    assert [part[0] for part in request.form] == ["model", "prompt", "seconds", "fps", "image"]
    assert (request.headers["X-Api-Key"], request.headers["X-Team"]) == (KEY, "film")
    assert "Authorization" not in request.headers


def test_half_a_character_is_refused_before_anything_is_sent() -> None:
    with serving(reply(200, JOB)) as (server, api), pytest.raises(Rejected):
        submit(api, "half \ud83c")
    assert server.requests == []


@pytest.mark.parametrize("video_id", ["video_a=/b+c?d#e%2F", "v" * 130, "é"])
def test_ids_are_quoted(video_id: str) -> None:
    with serving(reply(200, JOB)) as (server, api):
        api.retrieve(video_id)
    quoted = {"é": "%C3%A9", "video_a=/b+c?d#e%2F": "video_a%3D%2Fb%2Bc%3Fd%23e%252F"}.get(video_id, video_id)
    assert server.requests[0].target == f"/v1/videos/{quoted}"


def test_the_list_is_asked_for_newest_first() -> None:
    with serving(reply(200, {"data": [JOB], "has_more": True})) as (server, api):
        assert api.page(after="v/1", limit=20).has_more
        api.page()
    assert [request.target for request in server.requests] == [
        "/v1/videos?limit=20&order=desc&after=v%2F1",
        "/v1/videos?limit=100&order=desc",
    ]


def test_models_are_listed() -> None:
    with serving(reply(200, {"data": [{"id": "sora-2"}]})) as (server, api):
        assert api.models() == ("sora-2",)
    assert server.requests[0].target == "/v1/models"


def test_netrc_never_replaces_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(reply(302, Location="/elsewhere"), reply(200, JOB)) as (server, api):
        api.retrieve("video_1")
    with serving(reply(200, JOB), dialect=customized(REFERENCE, auth="none")) as (keyless, api):
        submit(api)
    assert [request.headers.get("Authorization") for request in server.requests] == [f"Bearer {KEY}"] * 2
    assert keyless.requests[0].headers.get("Authorization") is None


def test_a_changed_key_counts_at_once() -> None:
    keys = iter(["first", "second"])
    with Server(reply(200, JOB)) as server:
        api = VideoApi(REFERENCE, f"{server.url}/v1", lambda: next(keys), timeout_seconds=5, user_agent="x")
        api.retrieve("v")
        submit(api)
        api.close()
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_no_header_takes_is_blocked(key: str) -> None:
    with Server(reply(200, JOB)) as server:
        api = VideoApi(REFERENCE, server.url, lambda: key, timeout_seconds=5, user_agent="x")
        with pytest.raises(Blocked):
            submit(api)
        api.close()
    assert server.requests == []


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        KEY.replace("/", "\\/"),
        KEY.replace("-", "\\u002D").replace("1", "\\u0031"),
        quote(KEY, safe=""),
        "".join(f"\\u{ord(each):04x}" for each in KEY),
    ],
)
def test_a_key_that_the_server_echoes_is_not_repeated(echo: str) -> None:
    body = b'{"error": {"message": "Incorrect API key: ' + echo.encode() + b'", "code": "invalid_api_key"}}'
    with serving(reply(401, body), reply(301, Location=f"https://x/?key={KEY}")) as (_, api):
        for kind in (Blocked, Unresolved):
            with pytest.raises(kind) as raised:
                submit(api)
            assert "[key]" in str(raised.value)
            assert "0123456789" not in str(raised.value)


def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(reply(200, JOB)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        api = client("http://videos.example")
        submit(api)
        api.retrieve("v")
        api.close()
    assert [request.target for request in proxy.requests] == [
        "http://videos.example/v1/videos",
        "http://videos.example/v1/videos/v",
    ]


# A submit is sent once


SPOILED = {
    "reset": RESET,
    "closed": Reply(then="close"),
    "cut": reply(200, JOB, cut=5),
    "garbage": Reply(b"220 smtp ready\r\n", "close"),
    "half a head": Reply(b"HTTP/1.1 200 OK\r\nContent-", "reset"),
    "502": reply(502, b"<html>"),
    "503 html": reply(503, b"<html>", Retry_After="1"),
    "504": reply(504),
    "200 html": reply(200, b"<html>"),
    "endless": reply(200, b" " * (MAX_RESPONSE + 1)),
    "bad chunk": Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "close"),
    "bad gzip": reply(200, b"no gzip", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("head", [b"HTTP/1.1 400 Bad", b"HTTP/1.1 400 Bad Request\r\n", b"HTTP/1.1 400 X\r\nDate: x"])
def test_a_refusal_that_is_cut_off_in_its_head_refuses_nothing(head: bytes) -> None:
    with serving(Reply(head, then="close")) as (_, api), pytest.raises(Unresolved, match="cut off"):
        submit(api)


@pytest.mark.parametrize("spoiled", SPOILED.values(), ids=SPOILED.keys())
def test_a_lost_answer_is_unresolved_and_never_sent_again(spoiled: Reply) -> None:
    with serving(spoiled, reply(200, JOB)) as (server, api), pytest.raises(Unresolved):
        submit(api)
    assert len(server.requests) == 1


def test_an_answer_that_does_not_come_is_unresolved() -> None:
    with serving(Reply(then="hang"), timeout_seconds=0.2) as (server, api), pytest.raises(Unresolved):
        submit(api)
    assert len(server.requests) == 1


def test_an_answer_that_drips_is_given_up() -> None:
    drip = Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 200_000)
    with (
        serving(drip, timeout_seconds=0.2) as (_, api),
        pytest.raises(Unresolved, match=r"longer than 0\.2 s|timed out"),
    ):
        submit(api)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirected_submit_is_not_followed(status: int) -> None:
    with serving(reply(status, Location="/v1/videos/"), reply(200, JOB)) as (server, api):
        with pytest.raises(Unresolved) as raised:
            submit(api)
        assert "/v1/videos/" in str(raised.value)
        assert len(server.requests) == 1


@pytest.mark.parametrize("target", ["http://[", "http://..", "//", "\xff", "gopher://x"])
def test_a_senseless_redirect_is_survived(target: str) -> None:
    with serving(reply(302, Location=target)) as (_, api):
        with pytest.raises(Unresolved):
            submit(api)
        with pytest.raises(Deferred):
            api.retrieve("v")


def test_a_submit_can_be_withheld_until_its_body_is_sent() -> None:
    def withhold() -> None:
        raise NotSent("it was not sent in time")

    with serving(reply(200, JOB)) as (server, api), pytest.raises(NotSent, match="not sent in time"):
        submit(api, before_body=withhold)
    assert [request.body for request in server.requests] in ([], [b""])


def test_each_submit_has_a_connection_of_its_own() -> None:
    with serving(reply(200, JOB)) as (server, api):
        api.retrieve("v")
        submit(api)
        submit(api)
        api.retrieve("v")
    assert [request.connection for request in server.requests] == [0, 1, 2, 0]


def test_a_refused_connection_was_certainly_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    api = client(f"http://127.0.0.1:{port}")
    with pytest.raises(Deferred, match="refused"):
        submit(api)
    api.close()


def test_an_unknown_host_was_certainly_not_sent() -> None:
    api = client("http://no-such-host.invalid")
    with pytest.raises(Deferred):
        submit(api)
    api.close()


def test_failed_tls_was_certainly_not_sent_and_says_what_to_do() -> None:
    def answer_plainly() -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionResetError):
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(1 << 16)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_plainly)
        thread.start()
        api = client(f"https://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Blocked, match="no secure connection") as raised:
            submit(api)
        api.close()
        thread.join()
    assert "REQUESTS_CA_BUNDLE" in raised.value.hint
    assert raised.value.cause.temporary


@pytest.mark.parametrize("refused", [reply(407), reply(502), RESET], ids=["407", "502", "reset"])
def test_a_proxy_that_builds_no_tunnel_has_certainly_not_sent(refused: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(refused) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        api = client("https://videos.example")
        with pytest.raises(Deferred):
            submit(api)
        api.close()
    assert [request.method for request in proxy.requests] == ["CONNECT"]


# Asking


@pytest.mark.parametrize("hiccup", [RESET, Reply(then="close"), reply(502), reply(503), reply(504)])
def test_a_hiccup_of_a_get_is_passed_over(hiccup: Reply) -> None:
    with serving(hiccup, hiccup, reply(200, JOB)) as (server, api):
        assert api.retrieve("v").status is Status.QUEUED
    assert len(server.requests) == 3


@pytest.mark.parametrize("lasting", [RESET, reply(502, b"<html>")])
def test_a_lasting_fault_of_a_get_is_deferred(lasting: Reply) -> None:
    with serving(lasting) as (server, api), pytest.raises(Deferred):
        api.retrieve("v")
    assert len(server.requests) == 3


@pytest.mark.parametrize("busy", [reply(503, Retry_After="9"), reply(429, retry_after_ms="9000")])
def test_a_server_that_names_a_time_is_not_asked_again_before(busy: Reply) -> None:
    with serving(busy) as (server, api):
        with pytest.raises(Deferred) as raised:
            api.retrieve("v")
        assert raised.value.retry_after == 9.0
        assert len(server.requests) == 1


def test_a_silent_server_is_asked_once() -> None:
    with serving(Reply(then="hang"), timeout_seconds=0.2) as (server, api), pytest.raises(Deferred):
        api.retrieve("v")
    assert len(server.requests) == 1


def test_an_answer_larger_than_any_page_is_not_read() -> None:
    with serving(reply(200, b" " * (MAX_RESPONSE + 1))) as (_, api), pytest.raises(Deferred, match="bytes"):
        api.page()


def test_a_gzipped_answer_is_decoded() -> None:
    with serving(reply(200, gzip.compress(json.dumps(JOB).encode()), Content_Encoding="gzip")) as (server, api):
        assert api.retrieve("v").id == "video_1"
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_cookies_are_not_kept() -> None:
    with serving(reply(200, JOB, Set_Cookie="a=b")) as (server, api):
        api.retrieve("v")
        api.retrieve("v")
    assert [request.headers.get("Cookie") for request in server.requests] == [None, None]


def test_many_threads_share_one_client() -> None:
    def respond(request: Request) -> Reply:
        return reply(200, JOB | {"id": request.target.rpartition("/")[2]})

    with Server(respond=respond) as server:
        api = client(server)
        with ThreadPoolExecutor(8) as pool:
            videos = list(pool.map(api.retrieve, [f"v{number}" for number in range(200)]))
        api.close()
    assert [video.id for video in videos] == [f"v{number}" for number in range(200)]
    assert len({request.connection for request in server.requests}) <= 8


# Fetching


def test_a_clip_is_fetched() -> None:
    storage, part = Storage(), io.BytesIO()
    with Server(respond=storage) as server:
        api = client(server)
        assert api.download("v/1", part) == len(CLIP)
        api.close()
    assert part.getvalue() == CLIP
    assert server.requests[0].target == "/v1/videos/v%2F1/content"
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("had", [1, OVERLAP, OVERLAP + 1, len(CLIP) - 1, len(CLIP)])
def test_a_download_goes_on_where_it_broke_off(had: int) -> None:
    storage, part = Storage(), io.BytesIO(CLIP[:had])
    with Server(respond=storage) as server:
        api = client(server)
        assert api.download("v", part) == len(CLIP)
        api.close()
    assert part.getvalue() == CLIP
    assert storage.ranges == [f"bytes={had - OVERLAP}-" if had > OVERLAP else None]


def test_a_cut_off_download_is_kept_and_completed() -> None:
    part = io.BytesIO()
    cut = reply(200, CLIP, cut=OVERLAP, Content_Type="video/mp4")
    with serving(cut) as (_, api), pytest.raises(Deferred):
        api.download("v", part)
    assert part.getvalue() == CLIP[:-OVERLAP]
    with Server(respond=Storage()) as server:
        api = client(server)
        api.download("v", part)
        api.close()
    assert part.getvalue() == CLIP


def test_a_server_without_ranges_starts_over() -> None:
    part = io.BytesIO(CLIP[: 2 * OVERLAP])
    with serving(reply(200, CLIP, Content_Type="video/mp4")) as (server, api):
        assert api.download("v", part) == len(CLIP)
    assert server.requests[0].headers["Range"] == f"bytes={OVERLAP}-"
    assert part.getvalue() == CLIP


@pytest.mark.parametrize(
    "had",
    [CLIP[: OVERLAP + 1] + bytes(OVERLAP), bytes(2 * OVERLAP), CLIP + bytes(1), CLIP + bytes(2 * OVERLAP)],
    ids=["zero tail", "other clip", "one byte more", "much more"],
)
def test_a_part_of_something_else_is_dropped(had: bytes) -> None:
    part = io.BytesIO(had)
    with Server(respond=Storage()) as server:
        api = client(server)
        with pytest.raises(Deferred):
            api.download("v", part)
        assert part.getvalue() == b""
        assert api.download("v", part) == len(CLIP)
        api.close()
    assert part.getvalue() == CLIP


@pytest.mark.parametrize(
    "answer",
    [
        reply(206, CLIP, Content_Range="bytes 0-9/10", Content_Type="video/mp4"),
        reply(206, CLIP, Content_Type="video/mp4"),
        reply(206, gzip.compress(CLIP), Content_Range=f"bytes {OVERLAP}-9/*", Content_Encoding="gzip"),
    ],
)
def test_another_range_than_asked_for_is_not_taken(answer: Reply) -> None:
    part = io.BytesIO(CLIP[: 2 * OVERLAP])
    answer.data = answer.data.replace(b"application/json", b"video/mp4")
    with serving(answer) as (_, api), pytest.raises(Deferred):
        api.download("v", part)
    assert part.getvalue() == b""


@pytest.mark.parametrize("chunked", [False, True])
def test_a_gzipped_clip_is_decoded(chunked: bool) -> None:
    packed, part = gzip.compress(CLIP), io.BytesIO()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Encoding: gzip\r\n"
    whole = Reply(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed)
    if chunked:
        whole = Reply(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n")
    with serving(whole) as (_, api):
        assert api.download("v", part) == len(CLIP)
    assert part.getvalue() == CLIP


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(404, {"error": {"message": "Video is not ready"}}), Deferred),
        (reply(400, {"error": {"message": "Task is not completed yet"}}), Deferred),
        (reply(502), Deferred),
        (reply(200, b"<html>Sign in</html>", Content_Type="text/html; charset=utf-8"), Deferred),
        (reply(200, {"error": {"message": "not ready"}}), Deferred),
        (reply(204), Deferred),
        (RESET, Deferred),
        (reply(410), Rejected),
        (reply(404, {"error": {"message": "The video has expired"}}), Rejected),
        (reply(401), Blocked),
    ],
)
def test_a_clip_that_cannot_be_had_leaves_the_part_alone(answer: Reply, kind: type[SorawatchError]) -> None:
    part = io.BytesIO(CLIP[:100])
    with serving(answer) as (server, api), pytest.raises(kind):
        api.download("v", part)
    assert part.getvalue() == CLIP[:100]
    assert sum(request.target.endswith("/content") for request in server.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["other port", "other host"])
def test_the_key_does_not_follow_a_redirect_to_another_server(host: str) -> None:
    part = io.BytesIO(CLIP[: 2 * OVERLAP])
    with Server(host=host, respond=Storage()) as storage:
        redirect = reply(302, Location=f"{storage.url}/signed?x=1")
        with serving(redirect, headers={"X-Secret": "team"}) as (server, api):
            assert api.download("v", part) == len(CLIP)
    (asked,) = storage.requests
    assert part.getvalue() == CLIP
    assert asked.headers["Range"] == f"bytes={OVERLAP}-"
    assert KEY not in str(asked.headers.items())
    assert "X-Secret" not in asked.headers
    assert server.requests[0].headers["X-Secret"] == "team"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_to_storage_that_ran_out_is_no_fault_of_the_key(status: int) -> None:
    with Server(reply(status, b"<Error>expired</Error>"), host="127.0.0.2") as storage:
        redirect = reply(302, Location=storage.url)
        with serving(redirect) as (_, api), pytest.raises(Deferred, match=r"127\.0\.0\.2"):
            api.download("v", io.BytesIO())


def test_redirects_in_a_circle_end() -> None:
    with serving(reply(302, Location="/again")) as (server, api), pytest.raises(Deferred):
        api.download("v", io.BytesIO())
    assert len(server.requests) == 6


def test_a_full_disk_pauses() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    answer = reply(200, CLIP, Content_Type="video/mp4")
    with serving(answer) as (_, api), pytest.raises(Blocked, match="disk is full"):
        api.download("v", Full())


# Whatever comes


RAW_ANSWERS = st.binary(max_size=300) | st.builds(
    lambda status, name, value, body: b"HTTP/1.1 %d X\r\n%s: %s\r\n\r\n%s" % (status, name, value, body),
    st.integers(200, 599),
    st.sampled_from([b"Location", b"Content-Encoding", b"Content-Length", b"Transfer-Encoding", b"Content-Range"]),
    st.binary(max_size=20) | st.sampled_from([b"gzip", b"chunked", b"br", b"-1", b"bytes 0-1/2", b"http://[", b"/"]),
    st.binary(max_size=60),
)


@settings(deadline=None, max_examples=80)
@given(RAW_ANSWERS)
def test_no_bytes_bring_a_submit_or_a_download_anything_but_our_errors(data: bytes) -> None:
    with serving(Reply(data, "close"), timeout_seconds=1.0) as (server, api):
        for call in (lambda: submit(api), lambda: api.download("v", io.BytesIO())):
            with suppress(Deferred, Rejected, Blocked, Unresolved):
                call()
    assert [request.method for request in server.requests][:2] == ["POST", "GET"]


@settings(deadline=None, max_examples=10)
@given(RAW_ANSWERS)
def test_no_bytes_bring_a_poll_anything_but_our_errors(data: bytes) -> None:
    with serving(Reply(data, "close"), timeout_seconds=1.0) as (server, api), suppress(Deferred, Rejected, Blocked):
        api.retrieve("v")
    assert server.requests


def test_the_whole_way_against_the_simulator() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720), "teal").save(picture, "JPEG")
    clip = io.BytesIO()
    with running(SimulatorSettings(generation_seconds=0.1, frames_per_second=2)) as simulator:
        api = VideoApi(
            REFERENCE, simulator.url, lambda: "sk-simulated", timeout_seconds=30, user_agent="sorawatch/test"
        )
        sent = Picture(picture.getvalue(), "reference.jpg", "image/jpeg")
        video = api.submit(OrderTerms("sora-2", "waves", "1280x720", "4"), sent)
        while video.status is not Status.COMPLETED:
            video = api.retrieve(video.id)
            assert video.status is not Status.FAILED
        (listed,) = api.page().videos
        assert "sora-2" in api.models()
        assert api.download(video.id, clip) == len(clip.getvalue())
        with pytest.raises(Rejected, match=texts.NO_LONGER_KNOWN):
            api.retrieve("video_unknown")
        with pytest.raises(Rejected, match="size"):
            api.submit(OrderTerms("sora-2", "waves", "720x1280", "4"), sent)
        api.close()
    check(clip)
    assert (listed.id, listed.prompt, listed.size, listed.seconds) == (video.id, "waves", "1280x720", "4")
