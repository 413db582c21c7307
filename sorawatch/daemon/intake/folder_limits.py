"""Reads the limits that the ``_defaults.yaml`` files in the inbox set for their folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.budget import LimitReached, LimitScope
from sorawatch.core.limits import Limits
from sorawatch.core.pause import Pause
from sorawatch.core.settle import FileStatus, Observation, none_empty, observe, seconds_to_settle, settled, settles_in
from sorawatch.core.yaml_lines import without_lines
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sorawatch.core.sidecar import OrderSettings

_HINT = "Correct it. Then orders from this folder are submitted again."


class FolderLimits:
    """Reads each file again after it has changed and settled. Used from the scanning thread.

    A folder whose file cannot be read is blocked. While a known file is being changed, its former limits apply.
    """

    def __init__(self, settle_seconds: float, read: Callable[[str], OrderSettings]) -> None:
        """``read`` parses the file at a path relative to the inbox. It may raise `Deferred` or `Blocked`."""
        self._settle_seconds = settle_seconds
        self._read = read
        self._observed: dict[str, Observation] = {}
        self._known: dict[str, tuple[FileStatus, LimitScope]] = {}
        self._open_files: Collection[str] = ()
        self.scopes: tuple[LimitScope, ...] = ()
        """The limits in force."""

    def update(
        self,
        defaults: Mapping[str, FileStatus | None],
        unlisted: Collection[str],
        now: float,
        open_files: Collection[str] = (),
    ) -> float | None:
        """Update the limits after a scan of the whole inbox.

        Args:
            defaults: the status of every ``_defaults.yaml``, by its path; None if `stat` failed.
            unlisted: folders that could not be listed.
            now: seconds of a monotonic clock.
            open_files: paths of files that a program has open for writing.

        Returns:
            Seconds until a file that is being changed can have settled.
        """
        self._observed = {
            path: observe(self._observed.get(path), (status,), now) for path, status in defaults.items() if status
        }
        self._open_files = open_files
        unsettled = [
            path
            for path, observed in self._observed.items()
            if none_empty(observed)
            and not self._is_settled(path, now)
            and (path not in self._known or self._known[path][0] != observed.statuses[0])
        ]
        blocked = [_blocked(folder, "", f"the folder {folder} cannot be listed", lasting=True) for folder in unlisted]
        scopes = [self._scope(path, status, now) for path, status in defaults.items()]
        self._known = {path: known for path, known in self._known.items() if path in defaults}
        self.scopes = (*(each for each in scopes if each.blocked or each.limits != Limits()), *blocked)
        return min(
            (settles_in(self._observed[path], now, self._seconds_to_settle(path)) for path in unsettled), default=None
        )

    def _scope(self, path: str, status: FileStatus | None, now: float) -> LimitScope:
        folder = path.rpartition("/")[0]
        if path in self._known and (self._known[path][0] == status or not self._is_settled(path, now)):
            return self._known[path][1]
        if status is not None and not self._is_settled(path, now):
            if status.size == 0:
                return _blocked(folder, path, f"{path} is still empty", lasting=True)
            return _blocked(folder, path, f"{path} is still being written, or just now", lasting=False)
        try:
            settings = self._read(path)
        except (Deferred, Blocked) as error:
            return _blocked(folder, path, f"{path} cannot be read: {error}", lasting=True)
        if settings.limits is None:
            return _blocked(folder, path, f"{path} cannot be understood: {_first_problem(settings)}", lasting=True)
        scope = LimitScope(settings.limits, folder, path)
        if status is not None:
            self._known[path] = status, scope
        return scope

    def _is_settled(self, path: str, now: float) -> bool:
        return path in self._observed and settled(self._observed[path], now, self._seconds_to_settle(path))

    def _seconds_to_settle(self, path: str) -> float:
        return seconds_to_settle(self._settle_seconds, is_open=path in self._open_files)


def _first_problem(settings: OrderSettings) -> str:
    """The problem with the limits, or else the first one, without its full stop, as part of a longer sentence.

    The line to write instead is left out: it contains the prompt, and the sentence is logged.
    """
    problem = next((each for each in settings.problems if "limit" in each.where), settings.problems[0])
    return without_lines(str(problem)).rstrip(".:")


def _blocked(folder: str, file: str, reason: str, *, lasting: bool) -> LimitScope:
    reached = LimitReached(Pause(reason, _HINT, folder=folder, limit=reason), lasting=lasting)
    return LimitScope(Limits(), folder, file, reached)
