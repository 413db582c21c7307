"""Files on their way out: into the outbox, ``processed`` and ``errors``, and back into the inbox.

A file appears under its visible name whole or not at all, and never over another. What was chosen is written
down first (the *intent*), so that after a crash the same call carries on instead of placing a second copy.

Moving is ``renameat2`` with ``RENAME_NOREPLACE``, so that a file is never in two places, publishing a copy is
``link``. Where a file system has neither, an empty file made with ``O_EXCL`` reserves the name and a rename
replaces it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sorawatch.core.naming import numbered
from sorawatch.core.os_errors import translate
from sorawatch.core.permissions import Permissions
from sorawatch.errors import Deferred

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_COPIED = {errno.EXDEV, errno.EIO, errno.ENOSYS}
"""Errors of a link after which a copy is published, not the file renamed: across disks, and in FUSE file systems that
have no links, such as rclone's. Those may cache what is written: of a file that was renamed over the empty one that
reserves its name, the cache would later write the nothing that it knows."""
_PREFIX, _SUFFIX = ".sorawatch-", ".part"
_REFUSALS = {errno.EACCES, errno.EPERM}
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_BLOCK = 1 << 20

_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
"""From <fcntl.h> and <stdio.h>; ``os`` has no rename that replaces nothing."""

_UNCHANGED = Permissions()

_choosing = threading.Lock()
_reserved: set[Path] = set()
"""Targets that some thread is about to publish, so that no other chooses them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file to place: where it is, and the name it would like to have."""

    source: Path
    name: str
    keep: bool = False
    """Leave the source where it is, a copy being wanted."""


def place(
    items: Sequence[Item], root: Path, folder: str, intent: Path, access: Permissions = _UNCHANGED
) -> tuple[str, ...]:
    """Put ``items`` side by side into ``root/folder``, under their names or all with the same free number.

    Calling it again with the same ``intent`` finishes what a crash cut short. Sources that are gone were placed
    before, or taken away by somebody; either way there is nothing to do for them. A source that somebody replaced
    meanwhile stays: it is another file.

    Args:
        access: of the folders that are made, and of items to be kept, which are files of ours; moved ones keep theirs.

    Returns:
        The names given to all that this intent is about, whether by this call or before.

    Raises:
        Blocked, Deferred: if the file system does not let us; nothing is lost, call again.
    """
    target = root / folder
    try:
        _make_below(root, target, access)
        planned = _read_intent(intent)
        with _names(items, target, planned) as names:
            if names != planned:
                write_durably(intent, json.dumps(names).encode())
            for number, item in enumerate(items):
                again = item.name in planned
                if item.keep:
                    grant(item.source, access.file_mode, access.group)
                try:
                    _place_one(item, target / names[item.name], _temporary(target, intent, item), again=again)
                except FileExistsError as error:
                    _plan_anew(intent, names, items[number:])
                    raise Deferred(f"{target / names[item.name]} was just taken by somebody else") from error
        return tuple(names.values())
    except OSError as error:
        raise translate(error, str(_culprit(error, target))) from error


def _culprit(error: OSError, target: Path) -> Path:
    """What a person is to look after: of a refusal the folder that refuses, of a name for an instant its folder."""
    if error.errno in _REFUSALS:
        folders = [Path(os.fsdecode(name)).parent for name in (error.filename, error.filename2) if name]
        refusing = (folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True))
        return next(refusing, Path(os.fsdecode(error.filename or target)))
    hit = Path(os.fsdecode(error.filename2 or error.filename or target))
    return hit.parent if _is_temporary(hit) else hit


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
        if error.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)


def grant(path: Path, mode: int | None, group: int | None) -> None:
    """Give a file or folder its permissions and group, as far as its file system and our rights allow."""
    if group is not None:
        with contextlib.suppress(OSError):
            os.chown(path, -1, group)
    if mode is not None:
        with contextlib.suppress(OSError):
            # A folder that hands its group on goes on doing so.
            path.chmod(mode | (path.stat().st_mode & stat.S_ISGID))


def _make_below(root: Path, target: Path, access: Permissions) -> None:
    """Make subfolders, but never ``root``: a root that is missing is a share that is not mounted."""
    missing = [folder for folder in (target, *target.parents) if root in folder.parents and not folder.is_dir()]
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError as error:
            if not folder.is_dir():
                raise Deferred(f"{folder} is in the way: a folder is needed there. Rename or remove it") from error
        else:
            grant(folder, access.dir_mode, access.group)
        fsync_folder(folder.parent)


def _read_intent(intent: Path) -> dict[str, str]:
    """The names chosen before, by the names wanted; empty where none were."""
    try:
        return dict(json.loads(intent.read_bytes()))
    except FileNotFoundError:
        return {}


def _plan_anew(intent: Path, names: dict[str, str], unplaced: Sequence[Item]) -> None:
    """Forget the names of what is not placed yet; what is placed keeps its own."""
    wanted = {item.name for item in unplaced}
    placed = {name: given for name, given in names.items() if name not in wanted}
    if placed:
        write_durably(intent, json.dumps(placed).encode())
    else:
        intent.unlink(missing_ok=True)


def _temporary(target: Path, intent: Path, item: Item) -> Path:
    """Where a copy is written. The same call after a crash writes over what the first one left there."""
    key = hashlib.sha256(os.fsencode(intent) + b"\0" + os.fsencode(item.name)).hexdigest()[:16]
    return target / f"{_PREFIX}{key}{_SUFFIX}"


def _is_temporary(path: Path) -> bool:
    """Whether this is the name of a copy that is still being written."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


@contextlib.contextmanager
def _names(items: Sequence[Item], target: Path, planned: dict[str, str]) -> Iterator[dict[str, str]]:
    """The name to give for each one wanted, such that no other thread chooses it meanwhile."""
    names = dict(planned)
    if not _reserve({target / name for name in names.values()}):
        raise Deferred(f"another file is just being placed at {target} under the same name")
    try:
        wanted = [item.name for item in items if item.name not in names]
        names |= _choose(wanted, target)
        yield names
    finally:
        with _choosing:
            _reserved.difference_update(target / name for name in names.values())


def _choose(wanted: Sequence[str], target: Path) -> dict[str, str]:
    """Free names, reserved."""
    for given in numbered(wanted):
        paths = {target / name for name in given}
        if _reserve(paths):
            if not any(os.path.lexists(path) for path in paths):
                return dict(zip(wanted, given, strict=True))
            with _choosing:
                _reserved.difference_update(paths)
    raise AssertionError("numbers do not end")


def _reserve(paths: set[Path]) -> bool:
    with _choosing:
        if not _reserved.isdisjoint(paths):
            return False
        _reserved.update(paths)
        return True


def _place_one(item: Item, target: Path, temporary: Path, *, again: bool) -> None:
    if again:
        temporary.unlink(missing_ok=True)
        _take_back(target, temporary)
    try:
        source = os.lstat(item.source)
    except (FileNotFoundError, NotADirectoryError):
        return
    placed = again and _is_there(item.source, target)
    if not (placed or item.keep) and _move(item.source, target):
        fsync_folder(target.parent)
        fsync_folder(item.source.parent)
        return
    if not placed:
        _publish(item, target, temporary)
    fsync_folder(target.parent)
    if not item.keep:
        _remove(item.source, source, target)


def _move(source: Path, target: Path) -> bool:
    """Rename, never replacing anything; False where the system cannot do that in one step."""
    if _renameat2 is None:
        return False
    if _renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_LINKS | {errno.EINVAL}:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def _is_there(source: Path, target: Path) -> bool:
    """Whether an earlier call published ``source`` at ``target`` already."""
    try:
        return _is_same(source, target) or (
            os.lstat(source).st_size == os.lstat(target).st_size and _has_same_bytes(source, target)
        )
    except FileNotFoundError:
        return False


def _remove(source: Path, placed: os.stat_result, target: Path) -> None:
    """Remove what was placed, unless something newer has come to lie there since."""
    try:
        now = os.lstat(source)
        is_newer = (now.st_size, now.st_mtime_ns) != (placed.st_size, placed.st_mtime_ns)
        if is_newer and not _is_same(source, target):
            return
        os.unlink(source)
    except FileNotFoundError:
        return
    fsync_folder(source.parent)


def _publish(item: Item, target: Path, temporary: Path) -> None:
    refused = _link(item.source, target)
    if refused and (item.keep or refused in _COPIED or not _rename(item.source, target)):
        _publish_copy(item.source, target, temporary)


def _publish_copy(source: Path, target: Path, temporary: Path) -> None:
    try:
        _copy(source, temporary)
        if _link(temporary, target):
            _rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> int:
    """Link, never replacing anything. Returns 0, or, where there are no links, what the file system says of them."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        # An NFS server that is asked twice says so of the link that it made the first time.
        if not _is_same(source, target):
            raise
    except OSError as error:
        if error.errno == errno.EIO and os.path.lexists(target):
            # It was made all the same, or the name is taken.
            if not _is_same(source, target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            return 0
        if error.errno not in _NO_LINKS | _COPIED:
            raise
        return error.errno or 0
    return 0


def _take_back(target: Path, temporary: Path) -> None:
    """Remove the empty file by which an earlier call reserved the name, as is done only where there are no links."""
    with contextlib.suppress(FileNotFoundError):
        if _is_empty(target) and _link(target, temporary):
            target.unlink()
    temporary.unlink(missing_ok=True)


def _copy(source: Path, temporary: Path) -> None:
    """Copy to disk, and compare: on shares a size can be stale, and a writer may come back."""
    with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW), "rb") as reader, open(temporary, "wb") as writer:
        shutil.copyfileobj(reader, writer, _BLOCK)
        writer.flush()
        with contextlib.suppress(OSError):
            shutil.copystat(source, temporary)
        with contextlib.suppress(OSError):
            os.chown(temporary, -1, os.fstat(reader.fileno()).st_gid)
        os.fsync(writer.fileno())
    if not _has_same_bytes(source, temporary):
        raise Deferred(f"{source} changed while it was copied")


def _rename(source: Path, target: Path) -> bool:
    """Rename without replacing anything but an empty file of ours; False where the two are on different disks."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(source, target)
    except OSError as error:
        # A rename that is said to have failed can have been done all the same: only an empty file is taken back.
        if _is_empty(target):
            os.unlink(target)
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def _is_same(one: Path, other: Path) -> bool:
    return os.path.samestat(os.lstat(one), os.lstat(other))


def _is_empty(path: Path) -> bool:
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _has_same_bytes(one: Path, other: Path) -> bool:
    with open(one, "rb") as first, open(other, "rb") as second:
        while (data := first.read(_BLOCK)) == second.read(_BLOCK):
            if not data:
                return True
    return False
