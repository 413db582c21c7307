"""Translates errors of file operations into errors of the daemon."""

from __future__ import annotations

import errno

from sorawatch.errors import Blocked, Deferred

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NO_ACCESS = {errno.EACCES, errno.EPERM}
_SYSTEM_FAILURES = {errno.EIO, errno.EREMOTEIO, errno.EBUSY, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""The cause is the disk, the share or the system, not a single file."""
_NOT_REACHABLE = {errno.ENOTCONN, errno.ESTALE, errno.ENODEV, errno.EHOSTDOWN, errno.ETIMEDOUT}


def translate(error: OSError, where: str) -> Blocked | Deferred:
    """Our error for ``error``, which happened at the folder or file called ``where``.

    It is never `Rejected`: no job fails because of a disk or a share.
    """
    reason = f"{where}: {error.strerror or error}"
    if error.errno in _NO_SPACE:
        return Blocked(f"{reason}. The disk is full", f"Make room on the disk that holds {where}.", temporary=True)
    if error.errno in _NO_ACCESS:
        return Blocked(f"{reason}. Access is refused", f"Give sorawatch's user access to {where}.", temporary=True)
    if error.errno == errno.EROFS:
        return Blocked(f"{reason}. It cannot be written", f"Mount what holds {where} for writing.", temporary=True)
    if error.errno in _NOT_REACHABLE:
        return Blocked(
            f"{reason}. The share does not answer", f"Mount the share that holds {where} again.", temporary=True
        )
    return Deferred(reason, affects_all=error.errno in _SYSTEM_FAILURES)
