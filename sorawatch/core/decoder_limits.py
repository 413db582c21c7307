"""How many pictures are decoded at once, and how much memory each may use, by the memory of the machine."""

from __future__ import annotations

MOST_MEMORY = 5 << 29
"""Bytes: enough for the largest picture that is accepted, its file, and the process itself."""
LEAST_MEMORY = 1 << 29
"""Bytes: enough for the process itself and a photo of a phone."""

_LARGE_MACHINE = 6 << 30
"""Bytes: with less, one picture is decoded at once."""
_PROCESSES = 2


def decoder_limits(memory: int | None, processes: int | None, memory_mb: int | None) -> tuple[int, int]:
    """The number of processes, and the bytes of address space that each may use.

    Half of the memory is left to everything else.

    Args:
        memory: of the machine or the container, in bytes; None if it is not known.
        processes: as configured; None for the default.
        memory_mb: of each process in MiB, as configured; None for the default.
    """
    if processes is None:
        processes = 1 if memory is not None and memory < _LARGE_MACHINE else _PROCESSES
    if memory_mb is not None:
        return processes, memory_mb << 20
    share = MOST_MEMORY if memory is None else memory // (2 * processes)
    return processes, min(max(share, LEAST_MEMORY), MOST_MEMORY)
