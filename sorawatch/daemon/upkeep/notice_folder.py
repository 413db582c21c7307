"""Texts for people in one of the folders, which are replaced and removed, unlike everything else there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.os_errors import translate
from sorawatch.edges.directories import Directory, NotAFile, opened
from sorawatch.edges.marker import require_marker

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
        require_marker(self.root)
        try:
            with opened(self.root, folder, self.access) as directory:
                if _is_ours(directory, name, heading):
                    directory.write_durably(name, text.encode("utf-8", "replace"), self.access)
        except OSError as error:
            raise translate(error, str(self.root / folder / name)) from error

    def remove(self, folder: str, name: str, heading: str) -> None:
        """Remove a text that `put` has written, if it is still there.

        Raises:
            Blocked, Deferred: if it cannot be removed now.
        """
        require_marker(self.root)
        try:
            with opened(self.root, folder) as directory:
                if _is_ours(directory, name, heading):
                    directory.unlink(name, missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise translate(error, str(self.root / folder / name)) from error


def _is_ours(directory: Directory, name: str, heading: str) -> bool:
    """Whether there is no file of this name, or one that begins with ``heading``."""
    try:
        with directory.read(name) as file:
            return file.read(_MOST_READ).startswith(heading.encode())
    except FileNotFoundError:
        return True
    except NotAFile:
        return False
