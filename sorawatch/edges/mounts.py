"""What kind of file system a path lies on."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|virtiofs|ceph|glusterfs|lustre|afs|autofs|fuse(\..*)?|fuseblk", re.ASCII
)
_LOCAL_FUSE = frozenset({"fuseblk", "fuse.ntfs-3g"})
_ESCAPE = re.compile(r"\\([0-7]{3})")


def file_system_of(path: Path, mountinfo: str | None = None) -> str:
    """The type of the file system that ``path``, or its nearest parent that exists, lies on; empty if unknown.

    Args:
        mountinfo: what ``/proc/self/mountinfo`` says, see proc(5); the longest mount point wins, then the last line.
    """
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
    target = os.path.realpath(path)
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) < 5 or "-" not in fields:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = point in {"/", target} or target.startswith(f"{point}/")
        if inside and len(point) >= best:
            best, kind = len(point), fields[fields.index("-") + 1]
    return kind


def is_network(kind: str) -> bool:
    """Whether files there may be changed by other machines, unseen by this kernel."""
    return _NETWORK.fullmatch(kind) is not None and kind not in _LOCAL_FUSE
