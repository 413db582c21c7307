"""The four folders of a daemon: made and marked, and the inbox locked against daemons with another state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sorawatch.app.state import make
from sorawatch.edges import lock, outbox
from sorawatch.edges.lock import Lock
from sorawatch.errors import Blocked, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from sorawatch.config import Config
    from sorawatch.edges.store import Transaction

_MARKED = "marked"
"""The key under which the state lists the folders that this state has worked with."""
_NAME = "name"
"""The key of the name of the state."""


class InboxGate:
    """Keeps this daemon from scanning an inbox that is not there, or that a daemon with another state uses."""

    def __init__(self, inbox: Path, shared_name: str | None) -> None:
        """``shared_name`` is the name of the state if other daemons share it."""
        self._inbox = inbox
        self._shared_name = shared_name
        self._lock: Lock | None = None
        self._closed = False

    def lock(self) -> None:
        """Lock the inbox if it is there, and unlock one that is gone or was replaced.

        Raises:
            UsageError: if another daemon has it.
        """
        if self._lock is not None and not self._lock.holds(self._inbox / lock.MARKER):
            self._release()
        if not self._closed and self._lock is None and lock.is_marked(self._inbox):
            marker, what = self._inbox / lock.MARKER, f"the inbox {self._inbox}"
            if self._shared_name is None:
                self._lock = Lock.take(marker, what, make=False)
            else:
                self._lock = Lock.share(marker, what, self._shared_name)
        if self._closed:  # meanwhile, by another thread
            self._release()

    def check(self) -> None:
        """Raises: Blocked: if the inbox must not be scanned now."""
        try:
            self.lock()
        except UsageError as error:
            raise Blocked(str(error), "Stop the other one.", temporary=True) from error
        lock.require_marker(self._inbox)

    def close(self) -> None:
        """Unlock the inbox for good: a scan that still goes on must not lock it again."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        held, self._lock = self._lock, None
        if held is not None:
            held.release()


def state_name(tx: Transaction) -> str:
    """The unique name of this state."""
    if tx.key_values.read(_NAME) is None:
        tx.key_values.write(_NAME, os.urandom(8).hex())
    return str(tx.key_values.read(_NAME))


def marked_folders(tx: Transaction) -> list[str]:
    """The folders that this state has worked with."""
    return tx.key_values.read(_MARKED) or []


def set_marked_folders(tx: Transaction, folders: list[str]) -> None:
    """Write down that this state has worked with these folders, so none of them is ever made again."""
    tx.key_values.write(_MARKED, folders)


def mark_folders(config: Config, tx: Transaction, *, shared: bool) -> None:
    """Make and mark the folders that this state has not worked with yet; those it has are never made again.

    Raises:
        Blocked, Deferred: if one cannot be made, or was marked by another machine and is not found here.
    """
    before = marked_folders(tx)
    marked = [*before]
    folders = config.folders
    for folder in folders.roots.values():
        if str(folder) in before:
            continue
        if shared and before:
            # Only its path differs between machines; a new folder would exist on this machine only.
            lock.require_marker(folder)
        elif not os.path.exists(folder):  # noqa: PTH110 -- the other way raises what only making it explains
            make(folder)
            outbox.set_permissions(folder, folders.dir_mode, folders.group)
        lock.write_marker(folder)
        marked.append(str(folder))
    if marked != before:
        set_marked_folders(tx, marked)
