"""How changes in the inbox are noticed: by events where they can be trusted, else by scanning alone.

The inbox is scanned regularly either way; events only bring the next scan forward. So a failing watch costs time and
nothing else, and it is made anew before the next scan.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.config import WatchMode
from sorawatch.edges import mounts
from sorawatch.edges.events import STOP_SECONDS, EventWatch, watch_limit_error
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger("sorawatch")

_REFUSED_SECONDS = 600.0
"""Seconds after which events are tried again where the system refused them: every try walks the whole tree."""

_MISSES_THAT_PROVE = 3
"""Scans in a row that found folders without a watch. One may only mean a folder that was removed just after."""


@dataclass(frozen=True, slots=True)
class WatchMethod:
    """How changes are noticed, and why so."""

    events: bool
    why: str
    hint: str = ""

    def description(self, rescan_seconds: float) -> str:
        """For people."""
        how = "noticed by events" if self.events else f"found by listing it every {rescan_seconds:g} s"
        return f"changes in the inbox are {how}: {self.why}"


def watch_method(inbox: Path, mode: WatchMode) -> WatchMethod:
    """Whether events from ``inbox`` can be trusted, by the mounts that it is on and those inside it."""
    return method_for(mounts.mounts_at(inbox), mode)


def method_for(found: tuple[mounts.Mount, ...], mode: WatchMode) -> WatchMethod:
    """The method for an inbox on the first of these mounts, with the others below it."""
    own, *below = found
    if mode is not WatchMode.AUTO:
        return WatchMethod(mode is WatchMode.NATIVE, f"watch.mode is {mode}")
    place = f"it is on {own.kind or 'an unknown file system'}"
    if mounts.is_network(own.kind):
        return WatchMethod(False, f"{place}, where changes made by other machines raise no events")
    if mounts.is_layered(own.kind):
        why = f"{place}; what is changed in a layer below raises none, and is found by the next listing"
        return WatchMethod(True, why)
    if shares := [mount for mount in below if mounts.is_network(mount.kind)]:
        named = ", ".join(f"{mount.point} ({mount.kind})" for mount in shares)
        why = f"{place}; mounted in it are shares that raise none, which are found by listing: {named}"
        return WatchMethod(True, why)
    return WatchMethod(True, place)


class InboxWatcher:
    """Keeps an `EventWatch` alive where events can be trusted. Used from the scanning thread: all of it can hang."""

    def __init__(self, inbox: Path, mode: WatchMode) -> None:
        self._inbox = inbox
        self._mode = mode
        self._watch: EventWatch | None = None
        self._watched: object = None
        """What the watch was made for: the folder and its mounts."""
        self._misses = 0
        """Scans in a row in which the watch did not cover all folders."""
        self._refused_until = 0.0
        self.method: WatchMethod | None = None
        """None before the first scan. May be read from any thread."""

    def prepare(self, notify: Callable[[], None]) -> None:
        """Called before a scan: see that ``notify`` is called on changes from now on, if events can be trusted."""
        found = mounts.mounts_at(self._inbox)
        method = method_for(found, self._mode)
        if not method.events:
            self.stop()
        elif time.monotonic() < self._refused_until:
            return
        else:
            method = self._keep_watching(found, notify) or method
        self._use(method)

    def covers(self, folders: int) -> bool:
        """After a scan that listed so many ``folders``: whether all of them were watched meanwhile.

        If not, the scan should be repeated soon.
        """
        if self._watch is None:
            return True
        if self._watch.count() >= folders:
            self._misses = 0
            return True
        self.stop()
        self._misses += 1
        if self._misses >= _MISSES_THAT_PROVE:
            self._misses = 0
            limit = watch_limit_error()
            self._give_up(WatchMethod(False, f"not all of its {folders} folders can be watched: {limit}", limit.hint))
        return False

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Watch no more, for now; waits at most ``timeout`` seconds for the end of the watch."""
        if self._watch is not None:
            self._watch.stop(timeout)
            self._watch = None

    def _keep_watching(self, found: tuple[mounts.Mount, ...], notify: Callable[[], None]) -> WatchMethod | None:
        """Make the watch anew unless the present one still fits. Returns the method that replaces it if that fails."""
        try:
            folder = os.stat(self._inbox)
        except OSError:
            # The scan that follows will say why.
            return None
        wanted = (folder.st_dev, folder.st_ino, found)
        if self._watch is not None:
            if self._watch.alive and self._watched == wanted:
                return None
            logger.info("events from the inbox have ended or are of another disk; they are asked for anew")
        self.stop()
        watch = EventWatch(self._inbox, notify)
        try:
            watch.start()
        except (Blocked, Deferred) as error:
            return self._give_up(WatchMethod(False, str(error), error.hint if isinstance(error, Blocked) else ""))
        self._watch, self._watched = watch, wanted
        return None

    def _give_up(self, method: WatchMethod) -> WatchMethod:
        self._refused_until = time.monotonic() + _REFUSED_SECONDS
        self._use(method)
        return method

    def _use(self, method: WatchMethod) -> None:
        before, self.method = self.method, method
        if method.hint and method != before:
            logger.warning("events from the inbox cannot be had: %s. %s", method.why, method.hint)
