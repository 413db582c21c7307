"""Finds out what a user may read, write and enter, from owners, groups and modes."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

READ, WRITE, ENTER = 4, 2, 1
"""The bits of a right, as in one digit of a mode."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user with all its groups."""

    name: str
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, name: str, groups: Iterable[str] = ()) -> Account:
        """The user with this name or number, in ``groups`` in addition to its own.

        Raises:
            KeyError: if there is no such user or group.
        """
        user = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
        more = {int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid for group in groups}
        return cls(user.pw_name, user.pw_uid, frozenset(more | {*os.getgrouplist(user.pw_name, user.pw_gid)}))

    def obstacle(self, path: Path, wanted: int, open_ways: Sequence[Path] = ()) -> tuple[Path, int] | None:
        """The path that prevents access to ``path``, with the missing right there; None if the user has access.

        If ``path`` does not exist, the user must be able to create it. Parents of ``open_ways`` count as accessible.
        """
        end = path.resolve()
        last = None
        for step in (*reversed(end.parents), end):
            if any(step in way.parents for way in open_ways):
                continue
            right = wanted if step == end else ENTER
            try:
                if not self._has(right, step):
                    return step, right
            except FileNotFoundError:
                return (last, WRITE | ENTER) if last and not self._has(WRITE | ENTER, last) else None
            except OSError:
                return None
            last = step
        return None

    def _has(self, right: int, path: Path) -> bool:
        """Whether the user has the right. An access control list is assumed to grant it."""
        status = path.stat()
        if self.uid == 0:
            return True
        shift = 6 if self.uid == status.st_uid else 3 if status.st_gid in self.groups else 0
        return status.st_mode >> shift & right == right or _has_access_list(path)


def _has_access_list(path: Path) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path)
    except OSError:
        return False
