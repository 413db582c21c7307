"""How soon one turn of the loop follows another in a rush."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_TIMES = 12
"""The pause before a turn, in lengths of the turn before: one costs nearly the same for one message as for ten."""
_LONGEST = 0.5
"""Seconds: no turn waits longer for more messages."""
_OF_A_POLL = 0.05
"""Nor longer than this share of the shortest wait between two polls, lest polls come late."""


class TurnSpacing:
    """Gathers what comes in quick succession into one turn; what comes alone waits for nothing."""

    def __init__(self, poll_seconds: float) -> None:
        """``poll_seconds`` is the shortest wait between two polls."""
        self._longest = min(_LONGEST, _OF_A_POLL * poll_seconds)
        self.spacing = 0.0
        """Seconds at least between collecting the messages of one turn and those of the next."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Measure the turn that the block is, and space the next one by it."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spacing = min(self._longest, _TIMES * (time.monotonic() - began))
