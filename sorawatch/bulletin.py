"""What ``sorawatch status`` shows beside the jobs: why nothing is submitted, and what waits in the inbox."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import tzinfo
from typing import Any

from sorawatch.blocks import Block
from sorawatch.core.budget import Closed
from sorawatch.core.calendar import clock_time
from sorawatch.core.facts import Event, Facts, about
from sorawatch.edges.store import Turn
from sorawatch.lookout import Lookout

logger = logging.getLogger("sorawatch")

_SHOWN = 200
"""Waiting files written down; more are only counted."""


class Bulletin:
    """Keeps the note ``status`` in the store true, writing only what changed, and logs pauses as they come and go."""

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._posted: dict[str, Any] | None = None
        self._pauses: dict[str, int] = {}
        """When each began."""

    def post(
        self, turn: Turn, lookout: Lookout, blocks: Iterable[Block], paused: str | None, closed: Closed | None
    ) -> None:
        """Write down how things stand."""
        money = closed if closed is not None and closed.of_money else None
        pauses: list[dict[str, Any]] = [{"reason": paused, "mend": "", "until": None}] if paused else []
        pauses += [{"reason": each.reason, "mend": each.mend, "until": each.until} for each in blocks]
        if money is not None:
            pauses.append({"reason": money.reason, "mend": "", "until": money.until})
        waiting = lookout.last.waiting if lookout.last else ()
        for pause in pauses:
            pause["since"] = self._begun(pause["reason"], turn.now)
        means = lookout.means
        note = {
            "pid": os.getpid(),
            "watching": means and {"told": means.told(lookout.rescan_seconds), "mend": means.mend},
            "pauses": pauses,
            "waiting": [[each.path.encode("utf-8", "replace").decode(), each.why] for each in waiting[:_SHOWN]],
            "waiting_count": len(waiting),
        }
        if note != self._posted:
            turn.write_note("status", note)
            self._posted = note
            self._log({pause["reason"]: pause for pause in pauses}, turn.now)

    @property
    def reasons(self) -> set[str]:
        """Why nothing is submitted, as posted last."""
        return {*self._pauses}

    def _begun(self, reason: str, now: int) -> int:
        return self._pauses.get(reason, now)

    def retract(self) -> None:
        """What was posted last never reached the disk: post it again."""
        self._posted = None

    def _log(self, pauses: dict[str, Any], now: int) -> None:
        for reason in pauses.keys() - self._pauses.keys():
            until, mend = pauses[reason]["until"], pauses[reason]["mend"]
            when = f" Tried again at {clock_time(until, now, self.zone)}." if until else ""
            told = f"{reason}.{f' {mend}' if mend else ''}{when}"
            logger.warning("nothing is submitted: %s", told, extra=about(Facts(Event.PAUSED, why=reason)))
        if self._pauses and not pauses:
            logger.info("submitting goes on", extra=about(Facts(Event.RESUMED)))
        self._pauses = {reason: pause["since"] for reason, pause in pauses.items()}
