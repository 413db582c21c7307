"""Threads that carry work out."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

logger = logging.getLogger("sorawatch")

_GROW_AFTER_SECONDS = 0.25
"""Seconds that a task may wait for a thread before a crew grows: idle threads cost little, those in a crowd much."""


class ThreadPool:
    """A few threads that run tasks in the order they came.

    The threads are daemons, unlike those of ``concurrent.futures``: a call that hangs on a dead share must not
    keep the process from ending.
    """

    def __init__(self, name: str, size: int, most: int = 0, *, grow_after_seconds: float = _GROW_AFTER_SECONDS) -> None:
        """It begins with ``size`` threads, and grows up to ``most`` where tasks wait long: a server may be far away."""
        self._name = name
        self._most = most
        self._grow_after_seconds = grow_after_seconds
        self._tasks: queue.SimpleQueue[tuple[float, Callable[[], None]]] = queue.SimpleQueue()
        self._growing = threading.Lock()
        self._threads: list[threading.Thread] = []
        for _ in range(size):
            self._grow()

    @property
    def is_whole(self) -> bool:
        """Whether none of its threads has died."""
        return all(thread.is_alive() for thread in self._threads)

    def run(self, task: Callable[[], None]) -> None:
        """Queue ``task``, which sees to its own exceptions; one that does not is logged, and costs no thread."""
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
