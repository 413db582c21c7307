"""The mounts and file systems that paths are on."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|virtiofs|vboxsf|vmhgfs|prl_fs|ceph|glusterfs|lustre|gpfs|beegfs|gfs2|ocfs2|afs|autofs"
    r"|fuse(\.(?!ntfs-3g$).*)?",
    re.ASCII,
)
"""All FUSE file systems but ``fuseblk`` and ``fuse.ntfs-3g``, which are local disks."""
_LAYERED = {"overlay", "aufs", "ecryptfs", "unionfs"}
_MAX_LINKS = 40
"""Symbolic links that Linux follows before it reports a loop."""
_PROBE_COMMAND = 'test -w "$0"; test -e "$0/x"; ls -f "$0"'
"""Requests that a cache alone cannot answer."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of ``/proc/self/mountinfo``, see proc(5)."""

    number: str
    """The id of the mount, unique among the mounts that exist at the same time."""
    device: str
    """Its major and minor number, which distinguish it from an earlier mount with the same ``number``."""
    point: str
    """Where it is mounted: an absolute path."""
    kind: str
    """The type of the file system; empty if unknown."""


UNKNOWN = Mount("", "", "/", "")


def mounts_at(path: Path, mountinfo: str | None = None) -> tuple[Mount, ...]:
    """The mount that ``path``, or its nearest existing parent, is on, followed by all mounts below ``path``.

    Args:
        mountinfo: the text of ``/proc/self/mountinfo``. The longest mount point wins, then the last line.
    """
    target = os.path.realpath(path)
    if mountinfo is None:
        try:
            # The call of realpath above has triggered the mounts that are made on demand.
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return (UNKNOWN,)
    best = UNKNOWN
    below: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) < 5 or "-" not in fields:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        mount = Mount(fields[0], fields[2], point, fields[fields.index("-") + 1])
        if point in {"/", target} or target.startswith(f"{point}/"):
            best = mount if len(point) >= len(best.point) else best
        elif point.startswith(f"{target.rstrip('/')}/"):
            below[point] = mount
    return (best, *below.values())


def file_system_of(path: Path, mountinfo: str | None = None) -> str:
    """The type of the file system that ``path`` is on, as `mounts_at` finds it; empty if unknown."""
    return mounts_at(path, mountinfo)[0].kind


def resolved(path: Path, mountinfo: str | None = None) -> str:
    """``path`` with its links resolved, without accessing a network share, which may never answer.

    Links on a network share are left as they are. ``readlink`` does not access what is mounted at the path, unlike
    ``lstat``, so even the mount point of a share is not accessed.
    """
    shares = {Path(mount.point) for mount in mounts_at(Path("/"), mountinfo) if is_network(mount.kind)}
    here, rest = Path("/"), [*path.absolute().parts[1:]]
    links = 0
    while rest:
        if here in shares or links > _MAX_LINKS:
            return os.path.normpath(here.joinpath(*rest))
        name = rest.pop(0)
        try:
            target = (here / name).readlink()
        except OSError:
            here = here.parent if name == ".." else here / name
        else:
            links += 1
            here = Path("/") if target.is_absolute() else here
            rest = [*target.parts[target.is_absolute() :], *rest]
    return str(here)


def is_network(kind: str) -> bool:
    """Whether other machines may change files there without this kernel noticing."""
    return _NETWORK.fullmatch(kind) is not None


def is_layered(kind: str) -> bool:
    """Whether files there may be changed in a lower layer, without an event for the whole."""
    return kind in _LAYERED


def responding(paths: Iterable[Path], timeout: float) -> set[Path]:
    """The ``paths`` for which the file system answers within ``timeout`` seconds, even if with an error.

    A process that accesses a share whose server hangs cannot be killed. So child processes do it, and those that hang
    are abandoned.
    """
    probes = {
        path: subprocess.Popen(  # noqa: S603 -- words of our own, and a path as an argument
            ["/bin/sh", "-c", _PROBE_COMMAND, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for path in paths
    }
    end = time.monotonic() + timeout
    for process in probes.values():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, end - time.monotonic()))
    return {path for path, process in probes.items() if process.returncode is not None}
