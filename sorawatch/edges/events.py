"""File system events below a folder. An event says that something changed; a scan finds out what.

Only whether a program still has a file open for writing is learnt from the events themselves.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD
from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper
from watchdog.utils import BaseThread

from sorawatch.core.open_files import OpenFiles
from sorawatch.core.os_errors import translate
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTIFY_INTERVAL = 0.1
"""Seconds: the shortest time between two notifications."""

STOP_SECONDS = 5.0
"""Seconds: how long `EventWatch.stop` waits by default."""


class _EventsLostEvent(FileSystemEvent):
    """The kernel dropped events, because more happened than its queue has room for."""


_EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent,
    DirCreatedEvent, DirMovedEvent, DirDeletedEvent, _EventsLostEvent,
]  # fmt: skip
"""Not reads."""

_MOVE_DELAY = 0.01
"""Seconds that watchdog may delay all events to wait for the second event of a move, instead of 0.5. When we move a
file out of the inbox, there is none."""

_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")
_ENOUGH_WATCHES = 524_288
"""Watches that are enough for any inbox. A watch in use needs about a kilobyte of kernel memory."""
_INOTIFY = "anon_inode:inotify"


class EventWatch:
    """Calls ``notify`` soon after something changed below ``root``, if the system reports it."""

    def __init__(self, root: Path, notify: Callable[[], None]) -> None:
        self._root = root
        self._notify = notify
        self._happened = threading.Event()
        self._stopped = threading.Event()
        self._handler: _Handler | None = None
        self._observer: BaseObserver | None = None
        self._threads: set[threading.Thread] = set()
        self._descriptors: set[int] = set()

    def start(self) -> None:
        """Begin to watch.

        Raises:
            Blocked, Deferred: if the system refuses, for example because its limit of watches is reached.
        """
        # watchdog logs an error when it is stopped during an event, and warns when it finds a new subfolder twice.
        # Both are harmless and would only confuse people.
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=r"watchdog\.")
        InotifyMoveEventGrouper.delay = _MOVE_DELAY
        observer: BaseObserver | None = None
        try:
            threads, descriptors = _watchdog_threads(), _inotify_descriptors()
            observer = _Observer()
            # Without realpath a link would be watched instead of its target.
            root = os.path.realpath(self._root)
            handler = _Handler(self._happened, root)
            observer.schedule(handler, root, recursive=True, event_filter=_EVENTS)
            observer.start()
            self._threads, self._descriptors = _watchdog_threads() - threads, _inotify_descriptors() - descriptors
        except OSError as error:
            if observer is not None:
                observer.stop()
            raise _translated(error) from error
        self._observer, self._handler = observer, handler
        threading.Thread(target=self._send_notifications, name="event-notifier", daemon=True).start()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop the notifications and release the watches. Waits at most ``timeout`` seconds for that."""
        self._stopped.set()
        self._happened.set()
        if self._observer is not None:
            # The observer waits for its threads, and one of them may hang on a share or wait for a move to complete.
            ending = threading.Thread(target=self._observer.stop, name="unwatch", daemon=True)
            ending.start()
            ending.join(timeout)

    @property
    def alive(self) -> bool:
        """Whether events can still arrive. False once ``root`` itself was removed, or a thread has died."""
        observer = self._observer
        started = observer is not None and observer.is_alive()
        return started and all(thread.is_alive() for thread in self._threads)

    def count(self) -> int:
        """How many folders are watched, according to the kernel (``/proc/PID/fdinfo``, see proc(5)).

        The observer itself does not report folders that it could not watch, nor watches that ended because their disk
        was removed.
        """
        return sum(map(_watches, self._descriptors))

    def open_files(self) -> frozenset[str]:
        """The files that a program still has open for writing, as far as events tell: paths relative to ``root``.

        May be called from any thread.
        """
        return frozenset() if self._handler is None else self._handler.open_files()

    def _send_notifications(self) -> None:
        """Send one notification for all events within an interval, and another if there are later ones."""
        while self._happened.wait() and not self._stopped.is_set():
            self._happened.clear()
            self._notify()
            self._stopped.wait(_NOTIFY_INTERVAL)


class _Observer(BaseObserver):
    """Watchdog's observer of inotify, which also passes on that events were lost."""

    def __init__(self) -> None:
        self._reader = _Reader(self._report_lost)
        self._reader.start()
        super().__init__(InotifyEmitter, inotify_fd=self._reader)

    def on_thread_stop(self) -> None:
        super().on_thread_stop()
        self._reader.stop()
        self._reader.join()

    def _report_lost(self) -> None:
        """Put an event into the queue behind those that are in it already, which happened before."""
        for emitter in tuple(self.emitters):
            emitter.queue_event(_EventsLostEvent(""))


class _Reader(InotifyFD):
    def __init__(self, lost: Callable[[], None]) -> None:
        super().__init__()
        self._lost = lost

    def handle_event(self, event: InotifyEvent) -> None:
        super().handle_event(event)
        if event.is_queue_overflow:
            self._lost()


class _Handler(FileSystemEventHandler):
    """Notes which files are open, and that something else than a write has happened. Called from one thread."""

    def __init__(self, happened: threading.Event, root: str) -> None:
        self._happened = happened
        self._root = root
        self._lock = threading.Lock()
        self._open = OpenFiles()

    def open_files(self) -> frozenset[str]:
        with self._lock:
            return self._open.paths()

    def dispatch(self, event: FileSystemEvent) -> None:
        with self._lock:
            self._note(event)
        # A large file is reported once, when it is closed, and not with each write.
        if not isinstance(event, FileModifiedEvent):
            self._happened.set()

    def _note(self, event: FileSystemEvent) -> None:
        source, target = self._relative(event.src_path), self._relative(event.dest_path)
        match event:
            case FileModifiedEvent():
                self._open.written(source)
            case FileClosedEvent() | FileDeletedEvent() | FileCreatedEvent():
                self._open.closed(source)
            case FileMovedEvent() if not event.is_synthetic:
                self._open.moved(source, target)
            case DirMovedEvent() if not event.is_synthetic:
                self._open.folder_moved(source, target)
            case DirDeletedEvent():
                self._open.folder_removed(source)
            case _EventsLostEvent():
                self._open.forget()

    def _relative(self, path: bytes | str) -> str:
        return os.fsdecode(path).removeprefix(self._root).lstrip("/")


def _translated(error: OSError) -> Blocked | Deferred:
    match error.errno:
        case errno.ENOSPC:
            return watch_limit_error()
        case errno.EMFILE:
            hint = "Raise it as root: sysctl -w fs.inotify.max_user_instances=1024"
            return Blocked("the limit fs.inotify.max_user_instances is reached", hint)
        case _:
            return translate(error, "watching the inbox")


def watch_limit_error() -> Blocked:
    """The error that this system allows no more watches, with the command that raises the limit."""
    most = max_watches()
    found = "" if most is None else f", which is {most},"
    wanted = max(_ENOUGH_WATCHES, 4 * (most or 0))
    line = f"fs.inotify.max_user_watches={wanted}"
    hint = f"Raise it as root: sysctl -w {line}; and for good: echo {line} > /etc/sysctl.d/60-sorawatch.conf"
    return Blocked(f"the limit fs.inotify.max_user_watches{found} is reached", hint)


def max_watches() -> int | None:
    """How many folders one user may watch; None if the system does not say."""
    try:
        return int(_LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _watchdog_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if isinstance(thread, BaseThread)}


def _inotify_descriptors() -> set[int]:
    """The inotify instances of this process."""
    return {int(link.name) for link in Path("/proc/self/fd").iterdir() if _link_target(link) == _INOTIFY}


def _link_target(link: Path) -> str:
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
