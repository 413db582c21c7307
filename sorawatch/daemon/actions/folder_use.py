"""Which actions use the four folders, so that one that waits for an unreachable share is noticed."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from sorawatch.core.lifecycle import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.core.job import Job

_STUCK_SECONDS = 300.0
_DESCRIPTIONS = {
    Action.DELIVER: "delivering the clip of",
    Action.ARCHIVE: "filing",
    Action.RESTORE: "moving back",
}


class FolderUse:
    """Used from several threads at once, for different jobs.

    The download of a clip is not a use of the folders: it writes to the work folder, and may take hours.
    """

    def __init__(self, stuck_seconds: float = _STUCK_SECONDS) -> None:
        """``stuck_seconds``: after how many seconds an action counts as stuck."""
        self._stuck_seconds = stuck_seconds
        self._running: dict[str, tuple[float, Action, Job]] = {}
        """By the id of the job, each with its start in seconds of the monotonic clock."""

    @contextlib.contextmanager
    def during(self, action: Action, job: Job) -> Iterator[None]:
        """The block uses the folders for ``job``."""
        self._running[job.id] = (time.monotonic(), action, job)
        try:
            yield
        finally:
            del self._running[job.id]

    def stuck(self) -> str | None:
        """Which action has been using the folders for too long, or None."""
        now = time.monotonic()
        for started, action, job in [*self._running.values()]:
            if now - started > self._stuck_seconds:
                what = f"{_DESCRIPTIONS[action]} {job.pair.path}"
                return f"{what} does not end; if a folder is on a share, check that share"
        return None
