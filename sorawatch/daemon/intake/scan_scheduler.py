"""When to scan the inbox, and what the last scan found. The scan itself runs in a thread of its own."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.log_events import LogEvent, LogFields, log_extra
from sorawatch.daemon.intake.scan import InboxScanner, ScanResult
from sorawatch.daemon.threads import ThreadPool
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.core.budget import LimitScope
    from sorawatch.core.job import Pair
    from sorawatch.daemon.intake.watcher import InboxWatcher, WatchMethod

logger = logging.getLogger("sorawatch")

_MIN_PAUSE = 0.05
"""Seconds at least before a scan that events ask for; after a slow scan, five times its own length."""
_ERROR_PAUSE = 5.0
"""Seconds until the next scan after one that failed, at the most."""
HANG_SECONDS = 10.0
"""Seconds that a scan may take, or five times as long as the last one, before it counts as hanging."""
_ROUNDING = 0.005
"""Seconds added to the wait for a file to settle, so that the scan does not come a moment too early to count."""


@dataclass(frozen=True, slots=True)
class ScanDone:
    """A scan has ended. ``began`` is seconds of the monotonic clock, ``took`` how many seconds it went on."""

    began: float
    took: float
    result: ScanResult | Blocked | Deferred


class ScanScheduler:
    """Starts scans when they are due, one at a time. Used from the daemon's thread."""

    def __init__(
        self,
        scanner: InboxScanner,
        watcher: InboxWatcher,
        rescan_seconds: float,
        report: Callable[[ScanDone], None],
        ask: Callable[[], None],
        *,
        hang_seconds: float = HANG_SECONDS,
    ) -> None:
        """``report`` is called from the scanning thread when a scan ends, ``ask`` from others when one is wanted."""
        self._scanner = scanner
        self._watcher = watcher
        self._report = report
        self._ask = ask
        self._hang_seconds = hang_seconds
        self._thread = ThreadPool("scan", 1)
        self._due_at = 0.0
        self._took = 0.0
        self._requested = False
        self._error: Blocked | Deferred | None = None
        self.rescan_seconds = rescan_seconds
        self.scanning_since: float | None = None
        """Seconds of the monotonic clock; None while no scan goes on."""
        self.last: ScanResult | None = None
        """What the last successful scan found."""
        self.last_began = 0.0

    def request(self) -> None:
        """Something happened in the inbox: scan soon, and again if a scan goes on that may have passed the place."""
        self._requested = True
        rested_at = self.last_began + self._took + max(_MIN_PAUSE, 5 * self._took)
        self._due_at = min(self._due_at, max(time.monotonic(), rested_at))

    def reconfigure(self, scanner: InboxScanner, rescan_seconds: float) -> None:
        """Scan with another configuration from now on, and soon; a scan that goes on ends as it began."""
        self._scanner, self.rescan_seconds = scanner, rescan_seconds
        self.request()

    def ended(self, done: ScanDone) -> ScanResult | None:
        """Take in the end of a scan. Returns what was found, or None if the inbox could not be read."""
        self.scanning_since = None
        self.last_began, self._took = done.began, done.took
        if not isinstance(done.result, ScanResult):
            if str(done.result) != str(self._error):
                extra = log_extra(LogFields(LogEvent.INBOX_LOST, why=str(done.result)))
                logger.error("the inbox cannot be read: %s", done.result, extra=extra)
            self._error = done.result
            self._due_at = time.monotonic() + min(self.rescan_seconds, _ERROR_PAUSE)
            return None
        if self._error is not None:
            logger.info("the inbox can be read again", extra=log_extra(LogFields(LogEvent.INBOX_BACK)))
        self._error, self.last = None, done.result
        settles_in = done.result.listing.settles_in
        pause = self.rescan_seconds if settles_in is None else min(self.rescan_seconds, settles_in + _ROUNDING)
        self._due_at = time.monotonic() + max(pause, _MIN_PAUSE)
        if self._requested:
            self.request()
        return self.last

    def has_settled_since(self, moment: float) -> bool:
        """Whether a scan that began after ``moment`` (monotonic) found nothing that is still settling.

        If none has begun since, one is requested.
        """
        if self.last_began <= moment and self.scanning_since is None:
            self.request()
        return self.last is not None and not self.last.listing.settling and self.last_began > moment

    @property
    def is_alive(self) -> bool:
        """Whether the scanning thread is alive."""
        return self._thread.is_alive

    @property
    def has_scanned(self) -> bool:
        """Whether a scan has ended, successfully or not."""
        return self.last is not None or self._error is not None

    @property
    def pause_reason(self) -> str | None:
        """Why nothing may be submitted, by what the last scan found."""
        if self.error is not None:
            return f"the inbox cannot be read: {self.error}"
        if self.last is not None and self.last.listing.paused:
            return "a file named PAUSE is in the inbox; remove it to go on"
        return None

    @property
    def scanning_for(self) -> float:
        """Seconds for which a scan has been going on; 0 while none does."""
        return 0.0 if self.scanning_since is None else time.monotonic() - self.scanning_since

    @property
    def folder_limits(self) -> tuple[LimitScope, ...]:
        """The limits of single folders, as the last scan found them."""
        return self.last.folder_limits if self.last else ()

    @property
    def watch_method(self) -> WatchMethod | None:
        """How changes are noticed; None before the first scan."""
        return self._watcher.method

    @property
    def error(self) -> Blocked | Deferred | None:
        """Why the inbox cannot be read, if so."""
        if self._error is None and self._hangs_in <= 0:
            return Deferred("it does not answer; if it is on a share, check that share")
        return self._error

    @property
    def _hangs_in(self) -> float:
        """Seconds after which the scan that goes on, if one does, counts as hanging."""
        if self.scanning_since is None:
            return float("inf")
        return self.scanning_since + max(self._hang_seconds, 5 * self._took) - time.monotonic()

    @property
    def next_event_in(self) -> float:
        """Seconds until a scan is due, or until the one that goes on counts as hanging."""
        if self.scanning_since is None:
            return self.due_in
        return self._hangs_in if self._hangs_in > 0 else float("inf")

    @property
    def due_in(self) -> float:
        """Seconds until the next scan is due; none is while one goes on."""
        return float("inf") if self.scanning_since is not None else self._due_at - time.monotonic()

    def start_if_due(self, known: Callable[[], Mapping[str, Pair]]) -> None:
        """Begin a scan if it is time; ``known`` returns the pairs that are jobs already."""
        if self.due_in > 0:
            return
        began = self.scanning_since = time.monotonic()
        self._requested = False
        self._due_at = began + self.rescan_seconds
        pairs, scanner = known(), self._scanner

        def scan() -> None:
            result: ScanResult | Blocked | Deferred
            try:
                self._watcher.prepare(self._ask)
                result = scanner.scan(pairs, began)
                if not self._watcher.covers(result.listing.folders):
                    self._ask()
            except (Blocked, Deferred) as error:
                result = error
            except Exception as error:
                # Without a report of its end, this scan would count as going on for ever.
                logger.exception("a scan of the inbox failed")
                result = Deferred(f"a fault in sorawatch: {type(error).__name__}")
            self._report(ScanDone(began, time.monotonic() - began, result))

        self._thread.run(scan)
