"""When to look at the inbox, and what was last seen there. The looking itself goes on in a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sorawatch.core.job import Pair
from sorawatch.errors import Blocked, Deferred
from sorawatch.intake import Intake, Look
from sorawatch.workers import Crew

logger = logging.getLogger("sorawatch")

_NUDGE_PAUSE = 0.1
"""Seconds at least between two scans that events ask for; after a slow scan, five times its own length."""
_TROUBLE_PAUSE = 5.0
_ROUNDING = 0.005
"""Seconds added to a wait for a file to settle, lest the look comes a moment too early to count."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A look ended. ``began`` is seconds of the monotonic clock, ``took`` how many seconds it went on."""

    began: float
    took: float
    result: Look | Blocked | Deferred


class Lookout:
    """Starts looks when they are due, one at a time. Used from the daemon's thread."""

    def __init__(self, intake: Intake, rescan_seconds: float, report: Callable[[Looked], None]) -> None:
        """``report`` is called from the looking thread when a look ends."""
        self._intake = intake
        self._rescan_seconds = rescan_seconds
        self._report = report
        self._crew = Crew("scan", 1)
        self._due_at = 0.0
        self._took = 0.0
        self._nudged = False
        self.looking_since: float | None = None
        self.last: Look | None = None
        self.last_began = 0.0
        self.trouble: Blocked | Deferred | None = None

    def nudge(self) -> None:
        """Something happened there: look soon, and once more if a look goes on that may have passed the place."""
        self._nudged = True
        self._due_at = min(self._due_at, time.monotonic() + max(_NUDGE_PAUSE, 5 * self._took))

    def learn(self, looked: Looked) -> Look | None:
        """Take in the end of a look. Returns what was seen, or None if the inbox could not be read."""
        self.looking_since = None
        self.last_began, self._took = looked.began, looked.took
        if not isinstance(looked.result, Look):
            if str(looked.result) != str(self.trouble):
                logger.error("the inbox cannot be read: %s", looked.result)
            self.trouble = looked.result
            self._due_at = time.monotonic() + min(self._rescan_seconds, _TROUBLE_PAUSE)
            return None
        if self.trouble is not None:
            logger.info("the inbox can be read again")
        self.trouble, self.last = None, looked.result
        settles_in = looked.result.scan.next_look
        pause = self._rescan_seconds if settles_in is None else min(self._rescan_seconds, settles_in + _ROUNDING)
        self._due_at = time.monotonic() + max(pause, _NUDGE_PAUSE)
        if self._nudged:
            self.nudge()
        return self.last

    @property
    def wait(self) -> float:
        """Seconds until the next look is due; none is while one goes on."""
        return float("inf") if self.looking_since is not None else self._due_at - time.monotonic()

    def start_if_due(self, known: Callable[[], Mapping[str, Pair]]) -> None:
        """Begin a look if it is time; ``known`` gives the pairs that are jobs already."""
        if self.wait > 0:
            return
        began = self.looking_since = time.monotonic()
        self._nudged = False
        self._due_at = began + self._rescan_seconds
        pairs = known()

        def look() -> None:
            result: Look | Blocked | Deferred
            try:
                result = self._intake.look(pairs, began)
            except (Blocked, Deferred) as error:
                result = error
            except Exception as error:
                logger.exception("a look at the inbox failed")
                result = Deferred(f"a fault in sorawatch: {type(error).__name__}")
            self._report(Looked(began, time.monotonic() - began, result))

        self._crew.run(look)
