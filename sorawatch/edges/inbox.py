"""The watched folder. The listing is the truth; an event is only a nudge to look again soon."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sorawatch.core.job import Pair, Stamp, path_in
from sorawatch.core.naming import on_a_line
from sorawatch.core.os_errors import translate
from sorawatch.core.pairing import PAUSE_NAME, Match, Pairing, fold, is_defaults, is_junk, pair
from sorawatch.core.settle import FileStatus, Observation, is_whole, observe, settled, settles_in

_HALF = 1 << 63

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class SettledPair:
    """A pair that has stopped changing. ``conflict`` says why it cannot be taken as it is."""

    pair: Pair
    conflict: str = ""
    defaults: tuple[str, ...] = ()
    """Paths of the ``_defaults.yaml`` files that hold for it, relative to the inbox, the nearest first."""


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file that is not a job yet, and what it waits for."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One look at the whole inbox."""

    arrivals: tuple[SettledPair, ...]
    """Settled pairs that are not known."""
    present: Mapping[str, Pair]
    """Every image by its path, with its sidecar, as it looks now; where it cannot be looked at, as it is known."""
    waiting: tuple[WaitingFile, ...]
    settling: int
    settles_in: float | None
    """Seconds until a pair can have settled."""
    paused: bool
    """The PAUSE file is there."""
    folders: int
    """How many folders were listed, the inbox itself among them."""
    defaults: Mapping[str, FileStatus | None]
    """How every ``_defaults.yaml`` looks, by its path; None where that cannot be told."""
    unlisted: tuple[str, ...]
    """Subfolders that could not be listed."""


@dataclass(slots=True)
class _Folder:
    """What lies in one folder, junk left out."""

    path: str
    defaults: Mapping[str, os.stat_result | None]
    """The ``_defaults.yaml`` files that hold here by their paths, the nearest first; None: to be read all the same."""
    files: dict[str, os.stat_result] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    odd: dict[str, str] = field(default_factory=dict)
    """Links, pipes, sockets and devices, and what each is."""
    blind: dict[str, str] = field(default_factory=dict)
    """Names that the system would say nothing of, and why."""
    trouble: str = ""
    """Why the folder could not be listed."""

    def looks(self, found: Pair) -> tuple[FileStatus, ...]:
        """How everything looks that goes into the order of a pair."""
        files = [self.files[name] for name in found.names]
        return tuple(_look(status) for status in (*files, *self.defaults.values()) if status is not None)

    def empty(self, found: Pair) -> str | None:
        """Whatever of that is empty."""
        files = {name: self.files[name] for name in found.names}
        both = {**files, **self.defaults}
        return next((name for name, status in both.items() if status is not None and status.st_size == 0), None)


class Inbox:
    """Looks at the tree below ``root``. Used from one thread, so that a share that hangs hangs nobody else."""

    def __init__(self, root: Path, *, ignore: Sequence[str], settle_seconds: float) -> None:
        self.root = root
        self._ignore = tuple(ignore)
        self.settle_seconds = settle_seconds
        self._seen: dict[str, Observation] = {}

    def scan(self, known: Mapping[str, Pair], now: float) -> Listing:
        """List everything and find what is new and has settled.

        A pair settles together with the ``_defaults.yaml`` files that hold for it, lest it is ordered by half of one.

        Args:
            known: pairs that are jobs already, by path; they are not reported again unless they changed.
            now: seconds of a monotonic clock.

        Raises:
            Blocked, Deferred: if the inbox itself cannot be listed; a subfolder that cannot is among ``waiting``.
        """
        arrivals: list[SettledPair] = []
        present: dict[str, Pair] = {}
        waiting: list[WaitingFile] = []
        seen: dict[str, Observation] = {}
        try:
            folders = list(self._walk())
        except OSError as error:
            raise translate(error, str(self.root)) from error
        for folder in folders:
            if folder.trouble:
                waiting.append(WaitingFile(folder.path, f"cannot be listed: {folder.trouble}"))
                present |= {path: each for path, each in known.items() if path.startswith(f"{folder.path}/")}
            pairing = pair([*folder.files, *folder.blind])
            for match in pairing.matches:
                path = path_in(folder.path, match.image)
                if folder.blind and (match.image in folder.blind or match.sidecar in folder.blind):
                    present |= {path: known[path]} if path in known else {}
                    continue
                found = present[path] = _pair(folder, match)
                if known.get(path) == found:
                    continue
                observation = seen[path] = observe(self._seen.get(path), folder.looks(found), now)
                if settled(observation, now, self.settle_seconds):
                    arrivals.append(SettledPair(found, match.conflict, tuple(folder.defaults)))
                else:
                    empty = folder.empty(found)
                    why = f"{on_a_line(empty)} is still empty" if empty else "still being written, or just now"
                    waiting.append(WaitingFile(path, why))
            waiting += [
                WaitingFile(path_in(folder.path, name), why) for name, why in _left_over(folder, pairing).items()
            ]
        self._seen = seen
        unsettled = [each for each in seen.values() if is_whole(each) and not settled(each, now, self.settle_seconds)]
        top = folders[0]
        return Listing(
            arrivals=tuple(arrivals),
            present=present,
            waiting=tuple(waiting),
            settling=len(unsettled),
            settles_in=min((settles_in(each, now, self.settle_seconds) for each in unsettled), default=None),
            defaults={path: status and _look(status) for each in folders for path, status in each.defaults.items()},
            unlisted=tuple(folder.path for folder in folders if folder.trouble),
            paused=any(PAUSE_NAME in names for names in (top.files, top.odd, top.blind)),
            folders=sum(not folder.trouble for folder in folders),
        )

    def _walk(self) -> Iterator[_Folder]:
        """Every folder, the inbox itself first.

        Raises:
            OSError: if the inbox itself cannot be listed.
        """
        todo = [_Folder("", {})]
        while todo:
            folder = todo.pop()
            try:
                self._list(folder)
            except OSError as error:
                if not folder.path:
                    raise
                if isinstance(error, FileNotFoundError | NotADirectoryError):
                    continue
                folder = _Folder(folder.path, {}, trouble=error.strerror or str(error))
            yield folder
            todo += [_Folder(path, folder.defaults) for path in folder.folders]

    def _list(self, folder: _Folder) -> None:
        with os.scandir(self.root / folder.path) as entries:
            for entry in entries:
                if is_junk(entry.name, self._ignore):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folder.folders.append(path_in(folder.path, entry.name))
                        continue
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    folder.blind[entry.name] = f"cannot be looked at: {error.strerror or error}"
                    continue
                if stat.S_ISREG(status.st_mode):
                    folder.files[entry.name] = status
                else:
                    folder.odd[entry.name] = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        own = sorted(filter(is_defaults, (*folder.files, *folder.odd, *folder.blind)), key=fold)
        folder.defaults = {path_in(folder.path, name): folder.files.get(name) for name in own} | dict(folder.defaults)


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
    """Some file systems date files beyond the 64 bits that a database keeps; their dates wrap around."""
    return Stamp(status.st_size, (status.st_mtime_ns + _HALF) % (2 * _HALF) - _HALF)


def _look(status: os.stat_result) -> FileStatus:
    return FileStatus(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _left_over(folder: _Folder, pairing: Pairing) -> dict[str, str]:
    """The names in a folder that are part of no pair, each with why not."""
    return {
        **dict.fromkeys(pairing.without_image, "no image of this name"),
        **dict.fromkeys(pairing.unknown, "not a picture format sorawatch reads"),
        **{name: f"is {kind}, which is never opened; put the file itself here" for name, kind in folder.odd.items()},
        **folder.blind,
    }


def _pair(folder: _Folder, match: Match) -> Pair:
    sidecar_stamp = _stamp(folder.files[match.sidecar]) if match.sidecar else None
    return Pair(folder.path, match.image, _stamp(folder.files[match.image]), match.sidecar, sidecar_stamp)
