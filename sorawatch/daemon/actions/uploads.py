"""The submits that are being sent: each may be charged, so a stop waits for them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator


class ActiveUploads:
    """Counts the submits that are being sent, and lets no more begin once the daemon stops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around a submit.

        Raises:
            Deferred: if no more may begin.
        """
        with self._lock:
            if self._closed:
                raise Deferred("it was not sent, for sorawatch was being stopped", affects_all=True)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def close(self) -> None:
        """Let no more begin."""
        with self._lock:
            self._closed = True

    def __len__(self) -> int:
        """How many are being sent."""
        with self._lock:
            return self._count
