"""Locks, so that only one daemon works on a state or an inbox.

The lock of an inbox is a file of its own beside the marker, because it is held open. It is locked by ``flock``, and on
local disks by an open file description lock too: the locks of the clients of a share are of that kind where the share
is served, and those two kinds do not see each other.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import time
from typing import TYPE_CHECKING

from sorawatch.core.os_errors import translate
from sorawatch.errors import Deferred, InUse, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".sorawatch.lock"
"""The lock of an inbox."""

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_LOCKED_ELSEWHERE = {errno.EAGAIN, errno.EACCES, errno.EPERM}
"""On CIFS, a lock of another client is reported as a lack of permission."""

_F_OFD_GETLK, _F_OFD_SETLK = 36, 37
"""From <fcntl.h>; the module ``fcntl`` has them from Python 3.9 on some platforms only."""
_FLOCK = struct.Struct("@hhqqi4x")
"""struct flock: the kind, and a range; all zeros are the whole file."""

_NOT_A_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}
_ATTEMPTS = 5
_ATTEMPT_INTERVAL = 0.02
"""Seconds. `is_locked` takes the lock for a moment, which must not prevent a daemon from starting."""

_LOCK_TEXT = "This file shows which sorawatch works with this folder.\n"
_SIGNATURE = "Held by pid "
_SHARED_BY = "Shared by all whose state is "


class Lock:
    """A lock on a file, held until it is released or the process ends in any way."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, what: str, *, is_exported: bool = False) -> Lock:
        """Lock ``path`` exclusively. ``what`` is what it protects, for messages.

        On shares without locks this always succeeds; there only the lock of the state protects.

        Args:
            is_exported: it is on a local disk, and may be in a share that other machines use.

        Raises:
            InUse: if another process holds it; the message has its pid.
            Blocked, Deferred: if the file cannot be opened or locked.
        """
        with _open(path) as descriptor:
            if not _try_lock(descriptor, is_exported=is_exported):
                hint = "Stop that one first, or give this one a folder and a state of its own."
                raise InUse(f"another sorawatch ({_holder(descriptor)}) already works on {what}. {hint}")
        _write_holder(descriptor)
        return cls(descriptor)

    @classmethod
    def share(cls, path: Path, what: str, state_name: str, *, is_exported: bool = False) -> Lock:
        """Lock ``path`` as `take`, together with all daemons whose state has the same ``state_name``.

        Raises:
            InUse: if a daemon with another state holds it.
            Blocked, Deferred: as for `take`.
        """
        with _open(path) as descriptor:
            if _try_lock(descriptor, is_exported=is_exported):
                _write_holder(descriptor, f"{_SHARED_BY}{state_name}\n")
            is_shared = _try_lock(descriptor, fcntl.LOCK_SH, is_exported=is_exported)
            if not is_shared or _shared_state_of(descriptor) not in {state_name, ""}:
                hint = "Stop that one first, or let both keep their state in one database."
                raise InUse(f"another sorawatch ({_holder(descriptor)}) already works on {what}. {hint}")
        return cls(descriptor)

    def holds(self, path: Path) -> bool:
        """Whether ``path`` is still the locked file: after a share was mounted again, it is another one."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(path))
        except OSError:
            return False

    def release(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def is_locked(path: Path) -> bool:
    """Whether any process holds the lock on ``path`` now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        asked = fcntl.fcntl(descriptor, _F_OFD_GETLK, _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        return error.errno in _LOCKED_ELSEWHERE
    else:
        return bool(_FLOCK.unpack(asked)[0] != fcntl.F_UNLCK)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[int]:
    """Open the file. It stays open unless the block raises."""
    descriptor = None
    try:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CREAT
        descriptor = os.open(path, flags, 0o600)
        status = os.fstat(descriptor)
        # What is written to a second name of somebody's file would be written to that file.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise _not_ours(path)
        # Who can open the file can lock it.
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o600)
        yield descriptor
    except (OSError, UsageError, Deferred) as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, OSError):
            if error.errno in _NOT_A_FILE:
                raise _not_ours(path) from error
            raise translate(error, str(path)) from error
        raise


def _not_ours(path: Path) -> Deferred:
    return Deferred(f"{path} is not sorawatch's own file: it is a link or no regular file. Remove it")


def _try_lock(descriptor: int, how: int = fcntl.LOCK_EX, *, is_exported: bool) -> bool:
    """Lock the file; False if another process holds a lock. On file systems without locks it always succeeds.

    Raises:
        OSError: as flock does in other cases.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_ATTEMPT_INTERVAL)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            if is_exported:
                kind = fcntl.F_RDLCK if how == fcntl.LOCK_SH else fcntl.F_WRLCK
                fcntl.fcntl(descriptor, _F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return True
            if error.errno not in _LOCKED_ELSEWHERE:
                raise
        else:
            return True
    return False


def _write_holder(descriptor: int, more: str = "") -> None:
    """Write our pid into the file, for the message to the next daemon. Errors such as a full disk are ignored."""
    content = f"{_LOCK_TEXT}{more}{_SIGNATURE}{os.getpid()} on {socket.gethostname()}\n".encode()
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def _holder(descriptor: int) -> str:
    who = _line_after(descriptor, _SIGNATURE)
    return f"pid {who}" if who else "pid unknown"


def _shared_state_of(descriptor: int) -> str:
    """The state of the daemons that hold it; empty if that could not be written."""
    return _line_after(descriptor, _SHARED_BY)


def _line_after(descriptor: int, after: str) -> str:
    try:
        text = os.pread(descriptor, 4096, 0).decode("utf-8", "replace")
    except OSError:
        # On CIFS, nobody else can read a file that is locked.
        return ""
    return text.rpartition(after)[2].partition("\n")[0].strip() if after in text else ""
