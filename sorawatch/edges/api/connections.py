"""The connections of the client: which addresses they may lead to, and what ends them.

A server can answer with a link or a redirect to any address. Those that lead to this machine or to its network segment
could reach services that trust their neighbours, so they are refused, unless the server itself answers from there.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection
from urllib3.util import parse_url

from sorawatch.core.error_bodies import quote
from sorawatch.core.local_addresses import Reach, is_loopback_host, reach_of
from sorawatch.edges.api.deadlines import Exchange
from sorawatch.edges.api.response_head import WholeHeadResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from requests import PreparedRequest, Response


class LocalAddressError(ValueError):
    """A link or a redirect leads to a loopback or link-local address, although the server is not there."""

    def __init__(self, host: str, reach: Reach) -> None:
        super().__init__(f"it leads to {quote(host)}, a {reach} address, which is not followed")


class _Connection(HTTPConnection):
    """A connection to a server or to a proxy. It is combined with the class of connections of each pool."""

    servers: frozenset[tuple[str, int]]
    """Hosts and ports of the API."""
    is_direct: bool
    """Whether there is no proxy between."""
    response_class = WholeHeadResponse
    _reach: Reach | None = None

    def _new_conn(self) -> socket.socket:
        # Before the handshake of TLS, and before the answer of a proxy.
        connection = self._connected()
        Exchange.current().use(connection)
        return connection

    def _connected(self) -> socket.socket:
        if not self.is_direct:
            return super()._new_conn()
        is_server = (self.host, self.port) in self.servers
        if not is_server:
            _check_host(self._dns_host, 0)
        connection = super()._new_conn()
        peer = str(connection.getpeername()[0])
        try:
            if is_server:
                self._reach = reach_of(peer)
            else:
                # The name may resolve to another address by now.
                _check_address(self.host, peer)
        except BaseException:
            connection.close()
            raise
        return connection

    def connect(self) -> None:
        super().connect()
        self._join_exchange()

    def _tunnel(self) -> None:
        super()._tunnel()
        # A connection that was shut down looks like the end of the proxy's answer.
        Exchange.current().check()

    def putrequest(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            self._join_exchange()
        super().putrequest(*args, **options)

    def _join_exchange(self) -> None:
        exchange = Exchange.current()
        exchange.use(self.sock)
        if self._reach is not None:
            exchange.reaches.add(self._reach)


class Adapter(HTTPAdapter):
    """Opens connections for a client of the API at ``addresses``."""

    def __init__(self, addresses: Iterable[str], pool_size: int) -> None:
        self._servers = frozenset(map(_host_and_port, addresses))
        super().__init__(pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self._use_own_connections(self.poolmanager, is_direct=True)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            self._use_own_connections(manager, is_direct=False)
        return manager

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        url = parse_url(request.url or "")
        host = (url.host or "").strip("[]")
        if host.rstrip(".") not in {name for name, _ in self._servers} and select_proxy(request.url or "", proxies):
            # The proxy resolves names. Addresses, in any of their forms, are the same for it as for us.
            _check_host(host, socket.AI_NUMERICHOST)
        return super().send(request, stream, timeout, verify, cert, proxies)

    def _use_own_connections(self, manager: Any, *, is_direct: bool) -> None:
        settings = {"servers": self._servers, "is_direct": is_direct}
        pools = {}
        for scheme, pool in manager.pool_classes_by_scheme.items():
            connection = type("Connection", (_Connection, pool.ConnectionCls), settings)
            pools[scheme] = type("Pool", (pool,), {"ConnectionCls": connection})
        manager.pool_classes_by_scheme = pools


def _host_and_port(address: str) -> tuple[str, int]:
    url = parse_url(address)
    port = url.port or {"https": 443, "http": 80}.get(url.scheme or "", 0)
    return (url.host or "").strip("[]").rstrip("."), port


def _check_host(host: str, flags: int) -> None:
    """Raise `LocalAddressError` if ``host``, or one of the addresses that it resolves to, must not be used."""
    if is_loopback_host(host):
        _check_reach(host, Reach.LOOPBACK)
    # A name that does not resolve is reported by the attempt to connect.
    with suppress(socket.gaierror):
        for *_, address in socket.getaddrinfo(host, None, 0, socket.SOCK_STREAM, 0, flags):
            _check_address(host, str(address[0]))


def _check_address(host: str, address: str) -> None:
    if (reach := reach_of(address)) is not None:
        _check_reach(host, reach)


def _check_reach(host: str, reach: Reach) -> None:
    if reach not in Exchange.current().reaches:
        raise LocalAddressError(host, reach)
