"""Threads that carry work out and put what it came to into a mailbox."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Messages from any thread to the one that collects them."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put(self, message: T) -> None:
        self._messages.put(message)

    def collect(self, timeout: float) -> list[T]:
        """All messages there are; waits up to ``timeout`` seconds for the first."""
        messages: list[T] = []
        try:
            messages.append(self._messages.get(timeout=timeout) if timeout > 0 else self._messages.get_nowait())
            while True:
                messages.append(self._messages.get_nowait())
        except queue.Empty:
            return messages


class Crew:
    """A few threads that run tasks in the order they came.

    The threads are daemons, unlike those of ``concurrent.futures``: a call that hangs on a dead share must not
    keep the process from ending.
    """

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        for number in range(size):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def run(self, task: Callable[[], None]) -> None:
        """Queue ``task``, which sees to its own exceptions."""
        self._tasks.put(task)

    def dismiss(self) -> None:
        """Let the threads end when their queue is empty."""
        for _ in range(self.size):
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
