"""The limits that the ``_defaults.yaml`` files of the inbox set for their folders, as they stand there now."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from sorawatch.core.budget import LimitReached, LimitScope
from sorawatch.core.limits import Limits
from sorawatch.core.settle import FileStatus, Observation, is_whole, observe, settled, settles_in
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from sorawatch.core.sidecar import OrderSettings

_HINT = "Correct it; submitting from there goes on by itself."


class FolderLimits:
    """Reads each file again once it has changed and settled. Used from the looking thread.

    What is not known is never taken for no limit: a folder whose limits cannot be told submits nothing. While a
    known file is being changed, what it said before holds.
    """

    def __init__(self, settle_seconds: float, read: Callable[[str], OrderSettings]) -> None:
        """``read`` gives what the file at a path below the inbox says; it may raise `Deferred` or `Blocked`."""
        self._settle_seconds = settle_seconds
        self._read = read
        self._seen: dict[str, Observation] = {}
        self._known: dict[str, tuple[FileStatus, LimitScope]] = {}
        self.scopes: tuple[LimitScope, ...] = ()

    def learn(self, defaults: Mapping[str, FileStatus | None], unlisted: Collection[str], now: float) -> float | None:
        """Take in one look at the whole inbox.

        Args:
            defaults: how every ``_defaults.yaml`` looks, by its path.
            unlisted: folders that could not be listed.
            now: seconds of a monotonic clock.

        Returns:
            Seconds until a file that is being changed can have settled.
        """
        self._seen = {path: observe(self._seen.get(path), (look,), now) for path, look in defaults.items() if look}
        unsettled = [
            seen
            for path, seen in self._seen.items()
            if is_whole(seen)
            and not settled(seen, now, self._settle_seconds)
            and (path not in self._known or self._known[path][0] != seen.looks[0])
        ]
        shut = [_shut(folder, "", f"the folder {folder} cannot be listed", lasting=True) for folder in unlisted]
        scopes = [self._scope(path, look, now) for path, look in defaults.items()]
        self._known = {path: known for path, known in self._known.items() if path in defaults}
        self.scopes = (*(each for each in scopes if each.shut or each.limits != Limits()), *shut)
        return min((settles_in(seen, now, self._settle_seconds) for seen in unsettled), default=None)

    def _scope(self, path: str, look: FileStatus | None, now: float) -> LimitScope:
        folder = path.rpartition("/")[0]
        if path in self._known and (self._known[path][0] == look or not self._is_settled(path, now)):
            return self._known[path][1]
        if look is not None and not self._is_settled(path, now):
            if look.size == 0:
                return _shut(folder, path, f"{path} is still empty", lasting=True)
            return _shut(folder, path, f"{path} is still being written, or just now", lasting=False)
        try:
            layer = self._read(path)
        except (Deferred, Blocked) as error:
            return _shut(folder, path, f"{path} cannot be read: {error}", lasting=True)
        if layer.limits is None:
            return _shut(folder, path, f"{path} cannot be understood: {_first(layer)}", lasting=True)
        scope = LimitScope(layer.limits, folder, path)
        if look is not None:
            self._known[path] = look, scope
        return scope

    def _is_settled(self, path: str, now: float) -> bool:
        return path in self._seen and settled(self._seen[path], now, self._settle_seconds)


def _first(layer: OrderSettings) -> str:
    """The problem with the limits, or else the first one, without its full stop, as a part of a longer sentence."""
    return str(next((each for each in layer.problems if "limit" in each.where), layer.problems[0])).rstrip(".")


def _shut(folder: str, file: str, reason: str, *, lasting: bool) -> LimitScope:
    closed = LimitReached(reason, hint=_HINT, folder=folder, limit=reason, lasting=lasting)
    return LimitScope(Limits(), folder, file, closed)
