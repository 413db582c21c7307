"""The watched folder. The listing is the truth; an event is only a nudge to look again soon."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from sorawatch.core.fsfaults import translate
from sorawatch.core.job import Pair, Stamp
from sorawatch.core.pairing import PAUSE_NAME, Match, is_junk, pair
from sorawatch.core.settle import Look, Observation, is_whole, next_look, observe, settled

_NO_CHANGE = {"opened", "closed_no_write"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A pair that has stopped changing. ``conflict`` says why it cannot be taken as it is."""

    pair: Pair
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A file that is not a job yet, and what it waits for."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Scan:
    """One look at the whole inbox."""

    arrivals: tuple[Arrival, ...]
    """Settled pairs that are not known."""
    present: Mapping[str, Pair]
    """Every image by its path, with its sidecar, as it looks now."""
    waiting: tuple[Waiting, ...]
    settling: int
    next_look: float | None
    """Seconds until a pair can have settled."""
    paused: bool
    """The PAUSE file is there."""


@dataclass(slots=True)
class _Folder:
    path: str
    files: dict[str, os.stat_result] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


class Inbox:
    """Looks at the tree below ``root``. Used from one thread, so that a share that hangs hangs nobody else."""

    def __init__(self, root: Path, *, ignore: Sequence[str], settle_seconds: float) -> None:
        self.root = root
        self._ignore = tuple(ignore)
        self._settle_seconds = settle_seconds
        self._seen: dict[str, Observation] = {}

    def scan(self, known: Mapping[str, Pair], now: float) -> Scan:
        """List everything and find what is new and has settled.

        Args:
            known: pairs that are jobs already, by path; they are not reported again unless they changed.
            now: seconds of a monotonic clock.

        Raises:
            Blocked, Deferred: if the inbox cannot be listed, whole.
        """
        arrivals: list[Arrival] = []
        present: dict[str, Pair] = {}
        waiting: list[Waiting] = []
        seen: dict[str, Observation] = {}
        try:
            folders = list(self._walk())
        except OSError as error:
            raise translate(error, str(self.root)) from error
        for folder in folders:
            pairing = pair(folder.files)
            for match in pairing.matches:
                found = _pair(folder, match)
                present[found.path] = found
                if known.get(found.path) == found:
                    continue
                looks = tuple(_look(folder.files[name]) for name in found.names)
                observation = observe(self._seen.get(found.path), looks, now)
                seen[found.path] = observation
                if settled(observation, now, self._settle_seconds):
                    arrivals.append(Arrival(found, match.conflict))
                else:
                    waiting.append(Waiting(found.path, _why_unsettled(folder, found)))
            waiting += [Waiting(_join(folder.path, name), "no image of this name") for name in pairing.lonely]
            waiting += [
                Waiting(_join(folder.path, name), "not a picture format sorawatch reads") for name in pairing.unknown
            ]
            waiting += [
                Waiting(_join(folder.path, name), "not a regular file; put a copy of it here") for name in folder.odd
            ]
        self._seen = seen
        unsettled = [each for each in seen.values() if is_whole(each) and not settled(each, now, self._settle_seconds)]
        return Scan(
            arrivals=tuple(arrivals),
            present=present,
            waiting=tuple(waiting),
            settling=len(unsettled),
            next_look=min((next_look(each, now, self._settle_seconds) for each in unsettled), default=None),
            paused=PAUSE_NAME in folders[0].files,
        )

    def _walk(self) -> Iterator[_Folder]:
        todo = [""]
        while todo:
            folder = _Folder(todo.pop())
            with os.scandir(self.root / folder.path) as entries:
                for entry in entries:
                    if is_junk(entry.name, self._ignore):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(_join(folder.path, entry.name))
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if stat.S_ISREG(status.st_mode):
                        folder.files[entry.name] = status
                    else:
                        folder.odd.append(entry.name)
            yield folder


class Watch:
    """Calls ``nudge`` whenever something happens below ``root``, where the system reports such things."""

    def __init__(self, root: Path, nudge: Callable[[], None]) -> None:
        self._observer: BaseObserver = Observer()
        self._observer.schedule(_Nudger(nudge), str(root), recursive=True)

    def start(self) -> None:
        """Begin to watch.

        Raises:
            Blocked, Deferred: if the system refuses, such as at its limit of watches.
        """
        try:
            self._observer.start()
        except OSError as error:
            raise translate(error, "watching the inbox") from error

    def stop(self) -> None:
        self._observer.stop()

    @property
    def alive(self) -> bool:
        return self._observer.is_alive()


class _Nudger(FileSystemEventHandler):
    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in _NO_CHANGE and not (event.is_directory and event.event_type == "modified"):
            self._nudge()


def stamp(path: Path) -> Stamp | None:
    """How a file looks now, or None if it is gone.

    Raises:
        Blocked, Deferred: if the folder cannot be asked.
    """
    try:
        return _stamp(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise translate(error, str(path)) from error


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_size, status.st_mtime_ns)


def _look(status: os.stat_result) -> Look:
    return Look(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _pair(folder: _Folder, match: Match) -> Pair:
    sidecar_stamp = _stamp(folder.files[match.sidecar]) if match.sidecar else None
    return Pair(folder.path, match.image, _stamp(folder.files[match.image]), match.sidecar, sidecar_stamp)


def _why_unsettled(folder: _Folder, found: Pair) -> str:
    empty = [name for name in found.names if folder.files[name].st_size == 0]
    return f"{empty[0]} is still empty" if empty else "still being written, or just now"
