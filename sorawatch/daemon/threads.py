"""Threads that carry tasks out."""

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
"""How long a task may wait for a thread before a pool grows: idle threads cost little, many busy ones cost much."""


class ThreadPool:
    """A few threads that run tasks in the order they came.

    The threads are daemon threads, unlike those of ``concurrent.futures``: a call that hangs on a dead share must not
    keep the process from ending.
    """

    def __init__(self, name: str, size: int, most: int = 0, *, grow_after_seconds: float = GROW_AFTER_SECONDS) -> None:
        """It begins with ``size`` threads, and grows up to ``most`` where tasks wait long."""
        self._name = name
        self._most = most
        self._grow_after_seconds = grow_after_seconds
        self._tasks: queue.SimpleQueue[tuple[float, Callable[[], None]]] = queue.SimpleQueue()
        self._growing = threading.Lock()
        self._threads: list[threading.Thread] = []
        for _ in range(size):
            self._grow()

    @property
    def is_alive(self) -> bool:
        """Whether none of its threads has died."""
        return all(thread.is_alive() for thread in self._threads)

    def run(self, task: Callable[[], None]) -> None:
        """Queue ``task``, which handles its own exceptions; one that does not is logged, and ends no thread."""
        self._tasks.put((time.monotonic(), task))

    def _grow(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while True:
            queued_at, task = self._tasks.get()
            if time.monotonic() - queued_at > self._grow_after_seconds:
                with self._growing:
                    if len(self._threads) < self._most:
                        self._grow()
            try:
                task()
            except Exception:
                logger.exception("a task failed")
