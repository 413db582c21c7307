"""The videos of an earlier run that are still on the server. Each is polled at the start, before new orders are sent.

Clips expire, so finished ones are downloaded first. Then one log line lists the results, because some may have expired
while the daemon was not running.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sorawatch.core.job import Change, Job, State
from sorawatch.core.naming import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("sorawatch")

STATES = frozenset({State.RENDERING, State.RENDERED})
"""The states of jobs that have a video, but whose clip was not downloaded yet."""
_NAMED = 20
"""Maximum pictures that one log line names for each result."""

_FETCHED = "fetched"
_STILL_RENDERING = "still being made"
_TOO_LATE = "came too late or failed"
_UNKNOWN = "could not be polled yet"


class EarlierVideos:
    """Collects the results of the earlier videos. Used from the daemon's thread."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._awaited = {job.id for job in jobs}
        self._found: dict[str, list[str]] = {}

    @property
    def awaited(self) -> bool:
        """Whether some videos were not polled yet, or are finished and not downloaded yet."""
        return bool(self._awaited)

    def record(self, job_id: str, changes: Iterable[Change]) -> None:
        """Record the result of an action. When there is one for every video, log them."""
        if job_id not in self._awaited or any(_is_to_be_downloaded(before, after) for before, after in changes):
            return
        self._awaited.discard(job_id)
        for before, after in changes:
            if after.id == job_id and before is not None:
                self._found.setdefault(_result(before, after), []).append(one_line(after.pair.path))
        if not self._awaited:
            self._log()

    def _log(self) -> None:
        parts = []
        for what in (_FETCHED, _STILL_RENDERING, _TOO_LATE, _UNKNOWN):
            if paths := self._found.get(what):
                more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
                parts.append(f"{len(paths)} {what} ({', '.join(paths[:_NAMED])}{more})")
        if parts:
            level = logging.WARNING if _TOO_LATE in self._found else logging.INFO
            logger.log(level, "of the videos that were ordered before this start: %s", "; ".join(parts))


def _is_to_be_downloaded(before: Job | None, after: Job) -> bool:
    return after.state is State.RENDERED and before is not None and before.state is State.RENDERING


def _result(before: Job, after: Job) -> str:
    match after.state:
        case State.DELIVERED | State.DONE:
            return _FETCHED
        case State.REJECTED | State.FAILED | State.HELD | State.READY:
            return _TOO_LATE
        case _ if after.attempts > before.attempts:
            return _UNKNOWN
        case _:
            return _STILL_RENDERING
