"""Redirects and links: their bodies are not read, and they do not lead to local addresses of this machine."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator

import pytest

from sorawatch.errors import Deferred, Unresolved
from tests.edges.api.test_client import CLIP, JOB, Reply, Request, Server, client, reply, serving, submit

LOOPBACK_HOSTS = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "localhost",
    "localhost.",
    "LOCALHOST",
]
LINK_LOCAL_HOSTS = ["169.254.169.254", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]"]


@pytest.fixture
def outside() -> str:
    """An address of this machine that is not local, so that a server there is one in the network for the client."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent. The kernel only chooses the address to send from.
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address in a network")
        address = str(probe.getsockname()[0])
    if address.startswith(("127.", "169.254.")):
        pytest.skip("this machine has no address in a network")
    return address


@pytest.fixture
def service() -> Iterator[Server]:
    """A service of this machine that trusts whoever connects from it."""
    with Server(reply(200, CLIP)) as server:
        yield server


def content_redirects(location: str) -> Reply:
    return reply(302, Location=location)


@pytest.mark.parametrize("host", [*LOOPBACK_HOSTS, *LINK_LOCAL_HOSTS])
@pytest.mark.parametrize("way", ["redirect", "link", "redirect of a link"])
def test_a_server_in_the_network_sends_nobody_to_a_local_address(
    outside: str, service: Server, host: str, way: str
) -> None:
    local = f"http://{host}:{service.port}/clip.mp4"

    def respond(request: Request) -> Reply:
        if request.target == "/elsewhere" or (way == "redirect" and request.target.endswith("/content")):
            return reply(302, Location=local)
        if request.target.endswith("/content"):
            return reply(404, {"detail": "Not Found"})
        return reply(200, {**JOB, "status": "completed", "url": local if way == "link" else "/elsewhere"})

    part = io.BytesIO()
    with Server(host=outside, respond=respond) as server:
        api = client(server)
        with pytest.raises(Deferred, match=r"a (loopback|link-local) address, which is not followed") as raised:
            api.download("v", part)
        api.close()
    assert service.connections == 0
    assert part.getvalue() == b""
    # Such a failure counts, so that the job is held in the end and does not try for ever.
    assert not raised.value.affects_all


def test_a_name_that_resolves_to_a_local_address_is_not_followed(outside: str, service: Server) -> None:
    name = next(
        (
            name
            for name in (socket.gethostname(), "localhost.localdomain", "ip6-localhost")
            if _resolves_to_loopback(name)
        ),
        None,
    )
    if name is None:
        pytest.skip("this machine has no second name for itself")
    with Server(reply(302, Location=f"http://{name}:{service.port}/"), host=outside) as server:
        api = client(server)
        with pytest.raises(Deferred, match="a loopback address, which is not followed"):
            api.download("v", io.BytesIO())
        api.close()
    assert service.connections == 0


def _resolves_to_loopback(name: str) -> bool:
    try:
        return socket.gethostbyname(name).startswith("127.")
    except OSError:
        return False


def test_a_poll_is_not_sent_to_a_local_address_either(outside: str, service: Server) -> None:
    with Server(reply(307, Location=f"{service.url}/v1/videos/v"), host=outside) as server:
        api = client(server)
        with pytest.raises(Deferred, match="which is not followed"):
            api.retrieve("v")
        api.close()
    assert service.connections == 0


def test_a_redirect_within_the_network_is_followed(outside: str) -> None:
    part = io.BytesIO()
    with Server(reply(200, CLIP), host=outside) as storage, Server(host=outside) as server:
        server.respond = lambda _: reply(302, Location=f"{storage.url}/clip.mp4")
        api = client(server)
        assert api.download("v", part) == len(CLIP)
        api.close()


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "0.0.0.0"])
def test_a_server_on_this_machine_may_name_others_there(host: str) -> None:
    part = io.BytesIO()
    with Server(reply(200, CLIP), host=host) as storage, Server(reply(302, Location=storage.url)) as server:
        api = client(server)
        assert api.download("v", part) == len(CLIP)
        # The same over a connection that was kept open.
        assert api.download("v", part) == len(CLIP)
        api.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::1]"])
def test_a_proxy_is_not_asked_for_its_own_local_addresses(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with Server(reply(302, Location=f"http://{host}:9/")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        api = client("http://videos.example")
        with pytest.raises(Deferred, match="a loopback address, which is not followed"):
            api.download("v", io.BytesIO())
        api.close()
    assert [request.target for request in proxy.requests] == ["http://videos.example/v1/videos/v/content"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "[::1]"])
@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_no_proxy_gets_what_is_for_this_machine(host: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server(reply(200, JOB)) as proxy, Server(reply(200, JOB), host=host.strip("[]")) as server:
        monkeypatch.setenv(variable, proxy.url)
        api = client(f"http://{host}:{server.port}")
        assert submit(api).id == JOB["id"]
        assert api.retrieve("v").id == JOB["id"]
        api.close()
    assert proxy.connections == 0
    assert len(server.requests) == 2


ENDLESS = 1 << 40
"""Bytes that a body announces and never sends: whoever waits for them fails with a time-out."""


def test_the_body_of_a_redirect_is_not_read() -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: /clip.mp4\r\nContent-Length: {ENDLESS}\r\n\r\n"
    part = io.BytesIO()

    def respond(request: Request) -> Reply:
        return reply(200, CLIP) if request.target == "/clip.mp4" else Reply(head.encode(), "hang")

    with Server(respond=respond) as server:
        api = client(server)
        assert api.download("v", part) == len(CLIP)
        api.close()


def test_the_body_of_a_redirected_poll_is_not_read() -> None:
    head = f"HTTP/1.1 307 Moved\r\nLocation: /v1/elsewhere\r\nContent-Length: {ENDLESS}\r\n\r\n"

    def respond(request: Request) -> Reply:
        return reply(200, JOB) if request.target == "/v1/elsewhere" else Reply(head.encode(), "hang")

    with Server(respond=respond) as server:
        api = client(server)
        assert api.retrieve("v").id == JOB["id"]
        api.close()


def test_a_redirect_of_a_submit_to_a_local_address_is_not_followed(outside: str, service: Server) -> None:
    with Server(reply(307, Location=service.url), host=outside) as server:
        api = client(server)
        with pytest.raises(Unresolved):
            submit(api)
        api.close()
    assert service.connections == 0


def test_the_key_does_not_come_back_after_a_detour() -> None:
    with Server(host="127.0.0.2") as elsewhere, serving(headers={"X-Secret": "team"}) as (server, api):
        elsewhere.respond = lambda _: reply(302, Location=f"{server.url}/again")
        server.respond = lambda request: (
            reply(200, CLIP) if request.target == "/again" else reply(302, Location=elsewhere.url)
        )
        assert api.download("v", io.BytesIO()) == len(CLIP)
    assert "Authorization" in server.requests[0].headers
    for request in (*elsewhere.requests, server.requests[1]):
        assert not {"Authorization", "X-Secret"} & set(request.headers)
