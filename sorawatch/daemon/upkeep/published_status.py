"""Publishes in the state why nothing is submitted and which files wait in the inbox, for ``sorawatch status``."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from sorawatch.core.calendar import LocalTime
from sorawatch.core.limits import Limits
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


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The configuration file that a daemon has read."""

    path: str
    digest: str
    """SHA-256 of its bytes."""
    read_at: int = 0
    """Milliseconds of the store's clock; when the daemon began to work by it."""


class StatusPublisher:
    """Writes the status of this daemon to the store when it changes, and logs the begin and end of pauses."""

    def __init__(self) -> None:
        self._zone: tzinfo | None = None
        self._limits = Limits()
        self._config_file: ConfigFile | None = None
        self._published: dict[str, object] | None = None
        self._pauses: dict[str, Pause] = {}

    def configure(self, zone: tzinfo | None, limits: Limits, config_file: ConfigFile) -> None:
        """Take in the configuration, at the start and after each reload."""
        self._zone, self._limits, self._config_file = zone, limits, config_file

    def publish(self, tx: Transaction, scans: ScanScheduler, pauses: Iterable[Pause]) -> None:
        """Write the status if anything has changed."""
        dated = [replace(pause, since=self._since(pause, tx.now)) for pause in pauses]
        waiting = scans.last.waiting if scans.last else ()
        method = scans.watch_method
        if self._config_file is not None and not self._config_file.read_at:
            self._config_file = replace(self._config_file, read_at=tx.now)
        status = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "watching": method and {"told": valid_text(method.description(scans.rescan_seconds)), "hint": method.hint},
            "pauses": [_valid(asdict(pause)) for pause in dated],
            "waiting": [[valid_text(each.path), valid_text(each.why)] for each in waiting[:_SHOWN]],
            "waiting_count": len(waiting),
            "limits": asdict(self._limits),
            "config_file": self._config_file and _valid(asdict(self._config_file)),
        }
        if status != self._published:
            tx.key_values.write(tx.peers.status_key, status)
            self._published = status
            self._log({pause.cause: pause for pause in dated}, tx.now)

    @property
    def reasons(self) -> set[str]:
        """The reasons why nothing at all is submitted, as last published."""
        return {pause.reason for pause in self._pauses.values() if not (pause.folder or pause.model or pause.approval)}

    def forget(self) -> None:
        """Publish the status again in the next turn, because the last transaction failed."""
        self._published = None

    def _since(self, pause: Pause, now: int) -> int | None:
        known = self._pauses.get(pause.cause)
        return known.since if known else now

    def _log(self, pauses: dict[str, Pause], now: int) -> None:
        for cause in pauses.keys() - self._pauses.keys():
            pause = pauses[cause]
            goes_on = pause.goes_on(LocalTime(now, self._zone))
            text = " ".join(part for part in (f"{pause.reason}.", pause.hint, goes_on) if part)
            extra = log_extra(LogFields(LogEvent.PAUSED, why=pause.reason))
            logger.warning("%s: %s", pause.headline, text, extra=extra)
        if self._pauses and not pauses:
            logger.info("submitting again", extra=log_extra(LogFields(LogEvent.RESUMED)))
        self._pauses = pauses


def _valid(values: dict[str, Any]) -> dict[str, Any]:
    return {key: valid_text(value) if isinstance(value, str) else value for key, value in values.items()}


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
    limits: Limits | None = None
    """The limits that it holds to."""
    config_file: ConfigFile | None = None

    @classmethod
    def read(cls, tx: Transaction, key: str) -> PublishedStatus:
        """The status under ``key``, which may have been written by another version of sorawatch."""
        status = tx.key_values.read(key) or {}
        pauses = [_known(pause, Pause) for pause in status.get("pauses", ())]
        limits, config_file = status.get("limits"), status.get("config_file")
        watching = status.get("watching")
        return cls(
            status.get("pid"),
            status.get("host"),
            {"told": watching.get("told", ""), "hint": watching.get("hint", "")} if watching else None,
            tuple(Pause(**pause) for pause in pauses if "reason" in pause),
            tuple((path, why) for path, why in status.get("waiting", ())),
            status.get("waiting_count", 0),
            Limits(**_known(limits, Limits)) if limits else None,
            ConfigFile(**_known(config_file, ConfigFile)) if config_file else None,
        )


def _known(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """Those values that the dataclass ``kind`` has: another version may have others."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
