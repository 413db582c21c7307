"""Places files in the outbox, in ``processed`` and ``errors``, and back in the inbox.

A file appears under its visible name whole or not at all, and never replaces another. The chosen names are written
to disk first (the *intent*), so that after a crash the same call continues instead of placing a second copy.

Files are moved with ``renameat2`` and ``RENAME_NOREPLACE``, so that a file is never in two places. Copies are
published with ``link``. If a file system has neither, an empty file made with ``O_EXCL`` reserves the name, and a
rename replaces it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import itertools
import json
import os
import shutil
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.core.naming import numbered
from sorawatch.core.os_errors import translate
from sorawatch.core.permissions import Permissions
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_COPY_INSTEAD = {errno.EXDEV, errno.EIO, errno.ENOSYS}
"""Errors of ``link`` after which a copy is published instead of renaming the file: between disks, and on FUSE file
systems without links, such as rclone's. Their write cache knows the reserved name as an empty file: it would later
overwrite a file that was renamed to it with zero bytes."""
_PREFIX, _SUFFIX = ".sorawatch-", ".part"
_ACCESS_ERRORS = {errno.EACCES, errno.EPERM}
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_BLOCK = 1 << 20

_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1
"""From <fcntl.h> and <stdio.h>; the module ``os`` has no rename that never replaces a file."""

_UNCHANGED = Permissions()

_reservation_lock = threading.Lock()
_reserved: set[Path] = set()
"""Targets that a thread is about to publish, so that no other thread chooses them."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file to place, and the name that it should get."""

    source: Path
    name: str
    keep: bool = False
    """Whether to place a copy and leave the source where it is."""
    spare_name: str = ""
    """The name to use instead where ``name`` alone is taken, so that the others keep theirs."""


def place(
    items: Sequence[Item], root: Path, folder: str, intent: Path, access: Permissions = _UNCHANGED
) -> tuple[str, ...]:
    """Place ``items`` together in ``root/folder``, under their names, or all with the same number if a name is taken.

    A second call with the same ``intent`` completes what a crash interrupted. Sources that are gone were placed before
    or removed by somebody, and are skipped. A source that was replaced in the meantime is another file and stays.

    Args:
        access: permissions for new folders and for copies (``keep``), which are our own files. Moved files keep theirs.

    Returns:
        The names of all files of this intent, whether placed by this call or before, without those that were removed.

    Raises:
        Blocked, Deferred: if the file system refuses. Nothing is lost; call again.
    """
    target = root / folder
    try:
        make_below(root, target, access)
        planned = _read_intent(intent)
        with _names(items, target, planned) as names:
            if names != planned:
                write_durably(intent, json.dumps(names).encode())
            missing = set()
            for number, item in enumerate(items):
                is_repeated = item.name in planned
                if item.keep:
                    set_permissions(item.source, access.file_mode, access.group)
                place_at, temporary = target / names[item.name], _temporary(target, intent, item)
                try:
                    if not _place_one(item, place_at, temporary, is_repeated=is_repeated):
                        missing.add(item.name)
                except FileExistsError as error:
                    _forget_names(intent, names, items[number:])
                    raise Deferred(f"{target / names[item.name]} was just taken by somebody else") from error
        return tuple(given for name, given in names.items() if name not in missing)
    except OSError as error:
        raise translate(error, str(_path_for_message(error, target))) from error


def _path_for_message(error: OSError, target: Path) -> Path:
    """The path that the message should name: the folder that refuses access, or the folder of a temporary file."""
    if error.errno in _ACCESS_ERRORS:
        folders = [Path(os.fsdecode(name)).parent for name in (error.filename, error.filename2) if name]
        refusing = (folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True))
        return next(refusing, Path(os.fsdecode(error.filename or target)))
    path = Path(os.fsdecode(error.filename2 or error.filename or target))
    return path.parent if _is_temporary(path) else path


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
    """Write the entries of a folder to disk. File systems that do not support this are accepted."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise
    finally:
        os.close(descriptor)


def set_permissions(path: Path, mode: int | None, group: int | None) -> None:
    """Set the permissions and group of a file or folder, as far as its file system and our rights allow."""
    if group is not None:
        with contextlib.suppress(OSError):
            os.chown(path, -1, group)
    if mode is not None:
        with contextlib.suppress(OSError):
            # Keep the setgid bit of a folder.
            path.chmod(mode | (path.stat().st_mode & stat.S_ISGID))


def make_below(root: Path, target: Path, access: Permissions) -> None:
    """Make subfolders, but never ``root``: if it is missing, its share is not mounted."""
    missing = [folder for folder in (target, *target.parents) if root in folder.parents and not folder.is_dir()]
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError as error:
            if not folder.is_dir():
                raise Deferred(f"{folder} is in the way: a folder is needed there. Rename or remove it") from error
        else:
            set_permissions(folder, access.dir_mode, access.group)
        fsync_folder(folder.parent)


def _read_intent(intent: Path) -> dict[str, str]:
    """The names chosen before, by the names wanted; empty if there are none."""
    try:
        return dict(json.loads(intent.read_bytes()))
    except FileNotFoundError:
        return {}


def _forget_names(intent: Path, names: dict[str, str], unplaced: Sequence[Item]) -> None:
    """Forget the names of items that are not placed yet, so that the next call chooses new ones."""
    wanted = {item.name for item in unplaced}
    placed = {name: given for name, given in names.items() if name not in wanted}
    if placed:
        write_durably(intent, json.dumps(placed).encode())
    else:
        intent.unlink(missing_ok=True)


def _temporary(target: Path, intent: Path, item: Item) -> Path:
    """Where a copy is written. The same call after a crash overwrites what the first one left there."""
    key = hashlib.sha256(os.fsencode(intent) + b"\0" + os.fsencode(item.name)).hexdigest()[:16]
    return target / f"{_PREFIX}{key}{_SUFFIX}"


def _is_temporary(path: Path) -> bool:
    """Whether this is the name of a temporary copy."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


@contextlib.contextmanager
def _names(items: Sequence[Item], target: Path, planned: dict[str, str]) -> Iterator[dict[str, str]]:
    """The names to give, by the names wanted. No other thread chooses them during the block."""
    names = dict(planned)
    if not _reserve({target / name for name in names.values()}):
        raise Deferred(f"another file is just being placed at {target} under the same name")
    try:
        wanted = [item.name for item in items if item.name not in names]
        spare = [item.spare_name or item.name for item in items if item.name not in names]
        names |= _choose(wanted, spare, target)
        yield names
    finally:
        with _reservation_lock:
            _reserved.difference_update(target / name for name in names.values())


def _choose(wanted: Sequence[str], spare: Sequence[str], target: Path) -> dict[str, str]:
    """Choose and reserve free names: ``wanted``, else ``spare``, else ``wanted`` with a number."""
    for given in itertools.chain([tuple(wanted), tuple(spare)], itertools.islice(numbered(wanted), 1, None)):
        paths = {target / name for name in given}
        if _reserve(paths):
            if not any(os.path.lexists(path) for path in paths):
                return dict(zip(wanted, given, strict=True))
            with _reservation_lock:
                _reserved.difference_update(paths)
    raise AssertionError("numbers do not end")


def _reserve(paths: set[Path]) -> bool:
    with _reservation_lock:
        if not _reserved.isdisjoint(paths):
            return False
        _reserved.update(paths)
        return True


def _place_one(item: Item, target: Path, temporary: Path, *, is_repeated: bool) -> bool:
    """Place one file. Returns False if there is nothing to place, and nothing was placed before."""
    if is_repeated:
        temporary.unlink(missing_ok=True)
        _remove_reservation(target, temporary)
    try:
        source = os.lstat(item.source)
    except (FileNotFoundError, NotADirectoryError):
        return is_repeated and os.path.lexists(target)
    placed = is_repeated and _is_published(item.source, target)
    if not (placed or item.keep) and _move(item.source, target):
        fsync_folder(target.parent)
        fsync_folder(item.source.parent)
        return True
    if not placed:
        _publish(item, target, temporary)
    fsync_folder(target.parent)
    if not item.keep:
        _remove(item.source, source, target)
    return True


def _move(source: Path, target: Path) -> bool:
    """Rename without ever replacing a file; False if the system cannot do that in one step."""
    if _renameat2 is None:
        return False
    if _renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_LINKS | {errno.EINVAL}:
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def _is_published(source: Path, target: Path) -> bool:
    """Whether an earlier call already published ``source`` at ``target``."""
    try:
        return _is_same(source, target) or (
            os.lstat(source).st_size == os.lstat(target).st_size and _has_same_bytes(source, target)
        )
    except FileNotFoundError:
        return False


def _remove(source: Path, placed: os.stat_result, target: Path) -> None:
    """Remove the source of a placed file, unless it was replaced by something newer."""
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
    if refused and (item.keep or refused in _COPY_INSTEAD or not _rename(item.source, target)):
        _publish_copy(item.source, target, temporary)


def _publish_copy(source: Path, target: Path, temporary: Path) -> None:
    try:
        _copy(source, temporary)
        if _link(temporary, target):
            _rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> int:
    """Link without ever replacing a file. Returns 0, or the error number if the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        # An NFS server that gets the request twice reports this about the link that it made the first time.
        if not _is_same(source, target):
            raise
    except OSError as error:
        if error.errno == errno.EIO and os.path.lexists(target):
            # The link was made in spite of the error, or the name is taken.
            if not _is_same(source, target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            return 0
        if error.errno not in _NO_LINKS | _COPY_INSTEAD:
            raise
        return error.errno or 0
    return 0


def _remove_reservation(target: Path, temporary: Path) -> None:
    """Remove the empty file with which an earlier call reserved the name, if this file system has no links."""
    with contextlib.suppress(FileNotFoundError):
        if _is_empty(target) and _link(target, temporary):
            target.unlink()
    temporary.unlink(missing_ok=True)


def _copy(source: Path, temporary: Path) -> None:
    """Copy to disk and compare, since on shares a size can be outdated and a writer may continue."""
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
    """Rename over an empty file that reserves the name; False if source and target are on different disks."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(source, target)
    except OSError as error:
        # A rename can succeed in spite of an error, so remove the target only if it is still empty.
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
