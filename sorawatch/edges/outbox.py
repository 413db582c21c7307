"""Places files in the outbox, in ``processed`` and ``errors``, and back in the inbox.

A file appears under its visible name whole or not at all, and never replaces another. The chosen names are written
to disk first (the *intent*), so that after a crash the same call continues instead of placing a second copy.

Files are moved with ``renameat2`` and ``RENAME_NOREPLACE``, so that a file is never in two places. Copies are
published with ``link``. If a file system has neither, an empty file made with ``O_EXCL`` reserves the name, and a
rename replaces it. Folders are open all the time, so that no link below the roots is followed.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sorawatch.core.disk_reserve import room
from sorawatch.core.naming import first_free, one_line
from sorawatch.core.os_errors import translate
from sorawatch.core.permissions import Permissions
from sorawatch.core.picture_limits import MAX_PICTURE_BYTES
from sorawatch.edges.directories import Directory, NotAFile, is_temporary, opened, set_permissions, temporary_name
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_COPY_INSTEAD = {errno.EXDEV, errno.EIO, errno.ENOSYS}
"""Errors of ``link`` after which a copy is published instead of renaming the file: between disks, and on FUSE file
systems without links, such as rclone's. Their write cache knows the reserved name as an empty file: it would later
overwrite a file that was renamed to it with zero bytes."""
_ACCESS_ERRORS = {errno.EACCES, errno.EPERM}
_BLOCK = 1 << 20

_UNCHANGED = Permissions()

_reservations = threading.Condition()
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
    root: Path | None = None
    """The folder below which no link is followed on the way to the source. None: the folder of the source."""


@dataclass(frozen=True, slots=True)
class _Intent:
    """What was written to disk before anything was placed."""

    names: dict[str, str] = field(default_factory=dict)
    """The names chosen, by the names wanted."""
    temporary: dict[str, str] = field(default_factory=dict)
    """The random names of temporary copies, by the names wanted."""


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
        Blocked, Deferred: if the file system refuses, or a link is in the way. Nothing is lost; call again.
    """
    path = root / folder
    try:
        with opened(root, folder, access) as target:
            planned = _read_intent(intent)
            with _names(items, target, planned) as names:
                missing = set()
                if names != planned:
                    _write_intent(intent, names)
                for number, item in enumerate(items):
                    placing = _Placing(item, target, names.names[item.name], names.temporary[item.name])
                    try:
                        is_there = placing.place(access, is_repeated=item.name in planned.names)
                    except FileExistsError as error:
                        _forget_names(intent, names, items[number:])
                        raise Deferred(f"{path / placing.given} was just taken by somebody else") from error
                    if not is_there:
                        missing.add(item.name)
        return tuple(given for name, given in names.names.items() if name not in missing)
    except OSError as error:
        raise translate(error, str(_path_for_message(error, path))) from error


def _path_for_message(error: OSError, target: Path) -> Path:
    """The path that the message should name: the folder that refuses access, or the folder of a temporary file."""
    if error.errno in _ACCESS_ERRORS:
        folders = [Path(os.fsdecode(name)).parent for name in (error.filename, error.filename2) if name]
        refusing = (folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True))
        return next(refusing, Path(os.fsdecode(error.filename or target)))
    path = Path(os.fsdecode(error.filename2 or error.filename or target))
    return path.parent if is_temporary(path.name) else path


def free_name(wanted: str, root: Path, folder: str, access: Permissions = _UNCHANGED) -> str:
    """``wanted``, or the first name with a number that is not taken in ``root/folder`` now.

    Raises:
        Blocked, Deferred: as `place`.
    """
    path = root / folder
    try:
        with opened(root, folder, access) as target:
            if not target.has(wanted):
                return wanted
            (name,) = first_free((wanted,), lambda names: not any(target.has(name) for name in names))
            return name
    except OSError as error:
        raise translate(error, str(_path_for_message(error, path))) from error


def is_taken(name: str, root: Path, folder: str, source: Path, access: Permissions = _UNCHANGED) -> bool:
    """Whether ``root/folder`` has a file of this name that is not a copy of ``source``.

    Raises:
        Blocked, Deferred: as `place`.
    """
    path = root / folder
    try:
        with opened(root, folder, access) as target, open(source, "rb") as ours:
            try:
                with target.read(name) as theirs:
                    return not _have_same_bytes(ours, theirs)
            except FileNotFoundError:
                return False
            except NotAFile:
                return True
    except OSError as error:
        raise translate(error, str(_path_for_message(error, path))) from error


def plan(intent: Path, wanted: str, name: str) -> None:
    """Let `place` give ``name`` to the item ``wanted``, or find that it has it already, unless it has begun to.

    Raises:
        OSError: as the system calls do.
    """
    if wanted not in _read_intent(intent).names:
        _write_intent(intent, _Intent({wanted: name}, {wanted: temporary_name()}))


def write_durably(path: Path, data: bytes) -> None:
    """Write a whole file of our own and its name to disk: temporary name, fsync, rename, fsync of the folder.

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
    with opened(folder) as directory:
        directory.fsync()


def _read_intent(intent: Path) -> _Intent:
    """What was chosen before; empty if nothing was."""
    try:
        written = json.loads(intent.read_bytes())
    except FileNotFoundError:
        return _Intent()
    if isinstance(written.get("names"), dict):
        return _Intent(written["names"], written["temporary"])
    # Before version 1 only the names were written.
    return _Intent(written)


def _write_intent(intent: Path, names: _Intent) -> None:
    write_durably(intent, json.dumps({"names": names.names, "temporary": names.temporary}).encode())


def _forget_names(intent: Path, names: _Intent, unplaced: Sequence[Item]) -> None:
    """Forget the names of items that are not placed yet, so that the next call chooses new ones."""
    wanted = {item.name for item in unplaced}
    placed = {name: given for name, given in names.names.items() if name not in wanted}
    if placed:
        _write_intent(intent, _Intent(placed, names.temporary))
    else:
        intent.unlink(missing_ok=True)


@contextlib.contextmanager
def _names(items: Sequence[Item], target: Directory, planned: _Intent) -> Iterator[_Intent]:
    """The names to give, by the names wanted. No other thread chooses them during the block."""
    names = dict(planned.names)
    if not _reserve({target.path / name for name in names.values()}):
        raise Deferred(f"another file is just being placed at {target.path} under the same name")
    try:
        new = [item for item in items if item.name not in names]
        names |= _choose([item.name for item in new], [item.spare_name or item.name for item in new], target)
        temporary = {item.name: temporary_name() for item in items}
        yield _Intent(names, temporary | planned.temporary)
    finally:
        with _reservations:
            _reserved.difference_update(target.path / name for name in names.values())
            _reservations.notify_all()


def _choose(wanted: Sequence[str], spare: Sequence[str], target: Directory) -> dict[str, str]:
    """Choose and reserve free names: ``wanted``, else ``spare``, else ``wanted`` with a number."""
    if not wanted:
        return {}
    while True:
        # Two pictures may have the same sidecar. It keeps its name, whichever of them is placed first.
        _wait_for_others({target.path / name for name in wanted})
        given = next((names for names in (tuple(wanted), tuple(spare)) if _is_free(names, target)), None)
        given = given or first_free(wanted, lambda names: _is_free(names, target))
        # Another thread may have chosen them since.
        if _reserve({target.path / name for name in given}):
            return dict(zip(wanted, given, strict=True))


def _wait_for_others(paths: set[Path]) -> None:
    """Wait until no other thread is about to publish one of these."""
    with _reservations:
        _reservations.wait_for(lambda: _reserved.isdisjoint(paths))


def _is_free(names: Sequence[str], target: Directory) -> bool:
    with _reservations:
        if not _reserved.isdisjoint(target.path / name for name in names):
            return False
    return not any(target.has(name) for name in names)


def _reserve(paths: set[Path]) -> bool:
    with _reservations:
        if not _reserved.isdisjoint(paths):
            return False
        _reserved.update(paths)
        return True


@dataclass(frozen=True, slots=True)
class _Placing:
    """One item on its way into an open folder."""

    item: Item
    target: Directory
    given: str
    """Its name there."""
    temporary: str
    """The name of a temporary copy there."""

    def place(self, access: Permissions, *, is_repeated: bool) -> bool:
        """Place the file. Returns False if there is nothing to place, and nothing was placed before.

        Args:
            is_repeated: an earlier call may have been interrupted.
        """
        if is_repeated:
            self.target.unlink(self.temporary, missing_ok=True)
            self._remove_reservation()
        root = self.item.root or self.item.source.parent
        try:
            with opened(root, self._source_folder(root)) as source:
                self._place_from(source, source.lstat(self.item.source.name), access, is_repeated=is_repeated)
        except (FileNotFoundError, NotADirectoryError) as error:
            if error.filename is None or not str(self.item.source).startswith(str(error.filename)):
                raise
            return is_repeated and self.target.has(self.given)
        return True

    def _source_folder(self, root: Path) -> str:
        folder = self.item.source.parent.relative_to(root)
        return "" if folder == Path() else str(folder)

    def _place_from(self, source: Directory, status: os.stat_result, access: Permissions, *, is_repeated: bool) -> None:
        name = self.item.source.name
        if self.item.keep:
            with source.read(name) as file:
                set_permissions(file.fileno(), access.file_mode, access.group)
        placed = is_repeated and self._is_published(source)
        if not (placed or self.item.keep) and source.move(name, self.target, self.given):
            self.target.fsync()
            source.fsync()
            return
        if not placed:
            self._publish(source)
        self.target.fsync()
        if not self.item.keep:
            self._remove(source, status)

    def _is_published(self, source: Directory) -> bool:
        """Whether an earlier call already published the file."""
        try:
            one, other = source.lstat(self.item.source.name), self.target.lstat(self.given)
            if os.path.samestat(one, other):
                return True
            if one.st_size != other.st_size or not (stat.S_ISREG(one.st_mode) and stat.S_ISREG(other.st_mode)):
                return False
            with source.read(self.item.source.name) as first, self.target.read(self.given) as second:
                return _have_same_bytes(first, second)
        except FileNotFoundError:
            return False

    def _remove(self, source: Directory, placed: os.stat_result) -> None:
        """Remove the source of a placed file, unless it was replaced by something newer."""
        name = self.item.source.name
        try:
            if not _is_same_content(source.lstat(name), placed) and not self._is_target(source):
                return
            source.unlink(name)
        except FileNotFoundError:
            return
        source.fsync()

    def _is_target(self, source: Directory) -> bool:
        return os.path.samestat(source.lstat(self.item.source.name), self.target.lstat(self.given))

    def _publish(self, source: Directory) -> None:
        refused = self._link(source, self.item.source.name)
        if refused and (self.item.keep or refused in _COPY_INSTEAD or not self._rename(source, self.item.source.name)):
            self._publish_copy(source)

    def _publish_copy(self, source: Directory) -> None:
        try:
            with self.target.create(self.temporary) as writer:
                self._copy(source, writer)
                try:
                    self.target.link_open_file(writer, self.given)
                except FileNotFoundError as error:
                    raise self._replaced() from error
                except OSError as error:
                    if error.errno not in _NO_LINKS | _COPY_INSTEAD:
                        raise
                    if not self._is_copy(writer, self.temporary):
                        raise self._replaced() from error
                    self._rename(self.target, self.temporary)
                if not self._is_copy(writer, self.given):
                    raise self._replaced()
        finally:
            self.target.unlink(self.temporary, missing_ok=True)

    def _is_copy(self, writer: IO[bytes], name: str) -> bool:
        """Whether ``name`` is still the file that we wrote."""
        if os.path.samestat(os.fstat(writer.fileno()), self.target.lstat(name)):
            return True
        # On FUSE file systems such as sshfs, each name has an inode of its own.
        with self.target.read(name) as found:
            return _have_same_bytes(writer, found)

    def _replaced(self) -> Deferred:
        return Deferred(f"a temporary copy in {self.target.path} was replaced by somebody else", affects_all=True)

    def _copy(self, source: Directory, writer: IO[bytes]) -> None:
        """Copy to disk and compare, since on shares a size can be outdated and a writer may continue."""
        with source.read(self.item.source.name) as reader:
            before = os.fstat(reader.fileno())
            self._copy_data(reader, writer, before.st_size)
            _copy_attributes(before, writer.fileno())
            os.fsync(writer.fileno())
            is_same = _have_same_bytes(reader, writer) and _is_same_content(os.fstat(reader.fileno()), before)
        if not is_same:
            raise Deferred(f"{self.item.source} changed while it was copied")

    def _copy_data(self, reader: IO[bytes], writer: IO[bytes], size: int) -> None:
        """Copy the first ``size`` bytes, but leave holes, which other people can make as large as they like.

        Raises:
            OSError: if the disk is full.
            Deferred: if this file alone is too large for it.
        """
        left = self._room()
        for start, end in _data_ranges(reader.fileno(), size):
            left -= end - start
            if left < 0:
                # A file that cannot be a picture says nothing about the disk, so it stops nobody else.
                if size > MAX_PICTURE_BYTES and not self.item.keep:
                    where = one_line(str(self.target.path))
                    raise Deferred(f"there is no room for {self.item.source} on the disk of {where}", affects_all=True)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.target.path))
            writer.seek(start)
            for position in range(start, end, _BLOCK):
                writer.write(_read_at(reader, position, min(_BLOCK, end - position)))
        writer.flush()
        os.ftruncate(writer.fileno(), size)

    def _room(self) -> int:
        """How many bytes may be written to the disk of the target, which may have the state too."""
        disk = os.fstatvfs(self.target.descriptor)
        return room(disk.f_frsize * disk.f_bavail, disk.f_frsize * disk.f_blocks)

    def _link(self, source: Directory, name: str) -> int:
        """Link without ever replacing a file. Returns 0, or the error number if the file system has no links."""
        try:
            source.link(name, self.target, self.given)
        except FileExistsError:
            # An NFS server that gets the request twice reports this about the link that it made the first time.
            if not self._is_linked(source, name):
                raise
        except OSError as error:
            if error.errno == errno.EIO and self.target.has(self.given):
                # The link was made in spite of the error, or the name is taken.
                if not self._is_linked(source, name):
                    taken = str(self.target.path / self.given)
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), taken) from error
                return 0
            if error.errno not in _NO_LINKS | _COPY_INSTEAD:
                raise
            return error.errno or 0
        return 0

    def _is_linked(self, source: Directory, name: str) -> bool:
        return os.path.samestat(source.lstat(name), self.target.lstat(self.given))

    def _rename(self, source: Directory, name: str) -> bool:
        """Rename over an empty file that reserves the name; False if source and target are on different disks."""
        self.target.create(self.given).close()
        try:
            source.replace(name, self.target, self.given)
        except OSError as error:
            # A rename can succeed in spite of an error, so remove the target only if it is still empty.
            if self._is_empty():
                self.target.unlink(self.given)
            if error.errno == errno.EXDEV:
                return False
            raise
        return True

    def _remove_reservation(self) -> None:
        """Remove the empty file with which an earlier call reserved the name, if this file system has no links."""
        with contextlib.suppress(FileNotFoundError):
            if self._is_empty() and self._has_no_links():
                self.target.unlink(self.given)
        self.target.unlink(self.temporary, missing_ok=True)

    def _has_no_links(self) -> bool:
        try:
            self.target.link(self.given, self.target, self.temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS | _COPY_INSTEAD:
                raise
            return True
        return False

    def _is_empty(self) -> bool:
        status = self.target.lstat(self.given)
        return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _copy_attributes(status: os.stat_result, descriptor: int) -> None:
    """Give an open file the times, the mode and the group of another, as far as its file system allows."""
    with contextlib.suppress(OSError):
        os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
    with contextlib.suppress(OSError):
        # Without the bits by which a program runs as its owner: the copy belongs to the daemon's user.
        os.fchmod(descriptor, status.st_mode & 0o777)
    with contextlib.suppress(OSError):
        os.fchown(descriptor, -1, status.st_gid)


def _is_same_content(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether this is the same file, and unchanged."""
    return os.path.samestat(one, other) and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _have_same_bytes(first: IO[bytes], second: IO[bytes]) -> bool:
    """Whether two files have the same size and bytes. Where both have a hole, nothing is read."""
    size = os.fstat(first.fileno()).st_size
    if os.fstat(second.fileno()).st_size != size:
        return False
    for start, end in itertools.chain.from_iterable(_data_ranges(each.fileno(), size) for each in (first, second)):
        for position in range(start, end, _BLOCK):
            length = min(_BLOCK, end - position)
            if _read_at(first, position, length) != _read_at(second, position, length):
                return False
    return True


def _read_at(file: IO[bytes], position: int, length: int) -> bytes:
    """``length`` bytes of a file, or fewer at its end. Not by its own position, which the search for holes moves."""
    data = b""
    while len(data) < length and (more := os.pread(file.fileno(), length - len(data), position + len(data))):
        data += more
    return data


def _data_ranges(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of an open file that are no holes, as the positions of their first byte and after their last one."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            # The file system knows nothing of holes.
            yield end, size
            return
        yield start, end
