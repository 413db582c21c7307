"""Texts for people in one of the folders, which are replaced and removed, unlike everything else there."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.os_errors import translate
from sorawatch.edges import lock, outbox
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from pathlib import Path

    from sorawatch.core.permissions import Permissions

_MOST_READ = 1024


@dataclass(frozen=True, slots=True)
class NoticeFolder:
    """A folder with texts in it and in its subfolders."""

    root: Path
    access: Permissions

    def put(self, folder: str, name: str, heading: str, text: str) -> None:
        """Write ``text`` as the file ``name`` in a subfolder, which is made if needed; ``""`` is the folder itself.

        Args:
            heading: how the texts of this name begin. A file that begins otherwise is not ours, and is kept.

        Raises:
            Blocked, Deferred: if it cannot be written now, for example because the share is not mounted.
        """
        path = self.root / folder / name
        lock.require_marker(self.root)
        try:
            if folder:
                outbox.make_below(self.root, path.parent, self.access)
            self._require_no_link(folder)
            if _is_ours(path, heading):
                outbox.write_durably(path, text.encode("utf-8", "replace"))
                outbox.set_permissions(path, self.access.file_mode, self.access.group)
        except OSError as error:
            raise translate(error, str(path)) from error

    def remove(self, folder: str, name: str, heading: str) -> None:
        """Remove a text that `put` has written, if it is still there.

        Raises:
            Blocked, Deferred: if it cannot be removed now.
        """
        path = self.root / folder / name
        lock.require_marker(self.root)
        try:
            self._require_no_link(folder)
            if _is_ours(path, heading):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise translate(error, str(path)) from error

    def _require_no_link(self, folder: str) -> None:
        if folder and (self.root / folder).is_symlink():
            raise Deferred(f"{self.root / folder} is a symbolic link, which is never followed. Replace it by a folder")


def _is_ours(path: Path, heading: str) -> bool:
    """Whether there is no file at this path, or one that begins with ``heading``."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    if not stat.S_ISREG(status.st_mode):
        return False
    with open(path, "rb") as file:
        return file.read(_MOST_READ).startswith(heading.encode())
