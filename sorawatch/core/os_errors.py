"""What a failing file operation means for the daemon."""

from __future__ import annotations

import errno

from sorawatch.errors import Blocked, Deferred

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_AILING = {errno.EIO, errno.EREMOTEIO, errno.EBUSY, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""No file is to blame for these: the disk, the share or the system is."""
_GONE = {errno.ENOTCONN, errno.ESTALE, errno.ENODEV, errno.EHOSTDOWN, errno.ETIMEDOUT}


def translate(error: OSError, where: str) -> Blocked | Deferred:
    """Our error for ``error``, which hit the folder or file called ``where``.

    Nothing that a disk or a share does is ever a reason to give a job up.
    """
    told = f"{where}: {error.strerror or error}"
    if error.errno in _FULL:
        return Blocked(f"{told}. The disk is full", f"Make room on the disk that holds {where}.", passing=True)
    if error.errno in _FORBIDDEN:
        return Blocked(f"{told}. Access is refused", f"Give sorawatch's user access to {where}.", passing=True)
    if error.errno == errno.EROFS:
        return Blocked(f"{told}. It cannot be written", f"Mount what holds {where} for writing.", passing=True)
    if error.errno in _GONE:
        return Blocked(f"{told}. The share does not answer", f"Mount the share that holds {where} again.", passing=True)
    return Deferred(told, everyone=error.errno in _AILING)
