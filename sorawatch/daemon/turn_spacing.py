"""The pause between two turns of the loop under load."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMES = 12
"""The pause before a turn, in durations of the turn before: a turn for one message costs nearly as much as for ten."""
_LONGEST = 0.5
"""Seconds: no turn waits longer for more messages."""
_SHARE_OF_POLL = 0.05
"""Nor longer than this share of the shortest wait between two polls, so that polls are not late."""


class TurnSpacing:
    """Gathers messages that come in quick succession into one turn; a single one is handled at once."""

    def __init__(self, poll_seconds: float) -> None:
        """``poll_seconds`` is the shortest wait between two polls."""
        self._longest = min(_LONGEST, _SHARE_OF_POLL * poll_seconds)
        self.seconds = 0.0
        """At least so long after the messages of one turn were collected, those of the next are."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Measure the turn that the block is, and space the next one by it."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds = min(self._longest, _TIMES * (time.monotonic() - began))
