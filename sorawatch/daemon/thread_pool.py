"""A pool of daemon threads."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("sorawatch")

GROW_AFTER_SECONDS = 0.25
"""Seconds that a task may wait for a thread before the pool grows. Fewer threads are cheaper when many are busy."""


class ThreadPool:
    """A few threads that run tasks in the order in which they were queued.

    The threads are daemon threads, unlike those of ``concurrent.futures``: a call that hangs on an unreachable
    share must not prevent the end of the process.
    """

    def __init__(self, name: str, size: int, most: int = 0, *, grow_after_seconds: float = GROW_AFTER_SECONDS) -> None:
        """Start ``size`` threads. If tasks wait too long, there may be up to ``most``."""
        self._name = name
        self._most = most
        self._grow_after_seconds = grow_after_seconds
        self._tasks: queue.SimpleQueue[tuple[float, Callable[[], None]]] = queue.SimpleQueue()
        self._taken_at = time.monotonic()
        """When a thread last took a task, in seconds of the monotonic clock."""
        self._growing = threading.Lock()
        self._threads: list[threading.Thread] = []
        for _ in range(size):
            self._grow()

    @property
    def is_alive(self) -> bool:
        """Whether none of its threads has died."""
        return all(thread.is_alive() for thread in self._threads)

    def run(self, task: Callable[[], None]) -> None:
        """Queue ``task``. It should handle its own exceptions. An unhandled one is only logged."""
        now = time.monotonic()
        if self._tasks.empty():
            self._taken_at = now
        elif now - self._taken_at > self._grow_after_seconds:
            self._grow_if_allowed()
        self._tasks.put((now, task))

    def _grow_if_allowed(self) -> None:
        with self._growing:
            if len(self._threads) < self._most:
                self._grow()

    def _grow(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while True:
            queued_at, task = self._tasks.get()
            self._taken_at = time.monotonic()
            if self._taken_at - queued_at > self._grow_after_seconds:
                self._grow_if_allowed()
            try:
                task()
            except Exception:
                logger.exception("a task failed")
