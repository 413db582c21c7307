"""A clock that also runs while the machine is suspended."""

from __future__ import annotations

import time


def boot_seconds() -> float:
    """Seconds since the machine was started, including those in which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
