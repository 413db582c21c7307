"""Decides when to scan the inbox, and keeps the result of the last scan. Each scan runs in a separate thread."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.core.naming import one_line
from sorawatch.daemon.intake.scan import InboxScanner, ScanResult
from sorawatch.daemon.thread_pool import ThreadPool
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.core.budget import LimitScope
    from sorawatch.core.job import Pair
    from sorawatch.daemon.intake.watcher import InboxWatcher, WatchMethod

logger = logging.getLogger("sorawatch")

_MIN_PAUSE = 0.05
"""Minimum seconds before a scan that an event requests. After a slow scan it is five times the scan's duration."""
_REST = 100
"""The pause before a scan that nothing asks for, as a multiple of the processor time of the last one, if events work.
Listing very many files takes 1 % of a core."""
_ERROR_PAUSE = 5.0
"""Maximum seconds until the next scan after a failed one."""
HANG_SECONDS = 10.0
"""Seconds after which a scan counts as hanging, unless five times the duration of the last scan is longer."""
_ROUNDING = 0.005
"""Seconds added to the wait for a file to settle, so that the scan does not start slightly too early."""


@dataclass(frozen=True, slots=True)
class ScanDone:
    """A scan has ended. ``began`` is in seconds of the monotonic clock, ``took`` is its duration in seconds."""

    began: float
    took: float
    result: ScanResult | Blocked | Deferred
    busy: float = 0.0
    """Seconds of processor time."""


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
        """``report`` is called from the scanning thread after each scan. ``ask`` requests a scan, from any thread."""
        self._scanner = scanner
        self._watcher = watcher
        self._report = report
        self._ask = ask
        self._hang_seconds = hang_seconds
        self._thread = ThreadPool("scan", 1)
        self._due_at = 0.0
        self._took = 0.0
        self._busy = 0.0
        self._requested = False
        self._error: Blocked | Deferred | None = None
        self.rescan_seconds = rescan_seconds
        self.scanning_since: float | None = None
        """The start of the present scan, in seconds of the monotonic clock; None if none is running."""
        self.last: ScanResult | None = None
        """The result of the last successful scan."""
        self.last_began = 0.0

    def request(self) -> None:
        """The inbox has changed: scan soon. If a scan is running, scan again, because it may have missed the change."""
        self._requested = True
        rested_at = self.last_began + self._took + max(_MIN_PAUSE, 5 * self._took)
        self._due_at = min(self._due_at, max(time.monotonic(), rested_at))

    def reconfigure(self, scanner: InboxScanner, rescan_seconds: float) -> None:
        """Scan soon with another configuration. A running scan keeps the former one."""
        self._scanner, self.rescan_seconds = scanner, rescan_seconds
        self.request()

    def ended(self, done: ScanDone) -> ScanResult | None:
        """Record the end of a scan. Returns its result, or None if the inbox could not be read."""
        self.scanning_since = None
        self.last_began, self._took, self._busy = done.began, done.took, done.busy
        if not isinstance(done.result, ScanResult):
            if str(done.result) != str(self._error):
                extra = log_extra(LogFields(LogEvent.INBOX_LOST, why=str(done.result)))
                logger.error("the inbox cannot be read: %s", done.result, extra=extra)
            self._error = done.result
            self._due_at = time.monotonic() + min(self.rescan_seconds, _ERROR_PAUSE)
            return None
        if self._error is not None:
            logger.info("the inbox can be read again", extra=log_extra(LogFields(LogEvent.INBOX_BACK)))
        # The new pairs become jobs, so that nobody asks for them again, and there may be very many.
        self._error, self.last = None, replace(done.result, new=(), listing=replace(done.result.listing, settled=()))
        settles_in = done.result.listing.settles_in
        pause = self._rescan_pause if settles_in is None else min(self._rescan_pause, settles_in + _ROUNDING)
        self._due_at = time.monotonic() + max(pause, _MIN_PAUSE)
        if self._requested:
            self.request()
        return done.result

    @property
    def _rescan_pause(self) -> float:
        """Seconds until the next scan that nothing asks for."""
        tells = self._watcher.method is not None and self._watcher.method.events
        return max(self.rescan_seconds, _REST * self._busy if tells else 0.0)

    def has_settled_since(self, moment: float) -> bool:
        """Whether a scan that began after ``moment`` (monotonic seconds) found no file that is still settling.

        If no scan has begun since then, one is requested.
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
        """Why nothing may be submitted, according to the last scan; None if it may."""
        if self.error is not None:
            return f"the inbox cannot be read: {self.error}"
        if self.last is not None and self.last.listing.pause_file is not None:
            return f"a file named {one_line(self.last.listing.pause_file)} is in the inbox; remove it to continue"
        return None

    @property
    def scanning_for(self) -> float:
        """Seconds for which the present scan has been running; 0 if none is running."""
        return 0.0 if self.scanning_since is None else time.monotonic() - self.scanning_since

    def is_present(self, path: str) -> bool:
        """Whether there was a picture at this path of the inbox in the last scan; True before the first one."""
        return self.last is None or path in self.last.listing.present

    @property
    def folder_limits(self) -> tuple[LimitScope, ...]:
        """The limits of folders that set their own, from the last scan."""
        return self.last.folder_limits if self.last else ()

    @property
    def watch_method(self) -> WatchMethod | None:
        """How changes are noticed; None before the first scan."""
        return self._watcher.method

    @property
    def error(self) -> Blocked | Deferred | None:
        """Why the inbox cannot be read, or None."""
        if self._error is None and self._hangs_in <= 0:
            return Deferred("it does not answer; if it is on a share, check that share")
        return self._error

    @property
    def _hangs_in(self) -> float:
        """Seconds until the running scan counts as hanging; infinite if none is running."""
        if self.scanning_since is None:
            return float("inf")
        return self.scanning_since + max(self._hang_seconds, 5 * self._took) - time.monotonic()

    @property
    def next_event_in(self) -> float:
        """Seconds until a scan is due, or until the running one counts as hanging."""
        if self.scanning_since is None:
            return self.due_in
        return self._hangs_in if self._hangs_in > 0 else float("inf")

    @property
    def due_in(self) -> float:
        """Seconds until the next scan is due; infinite while one is running."""
        return float("inf") if self.scanning_since is not None else self._due_at - time.monotonic()

    def start_if_due(
        self, known: Callable[[], Mapping[str, Pair]], bought: Callable[[], Mapping[str, Pair]] = dict
    ) -> None:
        """Start a scan if it is due.

        Args:
            known: returns the pairs that have a job already, by path.
            bought: returns those whose job is bought.
        """
        if self.due_in > 0:
            return
        began = self.scanning_since = time.monotonic()
        self._requested = False
        self._due_at = began + self._rescan_pause
        pairs, bought_pairs, scanner = known(), bought(), self._scanner

        def scan() -> None:
            result: ScanResult | Blocked | Deferred
            before = time.thread_time()
            try:
                self._watcher.prepare(self._ask)
                result = scanner.scan(pairs, began, self._watcher.open_files(), bought_pairs)
                if not self._watcher.covers(result.listing.folders):
                    self._ask()
            except (Blocked, Deferred) as error:
                result = error
            except Exception as error:
                # Without a report of its end, this scan would count as running for ever.
                logger.exception("a scan of the inbox failed")
                result = Deferred(f"a fault in sorawatch: {type(error).__name__}")
            busy = time.thread_time() - before
            self._report(ScanDone(began, time.monotonic() - began, result, busy))

        self._thread.run(scan)
