"""The submits that are being sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sorawatch.errors import Deferred


class ActiveUploads:
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
