"""Decides whether a committed submit may still be sent, and counts the submits that are being sent.

Other daemons take over the submits of one that they have not seen for a while. So a submit is sent only if the state
has shown a short time ago that it is still this daemon's. Each submit may be charged, so a stop waits for them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sorawatch.edges.boot_time import boot_seconds
from sorawatch.errors import NotSent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class ActiveUploads:
    """Called from several threads at once."""

    def __init__(self, valid_seconds: float | None = None, clock: Callable[[], float] = boot_seconds) -> None:
        """The submits of one daemon.

        Args:
            valid_seconds: how long after the state has shown a submit to be this daemon's it may be sent. None: for
                ever, because no other daemon can take it over.
            clock: seconds of a clock that also runs while the machine is suspended.
        """
        self._valid_seconds = valid_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False
        self._suspended = False
        self._confirmed: dict[str, float] = {}
        """By the token of each submit, when the state last showed it to be this daemon's."""
        self._count = 0

    @contextmanager
    def one(self, token: str) -> Iterator[None]:
        """Count the submit with this token while the block runs.

        Raises:
            NotSent: if it must not be sent.
        """
        with self._lock:
            self._require(token)
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def require(self, token: str) -> None:
        """Raises: NotSent: if the submit with this token must not be sent, or not any more."""
        with self._lock:
            self._require(token)

    def _require(self, token: str) -> None:
        if self._closed:
            raise NotSent("it was not sent, because sorawatch was stopping")
        if self._suspended:
            raise NotSent("it was not sent, because the state or its ledger could not be written")
        if self._valid_seconds is None:
            return
        confirmed_at = self._confirmed.get(token)
        if confirmed_at is None or self._clock() - confirmed_at > self._valid_seconds:
            raise NotSent("it was not sent in time, so another daemon may have taken it over")

    def confirm(self, tokens: Iterable[str], at: float) -> None:
        """The state has shown at ``at``, in seconds of the clock, that exactly these submits are this daemon's."""
        with self._lock:
            self._suspended = False
            self._confirmed = dict.fromkeys(tokens, at)

    def suspend(self) -> None:
        """Withhold all submits until `confirm`, because the state cannot be written."""
        with self._lock:
            self._suspended = True
            self._confirmed = {}

    def close(self) -> None:
        """Prevent new submits."""
        with self._lock:
            self._closed = True

    def __len__(self) -> int:
        """The number of submits that are being sent."""
        with self._lock:
            return self._count
