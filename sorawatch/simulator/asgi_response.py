"""Sends a response over the connection, completely or with a fault."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, cast

from sorawatch.simulator.responses import SimulatedResponse, Transmission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

TRANSPORT = "transport"
"""The key under which the state of an ASGI scope has the asyncio transport of the connection."""
_PIECES = 20


class AsgiResponse:
    """``response`` as an ASGI application."""

    def __init__(self, response: SimulatedResponse) -> None:
        self._answer = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _SENDERS[self._answer.transmission](self._answer, scope["state"][TRANSPORT], receive, send)


async def _whole(response: SimulatedResponse, _: asyncio.Transport, __: Receive, send: Send) -> None:
    await _start(response, send)
    await send({"type": "http.response.body", "body": response.body})


async def _reset(_: SimulatedResponse, transport: asyncio.Transport, receive: Receive, __: Send) -> None:
    # With a linger time of 0 the kernel sends RST instead of FIN.
    connection = cast("socket.socket", transport.get_extra_info("socket"))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def _hang(_: SimulatedResponse, __: asyncio.Transport, receive: Receive, ___: Send) -> None:
    await _gone(receive)


async def _cut(response: SimulatedResponse, transport: asyncio.Transport, receive: Receive, send: Send) -> None:
    await _half(response, send)
    transport.close()
    await _gone(receive)


async def _stall(response: SimulatedResponse, _: asyncio.Transport, receive: Receive, send: Send) -> None:
    await _half(response, send)
    await _gone(receive)


async def _trickle(response: SimulatedResponse, _: asyncio.Transport, __: Receive, send: Send) -> None:
    await _start(response, send)
    step = max(1, -(-len(response.body) // _PIECES))
    for at in range(0, len(response.body), step):
        await send({"type": "http.response.body", "body": response.body[at : at + step], "more_body": True})
        await asyncio.sleep(response.seconds / _PIECES)
    await send({"type": "http.response.body"})


async def _endless(response: SimulatedResponse, transport: asyncio.Transport, receive: Receive, _: Send) -> None:
    async def repeat() -> None:
        transport.write(response.body)
        while not transport.is_closing():
            if not transport.get_write_buffer_size():
                transport.write(response.repeated)
            await asyncio.sleep(response.seconds)

    repeating = asyncio.create_task(repeat())
    await _gone(receive)
    repeating.cancel()


_SENDERS: Mapping[Transmission, Callable[[SimulatedResponse, asyncio.Transport, Receive, Send], Awaitable[None]]] = {
    Transmission.WHOLE: _whole,
    Transmission.RESET: _reset,
    Transmission.HANG: _hang,
    Transmission.CUT: _cut,
    Transmission.STALL: _stall,
    Transmission.TRICKLE: _trickle,
    Transmission.ENDLESS: _endless,
}


async def _start(response: SimulatedResponse, send: Send) -> None:
    media_type = {"Content-Type": response.media_type} if response.media_type else {}
    headers = {**media_type, "Content-Length": str(len(response.body)), **response.headers}
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": lines})


async def _half(response: SimulatedResponse, send: Send) -> None:
    await _start(response, send)
    half = response.body[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Wait until the connection is closed, by the client or because the server stops."""
    while (await receive())["type"] != "http.disconnect":
        pass
