"""Publishes in the state why nothing is submitted and which files wait in the inbox, for ``sorawatch status``."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.calendar import LocalTime
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.core.naming import valid_text
from sorawatch.core.pause import Pause

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from sorawatch.daemon.intake.scan_scheduler import ScanScheduler
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

PAUSED = "paused with `sorawatch pause`; `sorawatch resume` ends the pause"

_SHOWN = 200
"""Maximum waiting files that are listed; all of them are counted."""


class StatusPublisher:
    """Writes the status of this daemon to the store when it changes, and logs the begin and end of pauses."""

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._published: dict[str, object] | None = None
        self._pauses: dict[str, Pause] = {}

    def publish(self, tx: Transaction, scans: ScanScheduler, pauses: Iterable[Pause]) -> None:
        """Write the status if anything has changed."""
        dated = [replace(pause, since=self._since(pause, tx.now)) for pause in pauses]
        waiting = scans.last.waiting if scans.last else ()
        method = scans.watch_method
        status = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "watching": method and {"told": valid_text(method.description(scans.rescan_seconds)), "hint": method.hint},
            "pauses": [
                {key: valid_text(value) if isinstance(value, str) else value for key, value in asdict(pause).items()}
                for pause in dated
            ],
            "waiting": [[valid_text(each.path), valid_text(each.why)] for each in waiting[:_SHOWN]],
            "waiting_count": len(waiting),
        }
        if status != self._published:
            tx.key_values.write(tx.peers.status_key, status)
            self._published = status
            self._log({pause.cause: pause for pause in dated}, tx.now)

    @property
    def reasons(self) -> set[str]:
        """The reasons why nothing at all is submitted, as last published."""
        return {pause.reason for pause in self._pauses.values() if not (pause.folder or pause.model)}

    def forget(self) -> None:
        """Publish the status again in the next turn, because the last transaction failed."""
        self._published = None

    def _since(self, pause: Pause, now: int) -> int | None:
        known = self._pauses.get(pause.cause)
        return known.since if known else now

    def _log(self, pauses: dict[str, Pause], now: int) -> None:
        for cause in pauses.keys() - self._pauses.keys():
            pause = pauses[cause]
            goes_on = pause.goes_on(LocalTime(now, self.zone))
            text = " ".join(part for part in (f"{pause.reason}.", pause.hint, goes_on) if part)
            extra = log_extra(LogFields(LogEvent.PAUSED, why=pause.reason))
            logger.warning("%s: %s", pause.headline, text, extra=extra)
        if self._pauses and not pauses:
            logger.info("submitting again", extra=log_extra(LogFields(LogEvent.RESUMED)))
        self._pauses = pauses


@dataclass(frozen=True, slots=True)
class PublishedStatus:
    """The status that a daemon published last; empty values if it has published nothing yet."""

    pid: int | None = None
    host: str | None = None
    watching: dict[str, str] | None = None
    """``told`` describes how changes are noticed. ``hint`` is how to fix events that do not work, or empty."""
    pauses: tuple[Pause, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()
    """At most `_SHOWN` files that are not jobs yet: the path, and what the file waits for."""
    waiting_count: int = 0

    @classmethod
    def read(cls, tx: Transaction, key: str) -> PublishedStatus:
        """The status under ``key``, which may have been written by another version of sorawatch."""
        status = tx.key_values.read(key) or {}
        names = set(Pause.__dataclass_fields__)
        pauses = [{name: value for name, value in pause.items() if name in names} for pause in status.get("pauses", ())]
        watching = status.get("watching")
        return cls(
            status.get("pid"),
            status.get("host"),
            {"told": watching.get("told", ""), "hint": watching.get("hint", "")} if watching else None,
            tuple(Pause(**pause) for pause in pauses if "reason" in pause),
            tuple((path, why) for path, why in status.get("waiting", ())),
            status.get("waiting_count", 0),
        )
