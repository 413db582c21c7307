"""An answer on its way down the connection, well or badly."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, cast

from sorawatch.simulator.answers import Manner, SimulatedResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

TRANSPORT = "transport"
"""The key of the connection's asyncio transport in the state of an ASGI scope."""
_PIECES = 20


class Delivery:
    """``answer`` as an ASGI application."""

    def __init__(self, answer: SimulatedResponse) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _MANNERS[self._answer.manner](self._answer, scope["state"][TRANSPORT], receive, send)


async def _whole(answer: SimulatedResponse, _: asyncio.Transport, __: Receive, send: Send) -> None:
    await _start(answer, send)
    await send({"type": "http.response.body", "body": answer.body})


async def _reset(_: SimulatedResponse, transport: asyncio.Transport, receive: Receive, __: Send) -> None:
    # Without a linger time the kernel answers with RST, not with the polite FIN of a server that is done.
    connection = cast("socket.socket", transport.get_extra_info("socket"))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await _gone(receive)


async def _hang(_: SimulatedResponse, __: asyncio.Transport, receive: Receive, ___: Send) -> None:
    await _gone(receive)


async def _cut(answer: SimulatedResponse, transport: asyncio.Transport, receive: Receive, send: Send) -> None:
    await _half(answer, send)
    transport.close()
    await _gone(receive)


async def _stall(answer: SimulatedResponse, _: asyncio.Transport, receive: Receive, send: Send) -> None:
    await _half(answer, send)
    await _gone(receive)


async def _trickle(answer: SimulatedResponse, _: asyncio.Transport, __: Receive, send: Send) -> None:
    await _start(answer, send)
    step = max(1, -(-len(answer.body) // _PIECES))
    for at in range(0, len(answer.body), step):
        await send({"type": "http.response.body", "body": answer.body[at : at + step], "more_body": True})
        await asyncio.sleep(answer.seconds / _PIECES)
    await send({"type": "http.response.body"})


_MANNERS: Mapping[Manner, Callable[[SimulatedResponse, asyncio.Transport, Receive, Send], Awaitable[None]]] = {
    Manner.WHOLE: _whole,
    Manner.RESET: _reset,
    Manner.HANG: _hang,
    Manner.CUT: _cut,
    Manner.STALL: _stall,
    Manner.TRICKLE: _trickle,
}


async def _start(answer: SimulatedResponse, send: Send) -> None:
    media_type = {"Content-Type": answer.media_type} if answer.media_type else {}
    headers = {**media_type, "Content-Length": str(len(answer.body)), **answer.headers}
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})


async def _half(answer: SimulatedResponse, send: Send) -> None:
    await _start(answer, send)
    half = answer.body[: len(answer.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Until the client, or the server's stop, has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
