"""Removes, once a minute, the texts in the errors folder whose pair is no longer there."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from sorawatch.core.naming import one_line
from sorawatch.daemon.thread_pool import ThreadPool
from sorawatch.edges.stale_texts import remove_stale_texts

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("sorawatch")

_INTERVAL = 60.0
"""Seconds between the end of one search and the start of the next."""


class StaleTexts:
    """Searches in a thread of its own, because a share can hang. Used from the daemon's thread."""

    def __init__(self, errors: Path) -> None:
        self._errors = errors
        self._thread = ThreadPool("texts", 1)
        self._due_at = 0.0

    def start_if_due(self) -> None:
        """Start a search if it is due and none is running."""
        if time.monotonic() >= self._due_at:
            self._due_at = float("inf")
            self._thread.run(self._search)

    def _search(self) -> None:
        try:
            for text in remove_stale_texts(self._errors):
                logger.info("%s: removed, since its picture is no longer beside it", one_line(text))
        finally:
            self._due_at = time.monotonic() + _INTERVAL
