"""Packs and deletes old jobs in the state, so that it stays small over years."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

DAY_MS = 86_400_000
_INTERVAL = 3600.0
"""Seconds between two checks for old jobs."""
_BATCH = 200
"""Maximum jobs packed or deleted in one turn, so that the turn stays short."""
_UNPACKED_MS = DAY_MS // 2
"""Milliseconds for which a delivered job keeps its whole history."""

_DELIVERED_DAYS = 30
"""Minimum days for which a delivered order is recorded, because the record prevents a second purchase."""


def delivered_ms(keep_days: int) -> int:
    """Milliseconds for which the record of a delivered order is kept."""
    return max(keep_days, _DELIVERED_DAYS) * DAY_MS


class Retention:
    """Packs delivered jobs, and deletes those that ended over ``keep_days`` ago. Used from the daemon's thread."""

    def __init__(self, keep_days: int) -> None:
        self._keep_ms, self._keep_delivered_ms = keep_days * DAY_MS, delivered_ms(keep_days)
        self._due_at = 0.0

    def prune(self, tx: Transaction) -> None:
        """Pack and delete some old jobs, if the next check is due."""
        if time.monotonic() < self._due_at:
            return
        packed = tx.jobs.pack(tx.now - _UNPACKED_MS, _BATCH)
        deleted = tx.jobs.prune(tx.now - self._keep_ms, tx.now - self._keep_delivered_ms, _BATCH)
        if max(packed, deleted) < _BATCH:
            self._due_at = time.monotonic() + _INTERVAL
        if deleted:
            logger.info("forgot %d jobs that ended more than %d days ago", deleted, self._keep_ms // DAY_MS)
