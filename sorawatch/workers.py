"""Threads that carry work out and put what it came to into a mailbox."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

logger = logging.getLogger("sorawatch")


class Mailbox(Generic[T]):
    """Messages from any thread to the one that collects them."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put(self, message: T) -> None:
        self._messages.put(message)

    def collect(self, timeout: float) -> list[T]:
        """The messages there are; waits up to ``timeout`` seconds for the first."""
        try:
            first = self._messages.get(timeout=timeout) if timeout > 0 else self._messages.get_nowait()
        except queue.Empty:
            return []
        # As many as there are now: whoever goes on putting does not keep the collector.
        return [first, *(self._messages.get_nowait() for _ in range(self._messages.qsize()))]


class Crew:
    """A few threads that run tasks in the order they came.

    The threads are daemons, unlike those of ``concurrent.futures``: a call that hangs on a dead share must not
    keep the process from ending.
    """

    def __init__(self, name: str, size: int) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        for number in range(size):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def run(self, task: Callable[[], None]) -> None:
        """Queue ``task``, which sees to its own exceptions; one that does not is logged, and costs no thread."""
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except Exception:
                logger.exception("a task failed")
