"""Which files are still open for writing, according to file system events.

Events tell of every write and of every close of a file that was open for writing. A file that was written to and not
closed since is open. Nothing is known of files that were opened before the events began and are not written to.
"""

from __future__ import annotations

MAX_OPEN_FILES = 10_000
"""The file that has not been written to for the longest time is forgotten if there are more."""


class OpenFiles:
    """The paths of files that were written to and not closed since. All methods take events in their order."""

    def __init__(self, limit: int = MAX_OPEN_FILES) -> None:
        self._limit = limit
        self._paths: dict[str, None] = {}
        """The file that was written to last comes last."""

    def written(self, path: str) -> None:
        """A program wrote to the file."""
        self._paths.pop(path, None)
        self._paths[path] = None
        if len(self._paths) > self._limit:
            del self._paths[next(iter(self._paths))]

    def closed(self, path: str) -> None:
        """The file was closed or removed, or another file has taken its name."""
        self._paths.pop(path, None)

    def moved(self, source: str, target: str) -> None:
        """A file got another name, and what had that name before is gone. An open file stays open."""
        self._paths.pop(target, None)
        if source in self._paths:
            del self._paths[source]
            self._paths[target] = None

    def folder_moved(self, source: str, target: str) -> None:
        """A folder got another name."""
        for path in self._below(source):
            self.moved(path, target + path[len(source) :])

    def folder_removed(self, folder: str) -> None:
        """A folder was removed, or moved to where there are no events."""
        for path in self._below(folder):
            del self._paths[path]

    def forget(self) -> None:
        """Events were lost, perhaps those of a close."""
        self._paths.clear()

    def paths(self) -> frozenset[str]:
        """The paths of all open files."""
        return frozenset(self._paths)

    def _below(self, folder: str) -> list[str]:
        return [path for path in self._paths if path.startswith(f"{folder}/")]
