"""What the service manager is told of the loop: when it is ready, how things stand, and that it lives."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, State
from sorawatch.core.status_line import summary

if TYPE_CHECKING:
    from sorawatch.daemon.actions.executor import Executor
    from sorawatch.daemon.intake.scan_scheduler import ScanScheduler
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.sd_notify import ServiceManager
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

_UNWATCHED = 30.0
"""Seconds between two turns at the most where no watchdog asks for more."""
_EXTENSION = 30.0
"""Seconds asked for at a time while uploads are waited for."""


class Heartbeat:
    """Told of every turn, by the daemon's thread."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._ready = False
        self._line = "starting"
        self._refused = ""
        self._ailing = False
        self._watchdog = manager.watchdog_seconds
        self.rest = min(_UNWATCHED, self._watchdog / 3) if self._watchdog else _UNWATCHED
        """Seconds between two signs of life at the most."""

    def sense(self, tx: Transaction, admission: Admission, pauses: Iterable[str]) -> None:
        """Take in how things stand, within a turn."""
        if self._manager.listens:
            spent, cap = admission.spent_today(tx), admission.limits.micros_per_day
            self._line = summary(tx.counts({*State} - FINAL), spent, cap, [*pauses])

    def beat(self, hands: Executor, lookout: ScanScheduler) -> None:
        """A turn is over, and what it decided is on disk.

        A look that has gone on for longer than the watchdog waits counts as hung, whatever it waits for; so does
        the whole where a thread has died. Then no sign of life is sent, and the manager ends us and starts anew.
        """
        if not self._ready:
            if lookout.has_looked:
                self._manager.ready(self._told)
                self._ready = True
            else:
                self._manager.status("looking through the inbox for the first time")
        elif ailment := self._ailment(hands, lookout):
            if not self._ailing:
                logger.critical("%s, so the service manager is given no sign of life any more", ailment)
            self._ailing = True
            self._manager.status(ailment)
        else:
            self._ailing = False
            self._manager.alive(self._told)

    def falter(self, trouble: str) -> None:
        """The state cannot be written now, as ``trouble`` says. It is tried again, so the daemon counts as alive."""
        self._manager.alive(trouble)

    def reloading(self) -> None:
        """The configuration is being read anew."""
        self._manager.reloading()

    def reloaded(self, refused: str = "") -> None:
        """The configuration read anew is in force, or was ``refused``: why not.

        The manager is told with the next beat. A refusal stays in the status line until a configuration is accepted.
        """
        self._refused = refused
        self._ready = False

    def stopping(self, uploads: int) -> None:
        """The end has begun, or goes on; more time is asked for while there are ``uploads`` that must not be cut."""
        what = f"{uploads} upload{'s' if uploads > 1 else ''}"
        told = f"stopping once {what} have ended" if uploads > 1 else f"stopping once {what} has ended"
        self._manager.stopping(told if uploads else "stopping")
        if uploads:
            self._manager.extend(_EXTENSION)

    @property
    def _told(self) -> str:
        return f"{self._refused}; {self._line}" if self._refused else self._line

    def _ailment(self, hands: Executor, lookout: ScanScheduler) -> str | None:
        if self._watchdog is None:
            return None
        if not (hands.are_whole and lookout.is_whole):
            return "a worker thread has died"
        if lookout.looking_for > self._watchdog:
            return f"a look at the inbox has not ended for {lookout.looking_for:.0f} s"
        return None
