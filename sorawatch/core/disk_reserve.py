"""How much of a disk is kept free for the state, which may be on the same disk as what is written."""

from __future__ import annotations

_RESERVE = 64 << 20
"""Bytes that stay free. Of a small disk it is a twentieth."""


def room(free_bytes: int, total_bytes: int) -> int:
    """How many bytes may still be written to a disk; negative if the reserve is in use already."""
    return free_bytes - min(_RESERVE, total_bytes // 20)
