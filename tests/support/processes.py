"""Processes as the kernel lists them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children(parent: int, command: bytes) -> set[int]:
    """The living children of ``parent`` whose command line contains ``command``."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                ppid = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if int(ppid) == parent and command in (folder / "cmdline").read_bytes():
                    found.add(int(folder.name))
    return found
