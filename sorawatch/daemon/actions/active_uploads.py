"""Counts the submits that are being sent. Each may be charged, so a stop waits for them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator


class ActiveUploads:
    """Counts the submits that are being sent, and prevents new ones while the daemon stops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one submit while the block runs.

        Raises:
            Deferred: after `close`.
        """
        with self._lock:
            if self._closed:
                raise Deferred("it was not sent, because sorawatch was stopping", affects_all=True)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def close(self) -> None:
        """Prevent new submits."""
        with self._lock:
            self._closed = True

    def __len__(self) -> int:
        """The number of submits that are being sent."""
        with self._lock:
            return self._count
