"""Decides how changes in the inbox are noticed: by file system events where these are reliable, else by scans only.

The inbox is scanned regularly in both cases. Events make the next scan start earlier, and tell which files are still
open for writing. A failed watch is created again before the next scan; what was known of open files is then forgotten.
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
"""Seconds until events are tried again after the system refused them: every attempt reads the whole tree."""

_MISSES_THAT_RENEW = 2
"""Scans in a row that must find folders without a watch before a new watch is made, which knows of no open files. A
single one may be due to a folder that was just made or removed."""
_MISSES_THAT_PROVE = 3
"""Such scans in a row before the system counts as unable to watch all folders."""


@dataclass(frozen=True, slots=True)
class WatchMethod:
    """How changes are noticed, and why."""

    events: bool
    why: str
    hint: str = ""

    def description(self, rescan_seconds: float) -> str:
        """A sentence for `status`, without a full stop."""
        how = "noticed by events" if self.events else f"found by listing it every {rescan_seconds:g} s"
        return f"changes in the inbox are {how}: {self.why}"


def watch_method(inbox: Path, mode: WatchMode) -> WatchMethod:
    """The method for ``inbox``, according to the mount that it is on and the mounts inside it."""
    return method_for(mounts.mounts_at(inbox), mode)


def method_for(found: tuple[mounts.Mount, ...], mode: WatchMode) -> WatchMethod:
    """The method for an inbox on the first of these mounts, with the other mounts inside it."""
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
    """Keeps an `EventWatch` running where events are reliable. Used from the scanning thread, because it can hang."""

    def __init__(self, inbox: Path, mode: WatchMode) -> None:
        self._inbox = inbox
        self._mode = mode
        self._watch: EventWatch | None = None
        self._watched: object = None
        """The folder and the mounts for which the watch was created."""
        self._misses = 0
        """Scans in a row in which the watch did not cover all folders."""
        self._refused_until = 0.0
        self.method: WatchMethod | None = None
        """None before the first scan. May be read from any thread."""

    def prepare(self, notify: Callable[[], None]) -> None:
        """Called before a scan. If events are reliable, ``notify`` is called on changes from now on."""
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
        """Called after a scan with the number of ``folders`` that it listed. Returns whether all of them were watched.

        If not, the scan should be repeated soon.
        """
        if self._watch is None:
            return True
        if self._watch.count() >= folders:
            self._misses = 0
            return True
        self._misses += 1
        if self._misses >= _MISSES_THAT_RENEW:
            self.stop()
        if self._misses >= _MISSES_THAT_PROVE:
            self._misses = 0
            limit = watch_limit_error()
            self._give_up(WatchMethod(False, f"not all of its {folders} folders can be watched: {limit}", limit.hint))
        return False

    def open_files(self) -> frozenset[str]:
        """The files in the inbox that a program still has open for writing, as far as events tell."""
        return frozenset() if self._watch is None else self._watch.open_files()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """End the watch until the next `prepare`. Waits at most ``timeout`` seconds for its end."""
        if self._watch is not None:
            self._watch.stop(timeout)
            self._watch = None

    def _keep_watching(self, found: tuple[mounts.Mount, ...], notify: Callable[[], None]) -> WatchMethod | None:
        """Create the watch again unless the present one still fits. If that fails, returns the method used instead."""
        try:
            folder = os.stat(self._inbox)
        except OSError:
            # The scan that follows reports the error.
            return None
        wanted = (folder.st_dev, folder.st_ino, found)
        if self._watch is not None:
            if self._watch.alive and self._watched == wanted:
                return None
            logger.info("the watch of the inbox has ended, or its mounts have changed; starting a new watch")
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
            logger.warning("the inbox cannot be watched by events: %s. %s", method.why, method.hint)
