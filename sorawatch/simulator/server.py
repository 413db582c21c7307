"""Runs the application with Uvicorn, in the foreground or in a thread."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sorawatch.simulator.asgi_response import TRANSPORT
from sorawatch.simulator.control import Simulator
from sorawatch.simulator.renderer import ClipCache
from sorawatch.simulator.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sorawatch.simulator.settings import SimulatorSettings

_STORAGE_HOST = "127.0.0.2"


@contextmanager
def running(settings: SimulatorSettings, host: str, port: int, clips: ClipCache | None) -> Iterator[Simulator]:
    """See ``sorawatch.simulator.running``."""
    server = _Server(settings, host, port, clips or ClipCache())
    thread = threading.Thread(target=server.run_quietly, name="simulator", daemon=True)
    thread.start()
    try:
        yield Simulator(server.root, server.service, server.wait_for_loop())
    finally:
        server.stop()
        thread.join()


def serve(settings: SimulatorSettings, host: str, port: int, announce: Callable[[str, str, str | None], None]) -> None:
    """See ``sorawatch.simulator.serve``."""
    with suppress(KeyboardInterrupt):
        server = _Server(settings, host, port, ClipCache())
        api = server.service.api
        announce(server.root, f"{server.root}{api.base_path}", api.key())
        server.run_quietly()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Protocol(H11Protocol):
    """Gives the application access to the transport, which some faults need."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # asyncio sets TCP_NODELAY only on sockets with an explicit protocol number, and ours has 0. Without it, Nagle's
        # algorithm and delayed acknowledgements together delay each response by 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, TRANSPORT: transport}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """A server that listens as soon as it is constructed; raises OSError if it cannot."""

    def __init__(self, settings: SimulatorSettings, host: str, port: int, clips: ClipCache) -> None:
        self._sockets = [_listen(host, port), _listen_as_storage()]
        self.root, storage_root = map(_address, self._sockets)
        self.service = Service(settings, storage_root, clips)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._stopping: asyncio.Event | None = None
        config = uvicorn.Config(
            self.service.app(),
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            # Longer than any test: a client that reuses a connection while the server closes it would lose a response.
            timeout_keep_alive=75,
        )
        super().__init__(config)

    def run_quietly(self) -> None:
        try:
            self.run(self._sockets)
        finally:
            self._ready.set()

    def wait_for_loop(self) -> asyncio.AbstractEventLoop:
        """Wait until the server is ready, and return its event loop."""
        self._ready.wait()
        if self._loop is None:
            raise RuntimeError("the simulator did not start")
        return self._loop

    def stop(self) -> None:
        """Stop the server, from any thread. Running requests are aborted."""
        if self._loop is not None and self._stopping is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    async def main_loop(self) -> None:
        # Uvicorn checks ten times a second whether it should stop; the event avoids that delay in each test.
        assert self._stopping is not None
        while not (self._stopping.is_set() or await self.on_tick(0)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Uvicorn's own shutdown waits for clients that hang, sends 500 to cancelled requests, and takes at least 0.1
        # seconds. The simulator just closes all connections.
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            transport: Any = connection.transport
            transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await self.lifespan.shutdown()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def _listen_as_storage() -> socket.socket:
    """Listen on another loopback address, which is another host for clients; on another port if there is only one."""
    try:
        return _listen(_STORAGE_HOST, 0)
    except OSError:
        return _listen("127.0.0.1", 0)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
