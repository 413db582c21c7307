"""What ``sorawatch status`` shows beside the jobs: why nothing is submitted, and what waits in the inbox."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Protocol

from sorawatch.core.calendar import clock_time
from sorawatch.core.log_events import LogEvent, LogFields, log_extra
from sorawatch.core.naming import legible, on_a_line

if TYPE_CHECKING:
    from sorawatch.core.budget import LimitReached
    from sorawatch.daemon.intake.scan_scheduler import ScanScheduler
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

PAUSED = "paused with `sorawatch pause`; `sorawatch resume` goes on"

_SHOWN = 200
"""Waiting files written down; more are only counted."""


class Cause(Protocol):
    """Why submissions stop, as a circuit breaker has it."""

    @property
    def reason(self) -> str: ...
    @property
    def hint(self) -> str: ...
    @property
    def until(self) -> int | None:
        """When one order tries again, in milliseconds of the store's clock; None where a person opens the way."""

    @property
    def asked(self) -> float | None:
        """Seconds for which the server asked us to wait."""

    @property
    def model(self) -> str:
        """The model whose orders alone wait; empty where all do."""


@dataclass(frozen=True, slots=True)
class Pause:
    """One reason why nothing is submitted, as the state keeps it. ``until`` is milliseconds of the store's clock."""

    reason: str
    hint: str = ""
    until: int | None = None
    folder: str = ""
    """It holds for this folder of the inbox and all below it; ``""`` is the whole inbox."""
    limit: str = ""
    """The limit that is reached, if it is one; then it goes on at ``until``, else it is only tried again."""
    asked: float | None = None
    """Seconds for which the server asked us to wait."""
    since: int | None = None
    """Milliseconds of the store's clock."""
    model: str = ""
    """It holds for orders for this model alone; ``""`` is all."""

    @property
    def cause(self) -> str:
        """What makes it the same pause as one before; the words of a limit's reason change as money is spent."""
        return self.limit or self.reason

    @property
    def headline(self) -> str:
        if self.model:
            return f"nothing is submitted for the model {on_a_line(self.model)}"
        return f"nothing is submitted from {on_a_line(self.folder)}" if self.folder else "nothing is submitted"

    def goes_on(self, now: int, zone: tzinfo | None) -> str:
        """When, in a sentence; empty where only a person can tell."""
        if self.until is None:
            return ""
        at = clock_time(self.until, now, zone)
        if self.limit:
            return f"It goes on by itself at {at}."
        return f"{f'The server asks for {self.asked:g} s. ' if self.asked else ''}Tried again at {at}."


class StatusNote:
    """Keeps the note ``status`` in the store true, writing only what changed, and logs pauses as they come and go."""

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._posted: dict[str, object] | None = None
        self._pauses: dict[str, Pause] = {}

    def post(
        self,
        tx: Transaction,
        lookout: ScanScheduler,
        causes: Iterable[Cause],
        paused: str | None,
        closed: Iterable[LimitReached],
    ) -> None:
        """Write down how things stand."""
        pauses = [Pause(paused)] if paused else []
        pauses += [Pause(each.reason, each.hint, each.until, asked=each.asked, model=each.model) for each in causes]
        pauses += [
            Pause(each.reason, each.hint, each.until, each.folder, each.limit) for each in closed if each.lasting
        ]
        waiting = lookout.last.waiting if lookout.last else ()
        pauses = [replace(pause, since=self._begun(pause, tx.now)) for pause in pauses]
        means = lookout.means
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "watching": means and {"told": legible(means.told(lookout.rescan_seconds)), "hint": means.hint},
            "pauses": [
                {key: legible(value) if isinstance(value, str) else value for key, value in asdict(pause).items()}
                for pause in pauses
            ],
            "waiting": [[legible(each.path), legible(each.why)] for each in waiting[:_SHOWN]],
            "waiting_count": len(waiting),
        }
        if note != self._posted:
            tx.write_note(tx.peers.board, note)
            self._posted = note
            self._log({pause.cause: pause for pause in pauses}, tx.now)

    @property
    def reasons(self) -> set[str]:
        """Why nothing at all is submitted, as posted last."""
        return {pause.reason for pause in self._pauses.values() if not (pause.folder or pause.model)}

    def _begun(self, pause: Pause, now: int) -> int | None:
        known = self._pauses.get(pause.cause)
        return known.since if known else now

    def retract(self) -> None:
        """What was posted last never reached the disk: post it again."""
        self._posted = None

    def _log(self, pauses: dict[str, Pause], now: int) -> None:
        for cause in pauses.keys() - self._pauses.keys():
            pause = pauses[cause]
            told = " ".join(part for part in (f"{pause.reason}.", pause.hint, pause.goes_on(now, self.zone)) if part)
            logger.warning(
                "%s: %s", pause.headline, told, extra=log_extra(LogFields(LogEvent.PAUSED, why=pause.reason))
            )
        if self._pauses and not pauses:
            logger.info("submitting goes on", extra=log_extra(LogFields(LogEvent.RESUMED)))
        self._pauses = pauses
