"""Events of the system from below a folder. They are nudges, never news: what happened is for a listing to say."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.utils import BaseThread

from sorawatch.core.os_errors import translate
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

_NUDGE_PAUSE = 0.1
"""Seconds at least between two nudges."""

PARTING = 5.0
"""Seconds that the end of a watch is waited for, where something follows it."""

_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent, DirCreatedEvent, DirMovedEvent, DirDeletedEvent
]  # fmt: skip
"""Reads are nobody's business, and a write of gigabytes is told once, when the file is closed."""

_GROUPERS = (("inotify_move_event_grouper", "InotifyMoveEventGrouper"), ("inotify_buffer", "InotifyBuffer"))
"""Where watchdog joins the halves of a move, from version 7 on and before."""
_MOVE_PAUSE = 0.01
"""Seconds that it may hold everything back for a second half, which never comes of what we move away ourselves."""

_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
_PLENTY = 524_288
"""Watches that do for any inbox; a watch costs the kernel about a kilobyte once it is used."""
_INOTIFY = "anon_inode:inotify"


class EventWatch:
    """Calls ``nudge`` soon after something happens below ``root``, where the system reports such things."""

    def __init__(self, root: Path, nudge: Callable[[], None]) -> None:
        self._root = root
        self._nudge = nudge
        self._happened = threading.Event()
        self._stopped = threading.Event()
        self._observer: BaseObserver | None = None
        self._threads: set[threading.Thread] = set()
        self._descriptors: set[int] = set()

    def start(self) -> None:
        """Begin to watch.

        Raises:
            Blocked, Deferred: if the system refuses, such as at its limit of watches.
        """
        # It logs an error when it is stopped amid events, and warns when it meets a new folder's folder twice:
        # a person could only wonder about either.
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"watchdog\.")
        _hurry()
        observer: BaseObserver | None = None
        try:
            threads, descriptors = _threads(), _descriptors()
            observer = Observer()
            # A link would be watched instead of the folder that it names.
            observer.schedule(
                _Handler(self._happened), os.path.realpath(self._root), recursive=True, event_filter=_EVENTS
            )
            observer.start()
            self._threads, self._descriptors = _threads() - threads, _descriptors() - descriptors
        except OSError as error:
            if observer is not None:
                observer.stop()
            raise _refusal(error) from error
        self._observer = observer
        threading.Thread(target=self._pass_on, name="nudge", daemon=True).start()

    def stop(self, patience: float = PARTING) -> None:
        """Nudge no more, and let go of the system's watches, which is waited for so many seconds at most."""
        self._stopped.set()
        self._happened.set()
        if self._observer is not None:
            # It waits for its own threads, one of which may be looking at a share that hangs, or for the second
            # half of a move.
            ending = threading.Thread(target=self._observer.stop, name="unwatch", daemon=True)
            ending.start()
            ending.join(patience)

    @property
    def alive(self) -> bool:
        """Whether events can still arrive: no more once ``root`` itself was removed, or a thread of it has died."""
        observer = self._observer
        started = observer is not None and observer.is_alive()
        return started and all(thread.is_alive() for thread in self._threads)

    def count(self) -> int:
        """How many folders are watched, by what the kernel says; see proc(5) on ``/proc/PID/fdinfo``.

        The observer says nothing of folders that it could not watch, nor of watches that ended with their disk.
        """
        return sum(map(_watches, self._descriptors))

    def _pass_on(self) -> None:
        """One nudge for all that happens in a while; what happens after it is followed by another."""
        while self._happened.wait() and not self._stopped.is_set():
            self._happened.clear()
            self._nudge()
            self._stopped.wait(_NUDGE_PAUSE)


class _Handler(FileSystemEventHandler):
    def __init__(self, happened: threading.Event) -> None:
        self._happened = happened

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 -- that something happened is all
        self._happened.set()


def _hurry() -> None:
    """Have watchdog wait for the second half of a move only as long as matters to somebody who is merely nudged."""
    for module, name in _GROUPERS:
        # A version that names them otherwise is slower by its own delay, and works.
        with suppress(ImportError, AttributeError):
            getattr(importlib.import_module(f"watchdog.observers.{module}"), name).delay = _MOVE_PAUSE


def _refusal(error: OSError) -> Blocked | Deferred:
    match error.errno:
        case errno.ENOSPC:
            return limit_reached()
        case errno.EMFILE:
            hint = "Raise it as root: sysctl -w fs.inotify.max_user_instances=1024"
            return Blocked("no further inotify instance is to be had (fs.inotify.max_user_instances)", hint)
        case _:
            return translate(error, "watching the inbox")


def limit_reached() -> Blocked:
    """That this system allows no more watches, and the line that has it allow enough."""
    most = most_watches()
    found = "" if most is None else f", which is {most},"
    wanted = max(_PLENTY, 4 * (most or 0))
    line = f"fs.inotify.max_user_watches={wanted}"
    hint = f"Raise it as root: sysctl -w {line}; and for good: echo {line} > /etc/sysctl.d/60-sorawatch.conf"
    return Blocked(f"the limit fs.inotify.max_user_watches{found} is reached", hint)


def most_watches() -> int | None:
    """How many folders one user may watch; None where the system does not tell."""
    try:
        return int(_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if isinstance(thread, BaseThread)}


def _descriptors() -> set[int]:
    """The inotify instances of this process."""
    return {int(link.name) for link in Path("/proc/self/fd").iterdir() if _leads_to(link) == _INOTIFY}


def _leads_to(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _watches(descriptor: int) -> int:
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as lines:
            return sum(line.startswith("inotify ") for line in lines)
    except OSError:
        return 0
