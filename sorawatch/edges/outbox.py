"""Files on their way out: into the outbox, ``processed`` and ``errors``, and back into the inbox.

A file appears under its visible name whole or not at all, and never over another. What was chosen is written
down first (the *intent*), so that after a crash the same call carries on instead of placing a second copy.

Publishing is ``link`` where links are to be had; elsewhere an empty file made with ``O_EXCL`` reserves the name
and a rename replaces it.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sorawatch.core.fsfaults import translate
from sorawatch.core.naming import numbered
from sorawatch.errors import Deferred

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}

_choosing = threading.Lock()
_reserved: set[Path] = set()


@dataclass(frozen=True, slots=True)
class Item:
    """One file to place: where it is, and the name it would like to have."""

    source: Path
    name: str
    keep: bool = False
    """Leave the source where it is, a copy being wanted."""


def place(items: Sequence[Item], root: Path, folder: str, intent: Path) -> tuple[str, ...]:
    """Put ``items`` side by side into ``root/folder``, under their names or all with the same free number.

    Calling it again with the same ``intent`` finishes what a crash cut short. Sources that are gone were placed
    before, or taken away by somebody; either way there is nothing to do for them.

    Returns:
        The names given to all that this intent is about, whether by this call or before.

    Raises:
        Blocked, Deferred: if the file system does not let us; nothing is lost, call again.
    """
    target = root / folder
    try:
        _make_below(root, target)
        planned = _read_intent(intent)
        again = planned is not None
        with _names(items, target, planned) as names:
            if not again:
                write_durably(intent, json.dumps(names).encode())
            for item in items:
                _place_one(item, target / names.get(item.name, item.name), again=again)
        return tuple(names.values())
    except FileExistsError as error:
        intent.unlink(missing_ok=True)
        raise Deferred(f"{error.filename2 or target} was taken meanwhile; another name will be found") from error
    except OSError as error:
        raise translate(error, str(target)) from error


def write_durably(path: Path, data: bytes) -> None:
    """Write a whole file and its name to disk: temporary name, fsync, rename, fsync of the folder.

    Raises:
        OSError: as the system calls do.
    """
    temporary = path.with_name(f".{path.name}.part")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Write a folder's entries to disk; file systems that cannot are taken at their word."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(descriptor)


def _make_below(root: Path, target: Path) -> None:
    """Make subfolders, but never ``root``: a root that is missing is a share that is not mounted."""
    os.stat(root)
    if not target.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        fsync_folder(target.parent)


def _read_intent(intent: Path) -> dict[str, str] | None:
    try:
        return dict(json.loads(intent.read_bytes()))
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _names(items: Sequence[Item], target: Path, planned: dict[str, str] | None) -> Iterator[dict[str, str]]:
    """The name to give for each one wanted, such that no other thread chooses it meanwhile."""
    wanted = [item.name for item in items]
    with _choosing:
        names = planned or next(
            dict(zip(wanted, given, strict=True))
            for given in numbered(wanted)
            if not any((target / name) in _reserved or os.path.lexists(target / name) for name in given)
        )
        paths = {target / name for name in names.values()}
        _reserved.update(paths)
    try:
        yield names
    finally:
        with _choosing:
            _reserved.difference_update(paths)


def _place_one(item: Item, target: Path, *, again: bool) -> None:
    try:
        source = os.lstat(item.source)
    except FileNotFoundError:
        return
    if not (again and _is_there(item.source, source, target)):
        if again:
            _drop_placeholder(target)
        _publish(item, target)
        fsync_folder(target.parent)
    if not item.keep:
        os.unlink(item.source)
        fsync_folder(item.source.parent)


def _is_there(path: Path, source: os.stat_result, target: Path) -> bool:
    """Whether an earlier call published ``path`` at ``target`` already."""
    try:
        there = os.lstat(target)
    except FileNotFoundError:
        return False
    if os.path.samestat(source, there):
        return True
    return source.st_size == there.st_size and filecmp.cmp(path, target, shallow=False)


def _drop_placeholder(target: Path) -> None:
    """Take back the empty file that an earlier call left: the name was free when that call planned it."""
    with contextlib.suppress(FileNotFoundError):
        if os.lstat(target).st_size == 0:
            os.unlink(target)


def _publish(item: Item, target: Path) -> None:
    try:
        os.link(item.source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if item.keep or error.errno == errno.EXDEV:
            _publish_copy(item.source, target)
        else:
            _replace_placeholder(item.source, target)


def _publish_copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".sorawatch-{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(source, "rb") as reader, open(temporary, "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        with contextlib.suppress(OSError):
            shutil.copystat(source, temporary, follow_symlinks=False)
        try:
            os.link(temporary, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _replace_placeholder(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _replace_placeholder(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(source, target)
    except OSError:
        os.unlink(target)
        raise
