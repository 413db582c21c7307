"""Notifies the service manager that the daemon is ready and alive, and of its status."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, State
from sorawatch.core.status_line import summary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.daemon.actions.executor import Executor
    from sorawatch.daemon.intake.scan_scheduler import ScanScheduler
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.sd_notify import ServiceManager
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

_INTERVAL = 30.0
"""Maximum seconds between two turns, unless the watchdog requires a shorter interval."""
_EXTENSION = 30.0
"""Seconds by which the time-out of a stop is extended while uploads are under way."""


class Heartbeat:
    """Called in every turn by the daemon's thread."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._ready = False
        self._line = "starting"
        self._refused = ""
        self._failing = False
        self._watchdog = manager.watchdog_seconds
        self.interval = min(_INTERVAL, self._watchdog / 3) if self._watchdog else _INTERVAL
        """Maximum seconds between two heartbeats."""

    def update(self, tx: Transaction, admission: Admission, pauses: Iterable[str]) -> None:
        """Compose the status line, within a turn."""
        if self._manager.is_connected:
            spent, cap = admission.spent_today(tx), admission.limits.micros_per_day
            self._line = summary(tx.jobs.counts({*State} - FINAL), spent, cap, [*pauses])

    def beat(self, executor: Executor, scans: ScanScheduler) -> None:
        """Send a heartbeat after the commit of a turn.

        If a scan takes longer than the watchdog's interval, or if a thread has died, no heartbeat is sent. Then the
        service manager restarts the daemon.
        """
        if not self._ready:
            if scans.has_scanned:
                self._manager.ready(self._status)
                self._ready = True
            else:
                self._manager.status("scanning the inbox for the first time")
        elif failure := self._failure(executor, scans):
            if not self._failing:
                logger.critical("%s, so no more heartbeats are sent to the service manager", failure)
            self._failing = True
            self._manager.status(failure)
        else:
            self._failing = False
            self._manager.alive(self._status)

    def state_unavailable(self, why: str) -> None:
        """Send a heartbeat with the status ``why`` although the state cannot be written: the daemon tries again."""
        self._manager.alive(why)

    def reloading(self) -> None:
        """Report that a reload has begun."""
        self._manager.reloading()

    def reloaded(self, refused: str = "") -> None:
        """Report the end of a reload with the next heartbeat. ``refused`` is why the new configuration is not used.

        A refusal stays in the status line until a configuration is accepted.
        """
        self._refused = refused
        self._ready = False

    def stopping(self, uploads: int) -> None:
        """Report that the daemon is stopping. Request more time while there are ``uploads``."""
        what = f"{uploads} upload{'s' if uploads > 1 else ''}"
        text = f"stopping once {what} have ended" if uploads > 1 else f"stopping once {what} has ended"
        self._manager.stopping(text if uploads else "stopping")
        if uploads:
            self._manager.extend(_EXTENSION)

    @property
    def _status(self) -> str:
        return f"{self._refused}; {self._line}" if self._refused else self._line

    def _failure(self, executor: Executor, scans: ScanScheduler) -> str | None:
        if self._watchdog is None:
            return None
        if not (executor.is_alive and scans.is_alive):
            return "a worker thread has died"
        if scans.scanning_for > self._watchdog:
            return f"a scan of the inbox has not ended for {scans.scanning_for:.0f} s"
        return None
