"""What kind of file system a path lies on."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|virtiofs|vboxsf|vmhgfs|prl_fs|ceph|glusterfs|lustre|gpfs|beegfs|gfs2|ocfs2|afs|autofs"
    r"|fuse(\.(?!ntfs-3g$).*)?",
    re.ASCII,
)
"""``fuseblk`` and ``fuse.ntfs-3g`` are disks of this machine."""
_LAYERED = {"overlay", "aufs", "ecryptfs", "unionfs"}
_MOST_LINKS = 40
"""What Linux follows before it takes them for a circle."""
_ASK = 'test -w "$0"; test -e "$0/x"; ls -f "$0"'
"""More than a look that a cache could answer."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of what the kernel says of its mounts, see proc(5)."""

    number: str
    """Names this mount and no other that exists at the same time."""
    device: str
    """Its major and minor number, which tell it from an earlier mount of the same ``number``."""
    point: str
    """Where it is mounted: an absolute path."""
    kind: str
    """The type of the file system; empty if unknown."""


UNKNOWN = Mount("", "", "/", "")


def mounts_at(path: Path, mountinfo: str | None = None) -> tuple[Mount, ...]:
    """What ``path``, or its nearest parent that exists, lies on, and after it whatever is mounted below ``path``.

    Args:
        mountinfo: what ``/proc/self/mountinfo`` says; the longest mount point wins, then the last line.
    """
    target = os.path.realpath(path)
    if mountinfo is None:
        try:
            # What is mounted on demand is mounted by now, having been asked for just above.
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
    """The type of the file system that ``path`` lies on, as `mounts_at` finds it; empty if unknown."""
    return mounts_at(path, mountinfo)[0].kind


def resolved(path: Path, mountinfo: str | None = None) -> str:
    """Where ``path`` leads, as far as that can be told without asking a network share, which may never answer.

    Of what lies on such a share the rest is as written. ``readlink`` is not passed on to what is mounted at its end,
    as ``lstat`` is, so that not even the mount point of a share is asked.
    """
    shares = {Path(mount.point) for mount in mounts_at(Path("/"), mountinfo) if is_network(mount.kind)}
    here, rest = Path("/"), [*path.absolute().parts[1:]]
    links = 0
    while rest:
        if here in shares or links > _MOST_LINKS:
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
    """Whether files there may be changed by other machines, unseen by this kernel."""
    return _NETWORK.fullmatch(kind) is not None


def is_layered(kind: str) -> bool:
    """Whether files there may be changed in a layer below, unseen by whoever looks at the whole."""
    return kind in _LAYERED


def answering(paths: Iterable[Path], patience: float) -> set[Path]:
    """Which of ``paths`` can be asked after within ``patience`` seconds, be it in vain.

    Whoever asks a share whose server hangs cannot even be killed, so that is done by processes that are left behind.
    """
    asking = {
        path: subprocess.Popen(  # noqa: S603 -- words of our own, and a path as an argument
            ["/bin/sh", "-c", _ASK, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for path in paths
    }
    end = time.monotonic() + patience
    for process in asking.values():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, end - time.monotonic()))
    return {path for path, process in asking.items() if process.returncode is not None}
