"""How soon one turn of the loop follows another in a rush."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_SHARE = 12
"""So many times as long as a turn took, the next is waited for: it costs nearly the same for one message as for ten."""
_LONGEST = 0.5
"""Seconds."""
_OF_A_POLL = 0.05
"""The share of the shortest wait between polls by which one may come late."""


class Rhythm:
    """Gathers what comes in quick succession into one turn; what comes alone waits for nothing."""

    def __init__(self, poll_seconds: float) -> None:
        """``poll_seconds`` is the shortest wait between two polls."""
        self._longest = min(_LONGEST, _OF_A_POLL * poll_seconds)
        self.spacing = 0.0
        """Seconds."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Around a turn."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spacing = min(self._longest, _SHARE * (time.monotonic() - began))
