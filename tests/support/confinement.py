"""What this kernel can confine, and how confined a process is, as the kernel says."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from sorawatch.edges.confined import Confinement

_PROBE = """
from sorawatch.edges.confined.kernel import confine
found = confine()
print(found.landlock, int(found.seccomp))
"""


@cache
def available() -> Confinement:
    """What a process gets that confines itself here."""
    version, filtered = subprocess.run(
        [sys.executable, "-c", _PROBE], capture_output=True, text=True, check=True
    ).stdout.split()
    return Confinement(int(version), filtered == "1")


def needs_landlock() -> None:
    """Skip the test where the kernel does not have it."""
    if not available().landlock:
        pytest.skip("this kernel has no Landlock")


def needs_seccomp() -> None:
    """Skip the test where the kernel does not have it."""
    if not available().seccomp:
        pytest.skip("this kernel has no seccomp")


def is_filtered(pid: int) -> bool:
    """Whether every thread of a process has a filter of system calls, and can gain no rights."""
    statuses = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return bool(statuses) and all("\nSeccomp:\t2\n" in each and "\nNoNewPrivs:\t1\n" in each for each in statuses)
