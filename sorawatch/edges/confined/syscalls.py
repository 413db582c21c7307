"""System calls that Python has no functions for."""

from __future__ import annotations

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_PR_SET_NO_NEW_PRIVS = 38


def call(number: int, *arguments: ctypes.Structure | int | None) -> int:
    """Make a system call; a structure is passed by its address. Raises: OSError."""
    words = [
        ctypes.byref(each) if isinstance(each, ctypes.Structure) else ctypes.c_ulong(each or 0) for each in arguments
    ]
    result = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def renounce_privileges() -> None:
    """Never gain rights by starting a program (prctl(2), PR_SET_NO_NEW_PRIVS), as Landlock and seccomp demand.

    Raises:
        OSError: if the kernel refuses.
    """
    words = (ctypes.c_ulong(each) for each in (1, 0, 0, 0))
    if _LIBC.prctl(ctypes.c_int(_PR_SET_NO_NEW_PRIVS), *words):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
