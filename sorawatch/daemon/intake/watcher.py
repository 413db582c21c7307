"""How changes in the inbox are noticed: by events where they can be trusted, by looking through it where not.

The inbox is listed regularly either way; events only bring the next listing forward. So whatever is wrong with them
costs time and nothing else, and is repaired before the next listing rather than guarded against.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sorawatch.config import WatchMode
from sorawatch.edges import mounts
from sorawatch.edges.events import PARTING, EventWatch, limit_reached
from sorawatch.errors import Blocked, Deferred

logger = logging.getLogger("sorawatch")

_GRIEVANCE = 600.0
"""Seconds after which events are tried again where the system refused them: every try walks the whole tree."""

_MISSES_THAT_PROVE = 3
"""A single miss may only be a folder that was removed just after it was listed."""


@dataclass(frozen=True, slots=True)
class WatchMethod:
    """How changes are noticed, and why so."""

    events: bool
    why: str
    hint: str = ""

    def told(self, rescan_seconds: float) -> str:
        """For a person."""
        how = "noticed by events" if self.events else f"found by listing it every {rescan_seconds:g} s"
        return f"changes in the inbox are {how}: {self.why}"


def watch_method(inbox: Path, mode: WatchMode) -> WatchMethod:
    """Whether events from ``inbox`` are to be trusted, by the mounts that it lies on and that lie in it."""
    return method_on(mounts.mounts_at(inbox), mode)


def method_on(found: tuple[mounts.Mount, ...], mode: WatchMode) -> WatchMethod:
    """The same for an inbox with these mounts: its own, then those in it."""
    own, *below = found
    if mode is not WatchMode.AUTO:
        return WatchMethod(mode is WatchMode.NATIVE, f"watch.mode is {mode}")
    lies = f"it lies on {own.kind or 'an unknown file system'}"
    if mounts.is_network(own.kind):
        return WatchMethod(False, f"{lies}, where changes made by other machines raise no events")
    if mounts.is_layered(own.kind):
        return WatchMethod(
            True, f"{lies}; what is changed in a layer below raises none, and is found by the next listing"
        )
    if silent := [mount for mount in below if mounts.is_network(mount.kind)]:
        named = ", ".join(f"{mount.point} ({mount.kind})" for mount in silent)
        return WatchMethod(
            True, f"{lies}; mounted in it are shares that raise none, which are found by listing: {named}"
        )
    return WatchMethod(True, lies)


class InboxWatcher:
    """Keeps a `EventWatch` alive where events can be trusted. Used from the looking thread, for all of it can hang."""

    def __init__(self, inbox: Path, mode: WatchMode) -> None:
        self._inbox = inbox
        self._mode = mode
        self._watch: EventWatch | None = None
        self._watched: object = None
        """What the watch was made for: the folder and its mounts."""
        self._misses = 0
        """How often in a row it was found not to cover all folders."""
        self._refused_until = 0.0
        self.means: WatchMethod | None = None
        """None before the first look. May be read from any thread."""

    def tend(self, nudge: Callable[[], None]) -> None:
        """Called before a look: have events come, if they can be trusted. The look finds what happened without them."""
        found = mounts.mounts_at(self._inbox)
        means = method_on(found, self._mode)
        if not means.events:
            self.stop()
        elif time.monotonic() < self._refused_until:
            return
        else:
            means = self._kept_up(found, nudge) or means
        self._tell(means)

    def covers(self, folders: int) -> bool:
        """After a look that listed so many ``folders``: whether events came from all of them meanwhile.

        If not, the look is to be repeated soon.
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
            limit = limit_reached()
            self._refuse(WatchMethod(False, f"not all of its {folders} folders can be watched: {limit}", limit.hint))
        return False

    def stop(self, patience: float = PARTING) -> None:
        """Watch no more, for now; the end is waited for so many seconds at most."""
        if self._watch is not None:
            self._watch.stop(patience)
            self._watch = None

    def _kept_up(self, found: tuple[mounts.Mount, ...], nudge: Callable[[], None]) -> WatchMethod | None:
        """Make the watch anew if it is not what it was made as. Returns why there cannot be one, if so."""
        try:
            folder = os.stat(self._inbox)
        except OSError:
            # The look that follows will say why.
            return None
        wanted = (folder.st_dev, folder.st_ino, found)
        if self._watch is not None:
            if self._watch.alive and self._watched == wanted:
                return None
            logger.info("events from the inbox have ended or are of another disk; they are asked for anew")
        self.stop()
        watch = EventWatch(self._inbox, nudge)
        try:
            watch.start()
        except (Blocked, Deferred) as error:
            return self._refuse(WatchMethod(False, str(error), error.hint if isinstance(error, Blocked) else ""))
        self._watch, self._watched = watch, wanted
        return None

    def _refuse(self, means: WatchMethod) -> WatchMethod:
        self._refused_until = time.monotonic() + _GRIEVANCE
        self._tell(means)
        return means

    def _tell(self, means: WatchMethod) -> None:
        before, self.means = self.means, means
        if means.hint and means != before:
            logger.warning("events from the inbox cannot be had: %s. %s", means.why, means.hint)
