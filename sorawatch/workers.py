"""Threads that carry work out and put what it came to into a mailbox."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from sorawatch.errors import Deferred

T = TypeVar("T")

logger = logging.getLogger("sorawatch")

_LONG = 0.25
"""Seconds that a task may wait for a thread before a crew grows: idle threads cost little, those in a crowd much."""


_TICK = 0.5
"""Seconds that a mailbox waits for messages before it asks whether something else has happened."""


class Mailbox(Generic[T]):
    """Messages from any thread to the one that collects them."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[T] = queue.SimpleQueue()
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
        time.sleep(max(0.0, self._collected_at + spacing - time.monotonic()))
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


class Crew:
    """A few threads that run tasks in the order they came.

    The threads are daemons, unlike those of ``concurrent.futures``: a call that hangs on a dead share must not
    keep the process from ending.
    """

    def __init__(self, name: str, size: int, most: int = 0) -> None:
        """It begins with ``size`` threads, and grows up to ``most`` where tasks wait long: a server may be far away."""
        self._name = name
        self._most = most
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
            if time.monotonic() - queued_at > _LONG:
                with self._growing:
                    if len(self._threads) < self._most:
                        self._grow()
            try:
                task()
            except Exception:
                logger.exception("a task failed")


class Uploads:
    """The submits that are on their way to the server this moment: each may be charged, so none is cut off lightly."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._closed = False
        self._number = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around a submit.

        Raises:
            Deferred: if no more may begin.
        """
        with self._guard:
            if self._closed:
                raise Deferred("it was not sent, for sorawatch was being stopped", everyone=True)
            self._number += 1
        try:
            yield
        finally:
            with self._guard:
                self._number -= 1

    def close(self) -> None:
        """Let no more begin."""
        with self._guard:
            self._closed = True

    def __len__(self) -> int:
        """How many are on their way."""
        with self._guard:
            return self._number
