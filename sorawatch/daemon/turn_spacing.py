"""The pause between two turns of the loop under load."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMES = 12
"""The pause as a multiple of the duration of the last turn. A turn for one message takes nearly as long as for ten."""
_LONGEST = 0.5
"""Maximum seconds for which a turn waits for more messages."""
_SHARE_OF_POLL = 0.05
"""The maximum pause as a share of the shortest wait between two polls, so that polls are not late."""
_SHORTEST_LIMIT = 0.05
"""Seconds: the maximum pause is not shorter. If renders last only seconds, each has half a dozen messages."""


class TurnSpacing:
    """Collects messages that come in quick succession for one turn. A single message is handled at once."""

    def __init__(self, poll_seconds: float) -> None:
        """``poll_seconds`` is the shortest wait between two polls."""
        self._longest = min(_LONGEST, max(_SHORTEST_LIMIT, _SHARE_OF_POLL * poll_seconds))
        self.seconds = 0.0
        """Minimum seconds between collecting the messages of one turn and those of the next."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Measure the duration of the block, and compute the pause before the next turn from it."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds = min(self._longest, _TIMES * (time.monotonic() - began))
