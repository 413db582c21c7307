"""What kind of file system a path lies on."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|9p|virtiofs|vboxsf|vmhgfs|prl_fs|ceph|glusterfs|lustre|gpfs|beegfs|gfs2|ocfs2|afs|autofs"
    r"|fuse(\.(?!ntfs-3g$).*)?",
    re.ASCII,
)
"""``fuseblk`` and ``fuse.ntfs-3g`` are disks of this machine."""
_ESCAPE = re.compile(r"\\([0-7]{3})")


def file_system_of(path: Path, mountinfo: str | None = None) -> str:
    """The type of the file system that ``path``, or its nearest parent that exists, lies on; empty if unknown.

    Args:
        mountinfo: what ``/proc/self/mountinfo`` says, see proc(5); the longest mount point wins, then the last line.
    """
    target = os.path.realpath(path)
    if mountinfo is None:
        try:
            # What is mounted on demand is mounted by now, having been asked for just above.
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return ""
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
    return _NETWORK.fullmatch(kind) is not None
