"""What is thrown away in the long run, so that the state of a daemon that runs for years stays small."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

DAY_MS = 86_400_000
_PAUSE = 3600.0
"""Seconds between two looks for what is old."""
_BATCH = 500
"""Jobs forgotten in one turn: few enough to hold nobody up."""


_DELIVERED_DAYS = 30
"""For so long, at the least, the record of a delivered order is kept, as it refuses the same order."""


def delivered_ms(keep_days: int) -> int:
    """Milliseconds for which the record of a delivered order is kept."""
    return max(keep_days, _DELIVERED_DAYS) * DAY_MS


class Retention:
    """Forgets ended jobs that are older than anybody asks for. Used from the daemon's thread."""

    def __init__(self, keep_days: int) -> None:
        self._keep, self._keep_delivered = keep_days * DAY_MS, delivered_ms(keep_days)
        self._due_at = 0.0

    def tidy(self, tx: Transaction) -> None:
        """Forget some old jobs, if it is time."""
        if time.monotonic() < self._due_at:
            return
        gone = tx.prune(tx.now - self._keep, tx.now - self._keep_delivered, _BATCH)
        if gone < _BATCH:
            self._due_at = time.monotonic() + _PAUSE
        if gone:
            logger.info("forgot %d jobs that ended more than %d days ago", gone, self._keep // DAY_MS)
