"""Scans the watched folder. Only a scan decides what is there; events merely make the next scan come sooner."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sorawatch.core.job import Pair, Stamp, path_in
from sorawatch.core.naming import one_line
from sorawatch.core.os_errors import translate
from sorawatch.core.pairing import (
    Match,
    Pairing,
    fold,
    has_meaning,
    is_defaults,
    is_junk,
    is_pause_name,
    is_sidecar_of,
    pair,
    why_unused,
)
from sorawatch.core.settle import (
    FileStatus,
    Observation,
    observe,
    seconds_to_settle,
    settled,
    settles_in,
)
from sorawatch.edges.directories import MOST_LEVELS, Descent, kind_of, opened, opened_file
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

_HALF_RANGE = 1 << 63
_STILL_WRITTEN = "still being written, or just now"

_LONG_EMPTY_SECONDS = 60.0
"""How long a file may be empty because it is being copied. Dropbox and OneDrive show files that are only online so."""


@dataclass(frozen=True, slots=True)
class SettledPair:
    """A pair that has stopped changing. ``conflict`` says why it cannot be used as it is."""

    pair: Pair
    conflict: str = ""
    defaults: tuple[str, ...] = ()
    """Paths of the ``_defaults.yaml`` files that apply to it, relative to the inbox, the nearest first."""
    unchanged_seconds: float = 0.0
    """Since when scans have found it as it is."""


@dataclass(frozen=True, slots=True)
class WaitingFile:
    """A file that is not a job yet, and why."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The result of one scan of the whole inbox."""

    settled: tuple[SettledPair, ...]
    """Settled pairs that are new or have changed."""
    present: Mapping[str, Pair]
    """The pair of every image, by path, as it is now; if its status cannot be read, as it was known before."""
    waiting: tuple[WaitingFile, ...]
    settling: int
    settles_in: float | None
    """Seconds until the next pair can be settled; None if none is settling."""
    pause_file: str | None
    """The name of a file that stops submissions, such as ``PAUSE``."""
    folders: int
    """How many folders were listed, including the inbox itself."""
    defaults: Mapping[str, FileStatus | None]
    """The status of every ``_defaults.yaml``, by path; None if it cannot be read."""
    unlisted: tuple[str, ...]
    """Subfolders that could not be listed."""


@dataclass(slots=True)
class _Folder:
    """The contents of one folder, without ignored names."""

    path: str
    defaults: Mapping[str, FileStatus | None]
    """The ``_defaults.yaml`` files that apply here, by path, the nearest first; None if the status is not known."""
    files: dict[str, FileStatus] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Regular files that are neither images nor sidecars by their names."""
    folders: list[str] = field(default_factory=list)
    special: dict[str, str] = field(default_factory=dict)
    """Links, pipes, sockets and devices, with their kind."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Names whose status cannot be read, and why."""
    error: str = ""
    """Why the folder could not be listed."""

    def names(self) -> list[str]:
        """The names of all files."""
        return [*self.files, *self.others, *self.unreadable]

    def pause_file(self, pairing: Pairing) -> str | None:
        """The name of a file here that would stop submissions at the top of the inbox; a link there does too."""
        return next(iter((*pairing.pause_files, *filter(is_pause_name, self.special))), None)

    def statuses(self, found: Pair) -> tuple[FileStatus, ...]:
        """The status of all files that the order of a pair depends on."""
        files = [self.files[name] for name in found.names]
        return tuple(status for status in (*files, *self.defaults.values()) if status is not None)

    def empty(self, found: Pair) -> str | None:
        """The name of one of these files that is empty, if any."""
        files = {name: self.files[name] for name in found.names}
        both = {**files, **self.defaults}
        return next((name for name, status in both.items() if status is not None and status.size == 0), None)

    def open(self, found: Pair, open_files: Collection[str]) -> str | None:
        """The path of one of these files that is among ``open_files``, if any."""
        if not open_files:
            return None
        both = (*(path_in(self.path, name) for name in found.names), *self.defaults)
        return next((path for path in both if path in open_files), None)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What the names in one folder mean."""

    names: list[str]
    pairing: Pairing
    unused: Mapping[str, str]
    """Why names that are no part of a pair have no effect."""

    @classmethod
    def of(cls, names: list[str]) -> _Meaning:
        pairing = pair(names)
        return cls(names, pairing, why_unused(pairing))


class Inbox:
    """Scans the tree below ``root``. Used from a thread of its own, so that a share that hangs blocks nothing else."""

    def __init__(self, root: Path, *, ignore: Sequence[str], settle_seconds: float) -> None:
        self.root = root
        self._ignore = tuple(ignore)
        self.settle_seconds = settle_seconds
        self._seen: dict[str, Observation] = {}
        self._meanings: dict[str, _Meaning] = {}
        """By folder, from the last scan: mostly the names are the same in the next one."""
        self._known_names: set[str] = set()
        """The names in it that have a meaning and are not ignored."""

    def scan(self, known: Mapping[str, Pair], now: float, open_files: Collection[str] = ()) -> Listing:
        """List all folders and find the pairs that are new and have settled.

        A pair settles together with the ``_defaults.yaml`` files that apply to it, so that it is not ordered with a
        half-written one.

        Args:
            known: pairs that are jobs already, by path; they are reported again only if they changed.
            now: seconds of a monotonic clock.
            open_files: files that a program has open for writing; paths relative to the inbox. A pair with such a file
                settles only when it has not changed for `MAX_OPEN_SECONDS`.

        Raises:
            Blocked, Deferred: if the inbox itself cannot be listed; such a subfolder is among ``waiting``.
        """
        settled_pairs: list[SettledPair] = []
        present: dict[str, Pair] = {}
        waiting: list[WaitingFile] = []
        seen: dict[str, Observation] = {}
        meanings: dict[str, _Meaning] = {}
        unsettled: list[float] = []
        defaults: dict[str, FileStatus | None] = {}
        unlisted: list[str] = []
        known_names: set[str] = set()
        pause_file = None
        for folder in self._listed():
            defaults |= folder.defaults
            known_names.update(folder.files)
            if folder.error:
                unlisted.append(folder.path)
                waiting.append(WaitingFile(folder.path, f"cannot be listed: {folder.error}"))
                present |= {path: each for path, each in known.items() if path.startswith(f"{folder.path}/")}
            names = folder.names()
            known_before = self._meanings.get(folder.path)
            meaning = known_before if known_before and known_before.names == names else _Meaning.of(names)
            meanings[folder.path] = meaning
            if not folder.path:
                pause_file = folder.pause_file(meaning.pairing)
            for match in meaning.pairing.matches:
                path = path_in(folder.path, match.image)
                if folder.unreadable and (match.image in folder.unreadable or match.sidecar in folder.unreadable):
                    present |= {path: known[path]} if path in known else {}
                    continue
                before = known.get(path)
                if before is not None and _is_same(before, folder, match):
                    present[path] = before
                    continue
                found = present[path] = _pair(folder, match)
                # Taken out, so that of very many files no two observations are kept.
                observation = seen[path] = observe(self._seen.pop(path, None), folder.statuses(found), now)
                open_path = folder.open(found, open_files)
                settle_seconds = seconds_to_settle(self.settle_seconds, is_open=open_path is not None)
                if settled(observation, now, settle_seconds):
                    unchanged = now - observation.since
                    settled_pairs.append(SettledPair(found, match.conflict, tuple(folder.defaults), unchanged))
                elif empty := folder.empty(found):
                    waiting.append(WaitingFile(path, _why_empty(empty, now - observation.since)))
                else:
                    unsettled.append(settles_in(observation, now, settle_seconds))
                    waiting.append(WaitingFile(path, still_open(open_path) if open_path else _STILL_WRITTEN))
            waiting += [
                WaitingFile(path_in(folder.path, name), why) for name, why in _reasons_to_wait(folder, meaning).items()
            ]
        self._seen, self._meanings = seen, meanings
        self._known_names = known_names
        return Listing(
            settled=tuple(settled_pairs),
            present=present,
            waiting=tuple(waiting),
            settling=len(unsettled),
            settles_in=min(unsettled, default=None),
            defaults=defaults,
            unlisted=tuple(unlisted),
            pause_file=pause_file,
            folders=len(meanings) - len(unlisted),
        )

    def look_up(self, folder: str, image: str) -> tuple[Match, tuple[str, ...]]:
        """One image with its sidecar, and the paths of the ``_defaults.yaml`` files that apply to it, as in a scan.

        Without a sidecar if the image is ignored or missing.

        Raises:
            Blocked, Deferred: if a folder cannot be listed.
        """
        found = _Folder("", {})
        try:
            with Descent(self.root) as descent:
                self._list(found, descent)
                for name in filter(None, folder.split("/")):
                    found = _Folder(path_in(found.path, name), found.defaults)
                    self._list(found, descent)
        except OSError as error:
            raise translate(error, str(self.root / found.path)) from error
        match = next((match for match in pair(found.names()).matches if match.image == image), Match(image, None))
        return match, tuple(found.defaults)

    def pause_file(self) -> str | None:
        """The name of the file that stops submissions now, if there is one; None too if that cannot be told."""
        top = _Folder("", {})
        try:
            with Descent(self.root) as descent:
                self._list(top, descent)
        except OSError:
            return None
        return top.pause_file(pair(top.names()))

    def _listed(self) -> Iterator[_Folder]:
        """Every folder, the inbox itself first. Raises: Blocked, Deferred: if the inbox itself cannot be listed."""
        try:
            yield from self._walk()
        except OSError as error:
            raise translate(error, str(self.root)) from error

    def _walk(self) -> Iterator[_Folder]:
        """Every folder, the inbox itself first.

        Raises:
            OSError: if the inbox itself cannot be listed.
        """
        with Descent(self.root) as descent:
            todo = [_Folder("", {})]
            while todo:
                folder = todo.pop()
                try:
                    self._list(folder, descent)
                except (OSError, Deferred) as error:
                    if not folder.path:
                        raise
                    if isinstance(error, FileNotFoundError):
                        continue
                    why = error.strerror if isinstance(error, OSError) else None
                    folder = _Folder(folder.path, {}, error=why or str(error))
                yield folder
                if folder.path.count("/") + 1 == MOST_LEVELS:
                    why = f"it is more than {MOST_LEVELS} folders deep"
                    yield from (_Folder(path, {}, error=why) for path in folder.folders)
                    continue
                todo += [_Folder(path, folder.defaults) for path in folder.folders]

    def _list(self, folder: _Folder, descent: Descent) -> None:
        """List one folder. Raises: OSError, Deferred: if that is not possible, or it is a link now."""
        with os.scandir(descent.open(folder.path).descriptor) as entries:
            for entry in entries:
                is_known = entry.name in self._known_names
                if not is_known and is_junk(entry.name, self._ignore):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folder.folders.append(path_in(folder.path, entry.name))
                        continue
                    if not (is_known or has_meaning(entry.name)) and entry.is_file(follow_symlinks=False):
                        folder.others.append(entry.name)
                        continue
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    folder.unreadable[entry.name] = f"cannot be read: {error.strerror or error}"
                    continue
                if stat.S_ISREG(status.st_mode):
                    folder.files[entry.name] = _file_status(status)
                else:
                    folder.special[entry.name] = kind_of(status)
        names_here = sorted(filter(is_defaults, (*folder.files, *folder.special, *folder.unreadable)), key=fold)
        if names_here:
            # Otherwise the folder shares what applies to the one above it.
            own = {path_in(folder.path, name): folder.files.get(name) for name in names_here}
            folder.defaults = own | dict(folder.defaults)


def has_sidecar(root: Path, folder: str, image: str) -> bool:
    """Whether there is a sidecar of ``image`` in ``folder`` below ``root`` now; False if the folder is gone.

    Raises:
        Blocked, Deferred: if the folder cannot be listed.
    """
    try:
        with opened(root, folder) as directory:
            return any(is_sidecar_of(name, image) for name in directory.names())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise translate(error, str(root / folder)) from error


def sidecars(root: Path, folder: str, images: Sequence[str]) -> list[str]:
    """The sidecars that belong to these images of ``folder`` below ``root`` now, by their names.

    Raises:
        Blocked, Deferred: if the folder cannot be listed.
    """
    try:
        with opened(root, folder) as directory:
            names = [name for name in directory.names() if not is_junk(name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise translate(error, str(root / folder)) from error
    matches = pair(names).matches
    return [match.sidecar for match in matches if match.image in images and match.sidecar and not match.conflict]


def still_open(path: str) -> str:
    """Why a pair waits whose file at ``path`` a program has open for writing."""
    hour = "an hour after its last change it is used as it is"
    return f"{one_line(path)} is still open for writing in another program; {hour}"


def digest_of(root: Path, path: str) -> str:
    """SHA-256 of the bytes of a file below ``root``, as `Job.digest`.

    Raises:
        Blocked, Deferred: if it cannot be read.
    """
    try:
        with opened_file(root, path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # IO[bytes] has no readinto
    except OSError as error:
        raise translate(error, str(root / path)) from error


def stamp(root: Path, path: str) -> Stamp | None:
    """The current stamp of the file at ``path`` below ``root``, or None if it is gone.

    Raises:
        Blocked, Deferred: if its status cannot be read.
    """
    try:
        folder, _, name = path.rpartition("/")
        with opened(root, folder) as directory:
            status = directory.lstat(name)
            return _stamp(status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translate(error, str(root / path)) from error


def _stamp(size: int, mtime_ns: int) -> Stamp:
    return Stamp(size, _wrapped(mtime_ns))


def _stamp_in(folder: _Folder, name: str) -> Stamp:
    status = folder.files[name]
    return _stamp(status.size, status.mtime_ns)


def _has_stamp(status: FileStatus, stamp: Stamp) -> bool:
    return status.size == stamp.size and _wrapped(status.mtime_ns) == stamp.mtime_ns


def _wrapped(mtime_ns: int) -> int:
    """Some file systems have dates that need more than the 64 bits of a database column; these wrap around."""
    return (mtime_ns + _HALF_RANGE) % (2 * _HALF_RANGE) - _HALF_RANGE


def _file_status(status: os.stat_result) -> FileStatus:
    return FileStatus(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _why_empty(name: str, seconds: float) -> str:
    """That a file is empty, and what that means after it was so for this long."""
    why = f"{one_line(name)} is still empty"
    if seconds < _LONG_EMPTY_SECONDS:
        return why
    return f"{why}. Write it; or, if a cloud service keeps it online only, make it available offline there"


def _reasons_to_wait(folder: _Folder, meaning: _Meaning) -> dict[str, str]:
    """The names in a folder that are not part of a pair, each with the reason."""
    return {
        **meaning.unused,
        **dict.fromkeys(
            meaning.pairing.pause_files if folder.path else (), "stops submissions only at the top of the inbox"
        ),
        **{
            name: f"is {kind}, which is never opened; put the file itself here"
            for name, kind in folder.special.items()
            if folder.path or not is_pause_name(name)
        },
        **folder.unreadable,
    }


def _pair(folder: _Folder, match: Match) -> Pair:
    sidecar_stamp = _stamp_in(folder, match.sidecar) if match.sidecar else None
    return Pair(folder.path, match.image, _stamp_in(folder, match.image), match.sidecar, sidecar_stamp)


def _is_same(before: Pair, folder: _Folder, match: Match) -> bool:
    """Whether a pair of this folder is as it was before. Most are, and to make a `Pair` of each would take longer."""
    files, stamp = folder.files, before.sidecar_stamp
    if match.sidecar != before.sidecar or not _has_stamp(files[match.image], before.image_stamp):
        return False
    return match.sidecar is None or (stamp is not None and _has_stamp(files[match.sidecar], stamp))
