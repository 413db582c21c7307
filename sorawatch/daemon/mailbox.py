"""Messages from any thread to the daemon's thread."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_CHECK_SECONDS = 0.5
"""How often `Mailbox.wait` asks whether something else has happened."""


class Mailbox(Generic[T]):
    """Messages from any thread to the one that collects them."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._messages: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._sleep = sleep
        self._collected_at = float("-inf")

    def put(self, message: T) -> None:
        """May be called from any thread and from a signal handler."""
        self._messages.put(message)

    def collect(self, timeout: float, spacing: float = 0.0) -> list[T]:
        """The messages there are; waits up to ``timeout`` seconds for the first.

        Once there is one, it waits until ``spacing`` seconds after it last returned some, to return more at once.
        """
        try:
            first = self._messages.get(timeout=timeout) if timeout > 0 else self._messages.get_nowait()
        except queue.Empty:
            return []
        self._sleep(max(0.0, self._collected_at + spacing - time.monotonic()))
        self._collected_at = time.monotonic()
        # Only as many as there are now, so that a thread that goes on putting cannot keep this one here.
        return [first, *(self._messages.get_nowait() for _ in range(self._messages.qsize()))]

    def wait(self, timeout: float, is_needed: Callable[[], bool], spacing: float) -> list[T]:
        """As `collect`, but returns without messages once ``is_needed()``, which is called every half second."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            messages = self.collect(max(0.0, min(_CHECK_SECONDS, left)), spacing)
            if left <= 0 or is_needed() or messages:
                return messages
