"""Publishes in the state why orders are not submitted and which files wait in the inbox, for ``sorawatch status``."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from sorawatch.core.budget import Exclusion
from sorawatch.core.calendar import LocalTime
from sorawatch.core.delay import Delay
from sorawatch.core.limits import Limits
from sorawatch.core.log_fields import LogEvent, LogFields, log_extra
from sorawatch.core.naming import valid_text
from sorawatch.core.order import Model, Size
from sorawatch.core.pause import Pause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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
        self._models: list[dict[str, Any]] = []
        self._config_file: ConfigFile | None = None
        self._published: dict[str, object] | None = None
        self._pauses: dict[str, Pause] = {}

    def configure(
        self, zone: tzinfo | None, limits: Limits, catalogue: Mapping[str, Model], config_file: ConfigFile
    ) -> None:
        """Take in the configuration, at the start and after each reload."""
        self._zone, self._limits, self._config_file = zone, limits, config_file
        self._models = [asdict(model) for model in catalogue.values()]

    def publish(
        self,
        tx: Transaction,
        scans: ScanScheduler,
        pauses: Iterable[Pause],
        delays: Iterable[Delay],
        alike: Sequence[str],
    ) -> None:
        """Write the status if anything has changed.

        Args:
            delays: why orders wait; an order waits for the first one that covers it.
            alike: ids of jobs that wait because their order could not be told from one that is being submitted.
        """
        dated = [replace(pause, since=self._since(pause, tx.now)) for pause in pauses]
        waiting = scans.last.waiting if scans.last else ()
        passing = scans.last.passing if scans.last else frozenset()
        listed = sorted(waiting, key=lambda each: each.path in passing)[:_SHOWN]
        method = scans.watch_method
        if self._config_file is not None and not self._config_file.read_at:
            self._config_file = replace(self._config_file, read_at=tx.now)
        status = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "watching": method and {"told": valid_text(method.description(scans.rescan_seconds)), "hint": method.hint},
            "pauses": [_valid(asdict(pause)) for pause in dated],
            "delays": [_delay_as_json(each) for each in delays],
            "alike": list(alike),
            "waiting": [[valid_text(each.path), valid_text(each.why)] for each in listed],
            "passing": [valid_text(each.path) for each in listed if each.path in passing],
            "waiting_count": len(waiting),
            "limits": asdict(self._limits),
            "models": self._models,
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


def _delay_as_json(delay: Delay) -> dict[str, Any]:
    orders = {"folder": valid_text(delay.orders.folder), "models": delay.orders.models}
    return {"pause": _valid(asdict(delay.pause)), "orders": orders, "lasting": delay.lasting}


def _delay_from_json(delay: dict[str, Any]) -> Delay:
    models = delay["orders"]["models"]
    orders = Exclusion(delay["orders"]["folder"], None if models is None else tuple(models))
    return Delay(Pause(**_known(delay["pause"], Pause)), orders, delay["lasting"])


def _model_from_json(model: dict[str, Any]) -> Model:
    def by_size(name: str) -> tuple[tuple[Size, int], ...]:
        return tuple((Size(**size), micros) for size, micros in model[name])

    sizes, seconds = model["sizes"], model["seconds"]
    return Model(
        model["name"],
        None if sizes is None else tuple(Size(**size) for size in sizes),
        None if seconds is None else tuple(seconds),
        model["micros_per_second"],
        by_size("micros_per_second_by_size"),
        model["micros_per_video"],
        by_size("micros_per_video_by_size"),
    )


@dataclass(frozen=True, slots=True)
class UnusedFile:
    """A file in the inbox that is not part of a job."""

    path: str
    why: str
    passes: bool = False
    """It is only still being written, or waits for a grace period."""


@dataclass(frozen=True, slots=True)
class PublishedStatus:
    """The status that a daemon published last; empty values if it has published nothing yet."""

    pid: int | None = None
    host: str | None = None
    watching: dict[str, str] | None = None
    """``told`` describes how changes are noticed. ``hint`` is how to fix events that do not work, or empty."""
    pauses: tuple[Pause, ...] = ()
    delays: tuple[Delay, ...] = ()
    alike: frozenset[str] = frozenset()
    waiting: tuple[UnusedFile, ...] = ()
    """At most `_SHOWN` of them, those that do not pass by themselves first."""
    waiting_count: int = 0
    limits: Limits | None = None
    """The limits that it holds to."""
    catalogue: Mapping[str, Model] | None = None
    """The models with the prices by which it counts."""
    config_file: ConfigFile | None = None

    @classmethod
    def read(cls, tx: Transaction, key: str) -> PublishedStatus:
        """The status under ``key``, which may have been written by another version of sorawatch."""
        status = tx.key_values.read(key) or {}
        pauses = [_known(pause, Pause) for pause in status.get("pauses", ())]
        limits, config_file = status.get("limits"), status.get("config_file")
        passing = {*status.get("passing", ())}
        watching = status.get("watching")
        return cls(
            status.get("pid"),
            status.get("host"),
            {"told": watching.get("told", ""), "hint": watching.get("hint", "")} if watching else None,
            tuple(Pause(**pause) for pause in pauses if "reason" in pause),
            tuple(_delay_from_json(delay) for delay in status.get("delays", ())),
            frozenset(status.get("alike", ())),
            tuple(UnusedFile(path, why, path in passing) for path, why in status.get("waiting", ())),
            status.get("waiting_count", 0),
            Limits(**_known(limits, Limits)) if limits else None,
            {model["name"]: _model_from_json(model) for model in status["models"]} if "models" in status else None,
            ConfigFile(**_known(config_file, ConfigFile)) if config_file else None,
        )


def _known(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """Those values that the dataclass ``kind`` has: another version may have others."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
