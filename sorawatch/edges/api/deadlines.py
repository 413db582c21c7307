"""Ends requests that take too long altogether, however steadily the server sends.

The time-outs of sockets limit only the silence between two bytes. Here a thread shuts down the connection of each
request whose deadline has passed, so that the thread that waits for it goes on.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sorawatch.edges.api.request_errors import REQUEST_ERRORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from sorawatch.core.local_addresses import Reach

_CURRENT: ContextVar[Exchange] = ContextVar("exchange")


@dataclass(frozen=True, slots=True)
class TransferLimits:
    """How slow an upload or a download may be, and how large a clip. Rates are in bytes per second."""

    upload_rate: float = 32 << 10
    """An upload has the time for any request, and in addition its size divided by this rate."""
    download_rate: float = 8 << 10
    """The mean rate of a download must not fall below this within ``window_seconds``."""
    window_seconds: float = 60.0
    max_clip_bytes: int = 2 << 30


class Exchange:
    """A request and the requests that it is redirected to. They are made in one thread, one after the other."""

    def __init__(self, watch: Watch, seconds: float, limits: TransferLimits, reaches: set[Reach]) -> None:
        """It ends after ``seconds``.

        Args:
            reaches: the reach of the local addresses from which the server has answered, to be extended by those of
                this exchange.
        """
        self.reaches = reaches
        self._limits = limits
        self._watch = watch
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._token: Token[Exchange] | None = None
        self.is_expired = False
        self.ends_at = time.monotonic() + seconds
        """Seconds of the monotonic clock."""
        self._why = f"it took longer than {round(seconds, 1):g} s"

    @staticmethod
    def current() -> Exchange:
        """The exchange to which the requests of this thread belong."""
        return _CURRENT.get()

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        self._watch.add(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        self._watch.remove(self)
        assert self._token is not None
        _CURRENT.reset(self._token)
        self._connection = None
        if isinstance(error, REQUEST_ERRORS):
            self.check()

    def at_pace(self, body: Iterator[bytes]) -> Iterator[bytes]:
        """The chunks of ``body``. From now on the exchange ends only if they come too slowly."""
        rate, window = self._limits.download_rate, self._limits.window_seconds
        self._why = f"it came slower than {rate:g} bytes a second for {window:g} s"
        self._extend(window)
        received = 0
        for chunk in body:
            yield chunk
            received += len(chunk)
            if received >= rate * window:
                received = 0
                self._extend(window)

    def _extend(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds
        self._watch.add(self)

    def check(self) -> None:
        """Raise TimeoutError if the exchange has expired.

        Without this check, a body whose length is not known would seem to have ended with the connection.
        """
        if self.is_expired:
            raise TimeoutError(self._why) from None

    def use(self, connection: socket.socket) -> None:
        """The next request uses this connection."""
        with self._lock:
            self._connection = connection
            if self.is_expired:
                self._shut_down()

    def expire(self) -> None:
        """Shut down the connection. Called from another thread."""
        with self._lock:
            self.is_expired = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._connection is not None:
            # `SSLSocket.shutdown` would let the other thread read on without decryption.
            with suppress(OSError):
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


class Watch:
    """The thread that ends exchanges. It is started with the first of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._exchanges: set[Exchange] = set()
        self._thread: threading.Thread | None = None
        self._wakes_at = math.inf
        self._closed = False

    def add(self, exchange: Exchange) -> None:
        """End ``exchange`` at its time, which may have changed since an earlier call."""
        with self._changed:
            self._exchanges.add(exchange)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if exchange.ends_at < self._wakes_at:
                self._changed.notify()

    def remove(self, exchange: Exchange) -> None:
        """Let ``exchange`` be. Once this returns, it does not expire any more."""
        with self._changed:
            self._exchanges.discard(exchange)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for exchange in [each for each in self._exchanges if each.ends_at <= now]:
                    self._exchanges.discard(exchange)
                    exchange.expire()
                self._wakes_at = min((each.ends_at for each in self._exchanges), default=math.inf)
                self._changed.wait(None if self._wakes_at == math.inf else self._wakes_at - now)
