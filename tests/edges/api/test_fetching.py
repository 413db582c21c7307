"""What a download takes for a clip, and where it looks for one, against real sockets on loopback."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sorawatch.edges.api.fetching import MAX_RESPONSE
from sorawatch.edges.api.range_download import OVERLAP
from sorawatch.errors import Blocked, Deferred, Rejected
from tests.edges.api.test_client import CLIP, KEY, RESET, Reply, Request, Server, Storage, client, reply, serving

NOT_FOUND = reply(404, {"detail": "Not Found"})
TEXT = b"".join(b'"node %d": "a slow push-in, waves, leaves", ' % number for number in range(400))
CLIP_WITH_TEXT = CLIP + TEXT + os.urandom(OVERLAP)


@pytest.mark.parametrize("media_type", ["application/json", "text/html", "text/plain", "video/mp4", "image/png"])
def test_a_clip_is_taken_whatever_its_type(media_type: str) -> None:
    part = io.BytesIO()
    with serving(reply(200, CLIP, Content_Type=media_type)) as (server, api):
        assert api.download("v", part) == len(CLIP)
    assert part.getvalue() == CLIP
    assert len(server.requests) == 1


def test_a_clip_without_a_type_is_taken() -> None:
    part = io.BytesIO()
    bare = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CLIP) + CLIP)
    with serving(bare) as (_, api):
        assert api.download("v", part) == len(CLIP)


def test_a_clip_that_comes_byte_by_byte_is_taken() -> None:
    part = io.BytesIO()
    drip = b"".join(b"1\r\n%c\r\n" % byte for byte in CLIP[:600]) + b"%x\r\n%s\r\n0\r\n\r\n" % (
        len(CLIP) - 600,
        CLIP[600:],
    )
    with serving(Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + drip)) as (_, api):
        assert api.download("v", part) == len(CLIP)
    assert part.getvalue() == CLIP


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "The video is not ready"}}',
        b"<html><title>Sign in</title></html>",
        b"Not ready",
        b"",
        b"\xff\xd8\xff\xe0\x00\x10JFIF a thumbnail",
        os.urandom(5000),
    ],
    ids=["json", "html", "words", "nothing", "picture", "noise"],
)
def test_what_is_no_video_is_not_written_whatever_its_type(body: bytes) -> None:
    part = io.BytesIO(CLIP[:100])
    with serving(reply(200, body, Content_Type="video/mp4")) as (_, api), pytest.raises(Deferred):
        api.download("v", part)
    assert part.getvalue() == CLIP[:100]


def test_an_endless_answer_that_is_no_video_counts_as_this_jobs_failure() -> None:
    with serving(reply(200, b"x" * (2 * MAX_RESPONSE))) as (_, api), pytest.raises(Deferred) as raised:
        api.download("v", io.BytesIO())
    assert not raised.value.affects_all


def test_a_part_that_ends_in_text_is_gone_on_with() -> None:
    had = len(CLIP) + 2 * OVERLAP
    storage, part = Storage(CLIP_WITH_TEXT), io.BytesIO(CLIP_WITH_TEXT[:had])
    assert len(TEXT) > 3 * OVERLAP
    with Server(respond=storage) as server:
        api = client(server)
        assert api.download("v", part) == len(CLIP_WITH_TEXT)
        api.close()
    assert storage.ranges == [f"bytes={had - OVERLAP}-"]
    assert part.getvalue() == CLIP_WITH_TEXT


def test_an_error_in_place_of_the_rest_leaves_the_part_alone() -> None:
    had = CLIP[: 2 * OVERLAP]
    part = io.BytesIO(had)
    error = reply(206, {"error": "try again"}, Content_Range=f"bytes {OVERLAP}-{OVERLAP + 20}/*")
    with serving(error) as (_, api), pytest.raises(Deferred):
        api.download("v", part)
    assert part.getvalue() == had


def answering(*, content: Reply = NOT_FOUND, job: dict[str, Any] | None = None) -> Callable[[Request], Reply]:
    """A server without clips of its own: what it answers for ``/content``, and the job's JSON."""

    def respond(request: Request) -> Reply:
        return (
            content
            if request.target.endswith("/content")
            else reply(200, {"id": "v", "status": "completed", **(job or {})})
        )

    return respond


def test_a_link_is_fetched_without_anything_private_even_from_the_same_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    part = io.BytesIO(CLIP[: 2 * OVERLAP])

    def respond(request: Request) -> Reply:
        if request.target.startswith("/files/"):
            return Storage()(request)
        return answering(job={"url": "/files/v.mp4?signature=1"})(request)

    with Server(respond=respond) as server:
        api = client(server, headers={"X-Secret": "team"})
        assert api.download("v", part) == len(CLIP)
        api.close()
    *asked, fetched = server.requests
    assert part.getvalue() == CLIP
    assert [request.target for request in asked] == ["/v1/videos/v/content", "/v1/videos/v"]
    assert {request.headers["X-Secret"] for request in asked} == {"team"}
    assert fetched.target == "/files/v.mp4?signature=1"
    assert fetched.headers["Range"] == f"bytes={OVERLAP}-"
    assert not {"Authorization", "X-Secret"} & set(fetched.headers)
    assert KEY not in str(fetched.headers.items())


@pytest.mark.parametrize(
    ("link", "target"), [("clip.mp4", "/v1/videos/v/clip.mp4"), ("/a.mp4", "/a.mp4"), ("../v.mp4", "/v1/videos/v.mp4")]
)
def test_a_relative_link_is_meant_from_the_answer_that_has_it(link: str, target: str) -> None:
    def respond(request: Request) -> Reply:
        return reply(200, CLIP) if request.target == target else reply(200, {"url": link})

    with Server(respond=respond) as server:
        api = client(server)
        assert api.download("v", io.BytesIO()) == len(CLIP)
        api.close()


@pytest.mark.parametrize(("hops", "arrives"), [(5, True), (6, False)])
def test_a_link_is_redirected_as_often_as_any_download(hops: int, arrives: bool) -> None:
    def redirect(request: Request) -> Reply:
        left = int(request.target.removeprefix("/"))
        return reply(302, Location=f"/{left - 1}") if left else reply(200, CLIP)

    with Server(host="127.0.0.2", respond=redirect) as storage, Server() as server:
        server.respond = answering(job={"video_url": f"{storage.url}/{hops}"})
        api = client(server)
        if arrives:
            assert api.download("v", io.BytesIO()) == len(CLIP)
        else:
            with pytest.raises(Deferred, match="which gives no clip either"):
                api.download("v", io.BytesIO())
        api.close()
    assert len(storage.requests) == min(hops, 5) + 1
    assert not any("Authorization" in request.headers for request in storage.requests)


def test_a_link_that_leads_back_to_the_server_brings_no_key_there() -> None:
    def respond(request: Request) -> Reply:
        return reply(401) if request.target == "/private.mp4" else answering(job={"url": f"{storage.url}/"})(request)

    with Server(respond=respond) as server, Server(host="127.0.0.2") as storage:
        storage.script = [reply(302, Location=f"{server.url}/private.mp4")]
        api = client(server)
        with pytest.raises(Deferred, match="HTTP 401"):
            api.download("v", io.BytesIO())
        api.close()
    assert "Authorization" not in server.requests[-1].headers


def test_the_first_link_that_works_is_taken() -> None:
    with Server(host="127.0.0.2", respond=Storage()) as storage, Server() as server:
        links = {
            "video_url": "http://no-such-host.invalid/v.mp4",
            "url": "http://[",
            "output": [f"{storage.url}/v.mp4"],
        }
        server.respond = answering(job=links)
        api = client(server)
        assert api.download("v", io.BytesIO()) == len(CLIP)
        api.close()


def test_a_link_that_breaks_off_is_gone_on_with() -> None:
    part = io.BytesIO()
    cut = reply(200, CLIP, cut=OVERLAP)
    with Server(cut, host="127.0.0.2") as storage, Server() as server:
        server.respond = answering(job={"url": f"{storage.url}/v.mp4"})
        api = client(server)
        with pytest.raises(Deferred) as raised:
            api.download("v", part)
        assert raised.value.affects_all
        assert part.getvalue() == CLIP[:-OVERLAP]
        storage.respond = Storage()
        assert api.download("v", part) == len(CLIP)
        api.close()
    assert part.getvalue() == CLIP


def test_links_that_fail_stand_in_the_error_and_count_as_this_jobs() -> None:
    with Server(RESET, host="127.0.0.2") as storage, Server() as server:
        links = [f"{storage.url}/a.mp4?signature=" + "x" * 600, "http://no-such-host.invalid/b.mp4"]
        server.respond = answering(job={"video_url": links[0], "url": links[1]})
        api = client(server)
        with pytest.raises(Deferred) as raised:
            api.download("v", io.BytesIO())
        api.close()
    assert "Not Found" in str(raised.value)
    assert all(link in str(raised.value) for link in links)
    assert not raised.value.affects_all


@pytest.mark.parametrize(("content", "kind"), [(reply(410), Rejected), (reply(401), Blocked)])
def test_a_link_that_fails_leaves_the_error_of_what_it_was(content: Reply, kind: type[Exception]) -> None:
    with Server(reply(403), host="127.0.0.2") as storage, Server() as server:
        server.respond = answering(content=content, job={"url": f"{storage.url}/v.mp4"})
        api = client(server)
        with pytest.raises(kind):
            api.download("v", io.BytesIO())
        api.close()
    assert len(storage.requests) == 1


@pytest.mark.parametrize(
    "busy", [reply(429), reply(503, Retry_After="9"), reply(404, {"error": "not yet"}, Retry_After="9")]
)
def test_a_server_that_wants_to_be_left_alone_is(busy: Reply) -> None:
    with serving(busy) as (server, api), pytest.raises(Deferred):
        api.download("v", io.BytesIO())
    assert len(server.requests) == 1


def test_a_link_may_hold_the_clip() -> None:
    part = io.BytesIO(CLIP[: 2 * OVERLAP])
    link = "data:video/mp4;base64," + base64.b64encode(CLIP).decode()
    with Server(respond=answering(job={"video": {"url": link}})) as server:
        api = client(server)
        assert api.download("v", part) == len(CLIP)
        api.close()
    assert part.getvalue() == CLIP


@pytest.mark.parametrize("held", ["A", base64.b64encode(b"<html>" + bytes(2000)).decode()], ids=["cut", "no video"])
def test_a_link_that_holds_something_else_is_shown_in_short(held: str) -> None:
    part = io.BytesIO(CLIP[:100])
    with Server(respond=answering(job={"url": f"data:video/mp4;base64,{held}"})) as server:
        api = client(server)
        with pytest.raises(Deferred, match="data:video/mp4;base64") as raised:
            api.download("v", part)
        api.close()
    assert len(str(raised.value)) < 300
    assert part.getvalue() == CLIP[:100]


def test_a_link_goes_through_the_proxy_that_its_own_host_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(respond=Storage()) as proxy, Server() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        server.respond = answering(job={"url": "http://files.example/v.mp4"})
        api = client(server)
        assert api.download("v", io.BytesIO()) == len(CLIP)
        api.close()
    assert [request.target for request in proxy.requests] == ["http://files.example/v.mp4"]
