"""How much memory the machine has, or the container that this process is in."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def total_memory(meminfo: Path = _MEMINFO, own_groups: Path = _OWN_GROUPS, groups: Path = _GROUPS) -> int | None:
    """Bytes of memory; None if the system does not say.

    Args:
        meminfo: see proc(5).
        own_groups: the control groups of this process, see cgroups(7).
        groups: where the control groups of version 2 are mounted. Each group above sets a limit too.
    """
    found = []
    with suppress(OSError, ValueError, StopIteration):
        line = next(line for line in meminfo.read_text(encoding="ascii").splitlines() if line.startswith("MemTotal:"))
        found.append(int(line.split()[1]) << 10)
    with suppress(OSError, ValueError, StopIteration):
        own = next(line for line in own_groups.read_text(encoding="utf-8").splitlines() if line.startswith("0::"))
        group = groups / own.removeprefix("0::").lstrip("/")
        for each in (group, *group.parents):
            if not each.is_relative_to(groups):
                break
            # "max", where there is no limit, is no number.
            with suppress(OSError, ValueError):
                found.append(int((each / "memory.max").read_text(encoding="ascii")))
    return min(found, default=None)
