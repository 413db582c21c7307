"""The videos that an earlier run left at the server: each is polled at the start, before anything new is ordered.

Clips expire, so finished ones are downloaded first. Then one line in the log says what became of each: a daemon that
was away may have come too late for some.
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
"""A job in these has a video whose clip is not here yet."""
_NAMED = 20
"""Pictures that one line names."""

_FETCHED = "fetched"
_STILL_RENDERING = "still being made"
_TOO_LATE = "came too late or failed"
_UNKNOWN = "could not be asked after yet"


class EarlierVideos:
    """What is known of them since the start. Used from the daemon's thread."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._awaited = {job.id for job in jobs}
        self._found: dict[str, list[str]] = {}

    @property
    def awaited(self) -> bool:
        """Whether some have not been polled, or are finished and have not been downloaded yet."""
        return bool(self._awaited)

    def record(self, job_id: str, changes: Iterable[Change]) -> None:
        """Take in the result of an action. Once there is one for every video, they are logged."""
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
