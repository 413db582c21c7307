"""A folder in memory, where a write is not waited for."""

from __future__ import annotations

import os
from pathlib import Path

_ROOM = 2 << 30
"""Bytes, far more than tests leave behind: the folder of one that has passed is removed."""


def memory_folder() -> Path | None:
    """A folder in memory in which programs can be run and that has room for a run of the tests; None if there is none.

    That of a container often has 64 MB, and programs may not be run from it.
    """
    folder = Path("/dev/shm")
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    usable = os.access(folder, os.W_OK) and not found.f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
    return folder if usable and found.f_bavail * found.f_frsize >= _ROOM else None
