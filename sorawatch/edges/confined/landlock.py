"""Landlock: the kernel refuses this process all access to files, TCP ports and other processes. See landlock(7)."""

from __future__ import annotations

import ctypes
import os

from sorawatch.edges.confined.syscalls import call

# The same numbers on all architectures but Alpha.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION = 1
"""The flag that asks for the version of the ABI."""

_FILE_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Versions of the ABI, and the number of rights to files that each knows."""
_TCP_RIGHTS = 0b11
"""To bind and to connect; since version 4."""
_SCOPES = 0b11
"""Abstract sockets of other processes, and signals to them; since version 6."""


class _Ruleset(ctypes.Structure):
    """``struct landlock_ruleset_attr``. Older kernels accept it if what they do not know is zero."""

    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def forbid_everything() -> int:
    """Forbid this thread, and all that it starts, what Landlock can forbid. Files that are open can still be used.

    Returns:
        The version of the ABI.

    Raises:
        OSError: if the kernel does not have Landlock, or it is disabled or forbidden.
    """
    version = call(_CREATE_RULESET, None, 0, _VERSION)
    rights = max(count for since, count in _FILE_RIGHTS if since <= version)
    wanted = _Ruleset((1 << rights) - 1, _TCP_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    ruleset = call(_CREATE_RULESET, wanted, ctypes.sizeof(wanted), 0)
    try:
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version
