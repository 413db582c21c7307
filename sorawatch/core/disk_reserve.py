"""How much of a disk is kept free for the state, which may be on the same disk as what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

RESERVE = 64 << 20
"""Bytes that stay free. Of a small disk it is a twentieth."""


def room(disk: os.statvfs_result) -> int:
    """How many bytes may still be written; negative if the reserve is in use already."""
    return disk.f_frsize * disk.f_bavail - min(RESERVE, disk.f_frsize * disk.f_blocks // 20)
