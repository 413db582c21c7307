"""Messages from any thread to the daemon's thread."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CHECK_SECONDS = 0.5
"""Seconds between two calls of ``is_needed`` in `Mailbox.wait`."""


class Mailbox(Generic[T]):
    """A queue of messages from any thread to the one thread that collects them."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._messages: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._sleep = sleep
        self._collected_at = float("-inf")

    def put(self, message: T) -> None:
        """May be called from any thread and from a signal handler."""
        self._messages.put(message)

    def collect(self, timeout: float, spacing: float = 0.0) -> list[T]:
        """Return all messages; wait up to ``timeout`` seconds for the first one.

        After the first message it also waits until ``spacing`` seconds have passed since it last returned messages, in
        order to return more of them together.
        """
        try:
            first = self._messages.get(timeout=timeout) if timeout > 0 else self._messages.get_nowait()
        except queue.Empty:
            return []
        self._sleep(max(0.0, self._collected_at + spacing - time.monotonic()))
        self._collected_at = time.monotonic()
        # Take only as many as there are now: otherwise a thread that puts messages without end would block this one.
        return [first, *(self._messages.get_nowait() for _ in range(self._messages.qsize()))]

    def wait(self, timeout: float, is_needed: Callable[[], bool], spacing: float) -> list[T]:
        """As `collect`, but also return as soon as ``is_needed()`` is true, which is called every half second."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            messages = self.collect(max(0.0, min(_CHECK_SECONDS, left)), spacing)
            if left <= 0 or is_needed() or messages:
                return messages
