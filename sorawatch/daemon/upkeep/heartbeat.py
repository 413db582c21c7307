"""Tells the service manager when the daemon is ready, how it stands, and that its loop is alive."""

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
"""Seconds between two turns at the most where no watchdog asks for more."""
_EXTENSION = 30.0
"""Seconds asked for at a time while uploads end."""


class Heartbeat:
    """Called at every turn, by the daemon's thread."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._ready = False
        self._line = "starting"
        self._refused = ""
        self._failing = False
        self._watchdog = manager.watchdog_seconds
        self.interval = min(_INTERVAL, self._watchdog / 3) if self._watchdog else _INTERVAL
        """Seconds between two heartbeats at the most."""

    def update(self, tx: Transaction, admission: Admission, pauses: Iterable[str]) -> None:
        """Compose the status line, within a turn."""
        if self._manager.is_connected:
            spent, cap = admission.spent_today(tx), admission.limits.micros_per_day
            self._line = summary(tx.jobs.counts({*State} - FINAL), spent, cap, [*pauses])

    def beat(self, executor: Executor, scans: ScanScheduler) -> None:
        """A turn has ended, and what it decided is on disk.

        A scan that takes longer than the watchdog's interval counts as hanging, and so does the daemon once a thread
        has died. Then no heartbeat is sent, so the service manager restarts the daemon.
        """
        if not self._ready:
            if scans.has_scanned:
                self._manager.ready(self._status)
                self._ready = True
            else:
                self._manager.status("looking through the inbox for the first time")
        elif failure := self._failure(executor, scans):
            if not self._failing:
                logger.critical("%s, so the service manager is given no sign of life any more", failure)
            self._failing = True
            self._manager.status(failure)
        else:
            self._failing = False
            self._manager.alive(self._status)

    def state_unavailable(self, why: str) -> None:
        """The state cannot be written now. It is tried again, so the daemon counts as alive."""
        self._manager.alive(why)

    def reloading(self) -> None:
        """The configuration is being read anew."""
        self._manager.reloading()

    def reloaded(self, refused: str = "") -> None:
        """The configuration read anew is in force, or was ``refused``: why not.

        The service manager learns it with the next heartbeat. A refusal stays in the status line until a configuration
        is accepted.
        """
        self._refused = refused
        self._ready = False

    def stopping(self, uploads: int) -> None:
        """The daemon is ending; more time is asked for while there are ``uploads`` that must not be cut off."""
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
