"""When to look at the inbox, and what was last seen there. The looking itself goes on in a thread of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.log_events import LogEvent, LogFields, log_extra
from sorawatch.daemon.intake.scan import InboxScanner, ScanResult
from sorawatch.daemon.threads import ThreadPool
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from sorawatch.core.budget import LimitScope
    from sorawatch.core.job import Pair
    from sorawatch.daemon.intake.watcher import InboxWatcher, WatchMethod

logger = logging.getLogger("sorawatch")

_NUDGE_PAUSE = 0.05
"""Seconds at least before a scan that events ask for; after a slow scan, five times its own length."""
_TROUBLE_PAUSE = 5.0
_PATIENCE = 10.0
"""Seconds that a look may take, or five times as long as the last one, before it counts as hanging."""
_ROUNDING = 0.005
"""Seconds added to a wait for a file to settle, lest the look comes a moment too early to count."""


@dataclass(frozen=True, slots=True)
class ScanDone:
    """A look ended. ``began`` is seconds of the monotonic clock, ``took`` how many seconds it went on."""

    began: float
    took: float
    result: ScanResult | Blocked | Deferred


class ScanScheduler:
    """Starts looks when they are due, one at a time. Used from the daemon's thread."""

    def __init__(
        self,
        intake: InboxScanner,
        vigil: InboxWatcher,
        rescan_seconds: float,
        report: Callable[[ScanDone], None],
        ask: Callable[[], None],
    ) -> None:
        """``report`` is called from the looking thread when a look ends, ``ask`` from others when one is wanted."""
        self._intake = intake
        self._vigil = vigil
        self._rescan_seconds = rescan_seconds
        self._report = report
        self._ask = ask
        self._crew = ThreadPool("scan", 1)
        self._due_at = 0.0
        self._took = 0.0
        self._nudged = False
        self.looking_since: float | None = None
        self.last: ScanResult | None = None
        self.last_began = 0.0
        self._trouble: Blocked | Deferred | None = None

    def nudge(self) -> None:
        """Something happened there: look soon, and once more if a look goes on that may have passed the place."""
        self._nudged = True
        rested_at = self.last_began + self._took + max(_NUDGE_PAUSE, 5 * self._took)
        self._due_at = min(self._due_at, max(time.monotonic(), rested_at))

    def adopt(self, intake: InboxScanner, rescan_seconds: float) -> None:
        """Look with another configuration from now on, and soon; a look that goes on ends as it began."""
        self._intake, self._rescan_seconds = intake, rescan_seconds
        self.nudge()

    def learn(self, looked: ScanDone) -> ScanResult | None:
        """Take in the end of a look. Returns what was seen, or None if the inbox could not be read."""
        self.looking_since = None
        self.last_began, self._took = looked.began, looked.took
        if not isinstance(looked.result, ScanResult):
            if str(looked.result) != str(self._trouble):
                facts = log_extra(LogFields(LogEvent.INBOX_LOST, why=str(looked.result)))
                logger.error("the inbox cannot be read: %s", looked.result, extra=facts)
            self._trouble = looked.result
            self._due_at = time.monotonic() + min(self._rescan_seconds, _TROUBLE_PAUSE)
            return None
        if self._trouble is not None:
            logger.info("the inbox can be read again", extra=log_extra(LogFields(LogEvent.INBOX_BACK)))
        self._trouble, self.last = None, looked.result
        settles_in = looked.result.scan.settles_in
        pause = self._rescan_seconds if settles_in is None else min(self._rescan_seconds, settles_in + _ROUNDING)
        self._due_at = time.monotonic() + max(pause, _NUDGE_PAUSE)
        if self._nudged:
            self.nudge()
        return self.last

    def has_settled_since(self, moment: float) -> bool:
        """Whether a look that began after ``moment`` (monotonic) found nothing that settles.

        If none has begun since, one soon will.
        """
        if self.last_began <= moment and self.looking_since is None:
            self.nudge()
        return self.last is not None and not self.last.scan.settling and self.last_began > moment

    @property
    def is_whole(self) -> bool:
        """Whether the thread that looks is alive."""
        return self._crew.is_whole

    @property
    def has_looked(self) -> bool:
        """Whether a look has ended, be it without success."""
        return self.last is not None or self._trouble is not None

    @property
    def objection(self) -> str | None:
        """Why nothing may be submitted, by what was last seen, or not."""
        if self.trouble is not None:
            return f"the inbox cannot be read: {self.trouble}"
        if self.last is not None and self.last.scan.paused:
            return "a file named PAUSE lies in the inbox; remove it to go on"
        return None

    @property
    def looking_for(self) -> float:
        """Seconds for which a look has been going on; 0 while none does."""
        return 0.0 if self.looking_since is None else time.monotonic() - self.looking_since

    @property
    def quotas(self) -> tuple[LimitScope, ...]:
        """The limits of single folders, as last seen."""
        return self.last.quotas if self.last else ()

    @property
    def means(self) -> WatchMethod | None:
        """How changes are noticed; None before the first look."""
        return self._vigil.means

    @property
    def rescan_seconds(self) -> float:
        return self._rescan_seconds

    @property
    def trouble(self) -> Blocked | Deferred | None:
        """Why the inbox cannot be read, if so."""
        if self._trouble is None and self.hangs_in <= 0:
            return Deferred("it does not answer; if it lies on a share, see whether that is there")
        return self._trouble

    @property
    def hangs_in(self) -> float:
        """Seconds after which the look that goes on, if one does, counts as hanging."""
        if self.looking_since is None:
            return float("inf")
        return self.looking_since + max(_PATIENCE, 5 * self._took) - time.monotonic()

    @property
    def rest(self) -> float:
        """Seconds until there is something to do or to say."""
        if self.looking_since is None:
            return self.wait
        return self.hangs_in if self.hangs_in > 0 else float("inf")

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
        pairs, intake = known(), self._intake

        def look() -> None:
            result: ScanResult | Blocked | Deferred
            try:
                self._vigil.tend(self._ask)
                result = intake.look(pairs, began)
                if not self._vigil.covers(result.scan.folders):
                    self._ask()
            except (Blocked, Deferred) as error:
                result = error
            except Exception as error:
                # Without a report of its end, this look would count as going on for ever.
                logger.exception("a look at the inbox failed")
                result = Deferred(f"a fault in sorawatch: {type(error).__name__}")
            self._report(ScanDone(began, time.monotonic() - began, result))

        self._crew.run(look)
