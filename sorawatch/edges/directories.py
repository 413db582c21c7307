"""Works on files below a folder by directory descriptors, so that no symbolic link below that folder is followed.

People with write access to a share can replace a folder by a link at any moment. A path that is resolved again by each
system call would lead to another place then. A descriptor does not.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from sorawatch.core.naming import one_line
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.core.permissions import Permissions

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK, opening a named pipe waits for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_NO_RENAME = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EINVAL}

_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
_RENAME_NOREPLACE = 1
"""From <stdio.h>; the module ``os`` has no rename that never replaces a file."""

MOST_LEVELS = 64
"""How deep the folders are below the inbox that are used: a search keeps those above each open."""

_PREFIX, _SUFFIX = ".sorawatch-", ".part"

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of(status: os.stat_result) -> str:
    """What a file is that is no regular one, such as "a named pipe"."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")


def temporary_name() -> str:
    """The name of a file while it is written. It cannot be guessed, since others may write to the folder."""
    return f"{_PREFIX}{os.urandom(8).hex()}{_SUFFIX}"


def is_temporary(name: str) -> bool:
    """Whether `temporary_name` gives such names."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


class NotAFile(Deferred):
    """An entry is something else than a regular file, and was not opened. ``kind`` is what it is."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(f"{one_line(str(path))} is {kind}, not a file", affects_all=True)
        self.kind = kind


class Directory:
    """An open directory. Errors of its methods are the `OSError` of the system call, with the whole path."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """``path`` is only used in messages."""
        self.descriptor = descriptor
        self.path = path

    def lstat(self, name: str) -> os.stat_result:
        """The status of an entry. A link is not followed."""
        with self._named(name):
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def has(self, name: str) -> bool:
        """Whether there is an entry of this name, of any kind."""
        with contextlib.suppress(FileNotFoundError):
            self.lstat(name)
            return True
        return False

    def read(self, name: str) -> IO[bytes]:
        """Open a regular file for reading.

        Raises:
            NotAFile: if it is something else.
        """
        with self._named(name):
            try:
                descriptor = os.open(name, _FILE, dir_fd=self.descriptor)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENXIO}:
                    raise self._not_a_file(name, self.lstat(name)) from error
                raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise self._not_a_file(name, status)
        return open(descriptor, "rb")

    def create(self, name: str) -> IO[bytes]:
        """Make a file that did not exist, open for writing and reading."""
        with self._named(name):
            return open(os.open(name, _NEW_FILE, 0o666, dir_fd=self.descriptor), "w+b")

    def write_durably(self, name: str, data: bytes, access: Permissions, temporary: str = "") -> None:
        """Write a whole file of our own and its name to disk, in place of one of that name.

        Args:
            temporary: the name that it has at first, so that the next call removes what a crash has left of it; empty
                for one that cannot be guessed.
        """
        if temporary:
            self.unlink(temporary, missing_ok=True)
        else:
            temporary = temporary_name()
        try:
            with self.create(temporary) as file:
                file.write(data)
                file.flush()
                set_permissions(file.fileno(), access.file_mode, access.group)
                os.fsync(file.fileno())
            self.replace(temporary, self, name)
        finally:
            self.unlink(temporary, missing_ok=True)
        self.fsync()

    def link(self, name: str, target: Directory, given: str) -> None:
        """Make a second name of the same file. It never replaces a file."""
        with self._named(name, target.path / given):
            os.link(name, given, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor, follow_symlinks=False)

    def link_open_file(self, file: IO[bytes], given: str) -> None:
        """Give an open file a name here. It never replaces a file, and needs another name that was not removed."""
        with self._named(given):
            # The name of the file may lead to another one by now. The descriptor does not.
            os.link(f"/proc/self/fd/{file.fileno()}", given, dst_dir_fd=self.descriptor, follow_symlinks=True)

    def replace(self, name: str, target: Directory, given: str) -> None:
        """Rename a file, also over another one."""
        with self._named(name, target.path / given):
            os.replace(name, given, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def move(self, name: str, target: Directory, given: str) -> bool:
        """Rename a file without ever replacing one; False if the system cannot do that in one step."""
        if _renameat2 is None:
            return False
        source, destination = os.fsencode(name), os.fsencode(given)
        if _renameat2(self.descriptor, source, target.descriptor, destination, _RENAME_NOREPLACE) == 0:
            return True
        code = ctypes.get_errno()
        if code in _NO_RENAME:
            return False
        raise OSError(code, os.strerror(code), str(self.path / name), None, str(target.path / given))

    def unlink(self, name: str, *, missing_ok: bool = False) -> None:
        """Remove an entry that is no folder. A link itself is removed, never what it leads to."""
        with self._named(name), contextlib.suppress(*([FileNotFoundError] if missing_ok else [])):
            os.unlink(name, dir_fd=self.descriptor)

    def fsync(self) -> None:
        """Write the entries to disk. File systems that do not support this are accepted."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            if error.errno not in _NO_FSYNC:
                raise

    def names(self) -> list[str]:
        """The names of all entries."""
        with self._named("."), os.scandir(self.descriptor) as entries:
            return [entry.name for entry in entries]

    def below(self, name: str, access: Permissions | None = None) -> Directory:
        """Open the folder ``name`` in this one; with ``access`` it is made if it is missing. The caller closes it.

        Raises:
            Deferred: if it is a link, or something else that is no folder.
        """
        return Directory(self._open_folder(name, access), self.path / name)

    def _open_folder(self, name: str, access: Permissions | None) -> int:
        flags = _FOLDER | os.O_NOFOLLOW
        with self._named(name):
            try:
                return os.open(name, flags, dir_fd=self.descriptor)
            except FileNotFoundError:
                if access is None:
                    raise
            except NotADirectoryError as error:
                raise self._no_folder(name) from error
            made = True
            try:
                os.mkdir(name, dir_fd=self.descriptor)
            except FileExistsError:
                made = False
            try:
                descriptor = os.open(name, flags, dir_fd=self.descriptor)
            except NotADirectoryError as error:
                raise self._no_folder(name) from error
        if made:
            set_permissions(descriptor, access.dir_mode, access.group)
        self.fsync()
        return descriptor

    def _no_folder(self, name: str) -> Deferred:
        path = one_line(str(self.path / name))
        with contextlib.suppress(OSError):
            if stat.S_ISLNK(self.lstat(name).st_mode):
                why = f"{path} is a symbolic link, which is not followed. Put a folder in its place"
                return Deferred(why, affects_all=True)
        return Deferred(f"{path} is in the way: a folder is needed there. Rename or remove it", affects_all=True)

    def _not_a_file(self, name: str, status: os.stat_result) -> NotAFile:
        return NotAFile(self.path / name, kind_of(status))

    @contextlib.contextmanager
    def _named(self, name: str, other: Path | None = None) -> Iterator[None]:
        """Put whole paths into the errors of system calls, which have only the name."""
        try:
            yield
        except OSError as error:
            error.filename = str(self.path / name)
            if other is not None:
                error.filename2 = str(other)
            raise


@contextlib.contextmanager
def opened(root: Path, folder: str = "", access: Permissions | None = None) -> Iterator[Directory]:
    """Open ``folder`` below ``root``. ``root`` itself may be a link, and is never made.

    Args:
        folder: a path relative to ``root``; ``""`` is ``root`` itself.
        access: permissions for missing folders, which are made then; None if they are not to be made.

    Raises:
        OSError: as the system calls do.
        Deferred: if a component is a link or no folder.
    """
    directory = Directory(os.open(root, _FOLDER), root)
    try:
        for name in filter(None, folder.split("/")):
            outer, directory = directory, directory.below(name, access)
            os.close(outer.descriptor)
        yield directory
    finally:
        os.close(directory.descriptor)


class Descent:
    """Opens folders below ``root``, one after the other, and keeps those on the way to the last one open.

    So a search that goes through a tree opens each folder once, however deep it is.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: list[str] = []
        self._open: list[Directory] = []
        """``root`` and the folders of ``_names``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close(keep=0)

    def open(self, folder: str) -> Directory:
        """Open a folder, as `opened` does. It is closed by a later call, or at the end of the block."""
        names = [*filter(None, folder.split("/"))]
        pairs = zip(names, self._names, strict=False)
        shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
        if self._open:
            self._close(keep=shared + 1)
        else:
            self._open.append(Directory(os.open(self._root, _FOLDER), self._root))
        for name in names[shared:]:
            self._open.append(self._open[-1].below(name))
            self._names.append(name)
        return self._open[-1]

    def _close(self, *, keep: int) -> None:
        for directory in self._open[keep:]:
            os.close(directory.descriptor)
        del self._open[keep:]
        del self._names[max(keep - 1, 0) :]


@contextlib.contextmanager
def opened_file(root: Path, path: str) -> Iterator[IO[bytes]]:
    """Open a regular file below ``root`` for reading.

    Raises:
        OSError: as the system calls do.
        NotAFile: if the file is no regular one.
        Deferred: if a component is a link.
    """
    folder, _, name = path.rpartition("/")
    with opened(root, folder) as directory, directory.read(name) as file:
        yield file


def set_permissions(descriptor: int, mode: int | None, group: int | None) -> None:
    """Set the permissions and group of an open file or folder, as far as its file system and our rights allow."""
    if group is not None:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, -1, group)
    if mode is not None:
        with contextlib.suppress(OSError):
            # Keep the setgid bit of a folder.
            os.fchmod(descriptor, mode | (os.fstat(descriptor).st_mode & stat.S_ISGID))


def make_private(path: Path) -> None:
    """Take all rights to a file or folder from other users than its owner, as far as that is allowed."""
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode
        if not stat.S_ISLNK(mode) and mode & 0o077:
            path.chmod(stat.S_IMODE(mode) & 0o700)


def private_opener(path: str, flags: int) -> int:
    """For `open`: a file that it makes is readable and writable by its owner alone."""
    return os.open(path, flags, 0o600)
