"""One daemon a state, one daemon an inbox; and the marker by which a folder is known to be mounted."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from sorawatch.core.os_errors import translate
from sorawatch.errors import Blocked, UsageError

MARKER = ".sorawatch"

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_TAKEN = {errno.EAGAIN, errno.EACCES}

_TRIES = 5
_TRY_PAUSE = 0.02
"""Seconds: `is_locked` holds the lock for an instant, which must not keep a daemon from starting."""

_TEXT = """\
sorawatch works with this folder. Please leave this file where it is: as long as it is here, sorawatch knows that
the folder is really there and not an empty place where a share ought to be mounted.
"""
_SIGNATURE = "Held by pid "
_COMPANY = "Shared by all whose state is "


class Lock:
    """An ``flock`` on a file, held until it is released or the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, what: str, *, make: bool = True) -> Lock:
        """Lock ``path``, making it if wanted; ``what`` is what it guards, in words.

        On shares without locks this succeeds: the lock of the state still holds.

        Raises:
            UsageError: if another process holds it; the text names its pid.
            Blocked, Deferred: if the file cannot be opened or locked.
        """
        with _opened(path, make=make) as descriptor:
            if not _locked(descriptor):
                hint = "Stop that one first, or give this one a folder and a state of its own."
                raise UsageError(f"another sorawatch ({_holder(descriptor)}) already works on {what}. {hint}")
        _sign(descriptor)
        return cls(descriptor)

    @classmethod
    def share(cls, path: Path, what: str, company: str) -> Lock:
        """Lock ``path``, which must be there, together with all who name the same ``company``.

        Raises:
            UsageError: if somebody else holds it: alone, or in other company.
            Blocked, Deferred: as for `take`.
        """
        with _opened(path, make=False) as descriptor:
            if _locked(descriptor):
                _sign(descriptor, f"{_COMPANY}{company}\n")
            if not _locked(descriptor, fcntl.LOCK_SH) or _company(descriptor) not in {company, ""}:
                hint = "Stop that one first, or let both keep their state in one database."
                raise UsageError(f"another sorawatch ({_holder(descriptor)}) already works on {what}. {hint}")
        return cls(descriptor)

    def holds(self, path: Path) -> bool:
        """Whether ``path`` is still the file that is locked: a share that was mounted anew has another."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(path))
        except OSError:
            return False

    def release(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock on ``path`` now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _TAKEN
    else:
        return False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened(path: Path, *, make: bool) -> Iterator[int]:
    """The file, which stays open unless the block fails."""
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0), 0o644)
        yield descriptor
    except (OSError, UsageError) as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, OSError):
            raise translate(error, str(path)) from error
        raise


def _locked(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock the file; False where another process is in the way.

    Raises:
        OSError: as flock does, other than on file systems that have no locks.
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_TRY_PAUSE)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return True
            if error.errno not in _TAKEN:
                raise
        else:
            return True
    return False


def _sign(descriptor: int, more: str = "") -> None:
    """Write down who holds it, for the message that the next one gets; on a full disk that one does without."""
    content = f"{_TEXT}{more}{_SIGNATURE}{os.getpid()} on {socket.gethostname()}\n".encode()
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def _holder(descriptor: int) -> str:
    who = _written(descriptor, _SIGNATURE)
    return f"pid {who}" if who else "pid unknown"


def _company(descriptor: int) -> str:
    """In whose company it is held; empty where that could not be written down."""
    return _written(descriptor, _COMPANY)


def _written(descriptor: int, after: str) -> str:
    text = os.pread(descriptor, 4096, 0).decode("utf-8", "replace")
    return text.rpartition(after)[2].partition("\n")[0].strip() if after in text else ""


def is_marked(folder: Path) -> bool:
    """Whether our marker lies in ``folder``: it is the folder it was, not a mount point left empty."""
    return os.path.lexists(folder / MARKER)


def require_marker(folder: Path) -> None:
    """Make sure that ``folder`` is the folder it was.

    Raises:
        Blocked: if our marker is missing from it.
        Blocked, Deferred: if the folder cannot be asked.
    """
    try:
        os.lstat(folder / MARKER)
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = (
            f"Mount the share again. If the folder was replaced on purpose: touch {shlex.quote(str(folder / MARKER))}"
        )
        raise Blocked(
            f"{folder} has lost its file {MARKER}, so its share is not mounted", hint, passing=True
        ) from error
    except OSError as error:
        raise translate(error, str(folder)) from error


def write_marker(folder: Path) -> None:
    """Leave the marker, on disk when this returns.

    Raises:
        Blocked, Deferred: if it cannot be written.
    """
    try:
        with open(folder / MARKER, "a", encoding="utf-8") as file:
            if file.tell() == 0:
                file.write(_TEXT)
                file.flush()
            os.fsync(file.fileno())
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise translate(error, str(folder)) from error
