"""Messages from any thread to the one that collects them."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_TICK = 0.5
"""Seconds that a mailbox waits for messages before it asks whether something else has happened."""


class Mailbox(Generic[T]):
    """Messages from any thread to the one that collects them."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._messages: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._sleep = sleep
        self._collected_at = float("-inf")

    def put(self, message: T) -> None:
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
        # As many as there are now: whoever goes on putting does not keep the collector.
        return [first, *(self._messages.get_nowait() for _ in range(self._messages.qsize()))]

    def wait(self, timeout: float, woken: Callable[[], bool], spacing: float) -> list[T]:
        """As `collect`, but returns without messages once ``woken()``, which is asked every `_TICK` seconds."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            messages = self.collect(max(0.0, min(_TICK, left)), spacing)
            if left <= 0 or woken() or messages:
                return messages
