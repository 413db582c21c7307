"""Makes and marks the four folders of a daemon, and locks the inbox against daemons with another state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sorawatch.app.state import make
from sorawatch.edges import directories, lock, mounts
from sorawatch.edges.lock import Lock
from sorawatch.errors import Blocked, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from sorawatch.config import Config
    from sorawatch.edges.store import Transaction

_MARKED = "marked"
"""The key in the state of the list of folders that were used with it."""
_NAME = "name"
"""The key in the state of its own name."""


class InboxGate:
    """Prevents scans of an inbox that is not mounted, or that a daemon with another state uses."""

    def __init__(self, inbox: Path, shared_name: str | None) -> None:
        """``shared_name`` is the name of the state if several daemons share it, otherwise None."""
        self._inbox = inbox
        self._shared_name = shared_name
        self._lock: Lock | None = None
        self._closed = False

    def lock(self) -> None:
        """Lock the inbox if it exists. If it was removed or replaced, release the former lock.

        Raises:
            UsageError: if another daemon has locked it.
        """
        path = self._inbox / lock.LOCK
        if self._lock is not None and not self._lock.holds(path):
            self._release()
        if not self._closed and self._lock is None and lock.is_marked(self._inbox):
            what = f"the inbox {self._inbox}"
            is_exported = not mounts.is_network(mounts.file_system_of(self._inbox))
            if self._shared_name is None:
                self._lock = Lock.take(path, what, is_exported=is_exported)
            else:
                self._lock = Lock.share(path, what, self._shared_name, is_exported=is_exported)
        if self._closed:  # another thread has called `close` meanwhile
            self._release()

    def check(self) -> None:
        """Raises: Blocked: if the inbox must not be scanned now."""
        try:
            self.lock()
        except UsageError as error:
            raise Blocked(str(error), "Stop the other one.", temporary=True) from error
        lock.require_marker(self._inbox)

    def close(self) -> None:
        """Unlock the inbox permanently: a scan that is still running must not lock it again."""
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
    """The folders that were used with this state."""
    return tx.key_values.read(_MARKED) or []


def set_marked_folders(tx: Transaction, folders: list[str]) -> None:
    """Record that these folders were used with this state, so that none of them is made again."""
    tx.key_values.write(_MARKED, folders)


def mark_folders(config: Config, tx: Transaction, *, shared: bool) -> None:
    """Make and mark the folders that were not used with this state before. Others are never made again.

    Raises:
        Blocked, Deferred: if a folder cannot be made, or if another machine has marked it and it is missing here.
    """
    before = marked_folders(tx)
    marked = [*before]
    folders = config.folders
    for folder in folders.roots.values():
        if str(folder) in before:
            continue
        if shared and before:
            # Another machine has marked this folder, perhaps under another path. A new one would exist only here.
            lock.require_marker(folder)
        elif not os.path.exists(folder):  # noqa: PTH110 -- Path.exists raises errors that `make` explains better
            make(folder)
            with directories.opened(folder) as made:
                directories.set_permissions(made.descriptor, folders.dir_mode, folders.group)
        lock.write_marker(folder)
        marked.append(str(folder))
    if marked != before:
        set_marked_folders(tx, marked)
