"""Makes and marks the four folders of a daemon, and locks the inbox against daemons with another state."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.app.state import make
from sorawatch.core.marker_text import UNNAMED
from sorawatch.edges import directories, lock, mounts
from sorawatch.edges.lock import Lock
from sorawatch.edges.marker import MARKER, make_marker, name_marker, read_marker, require_marker
from sorawatch.errors import Blocked, Deferred, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from sorawatch.config import Config
    from sorawatch.edges.store import Transaction

_RESPONSE_SECONDS = 5.0
"""Seconds within which a share must answer a command."""
_MARKED = "marked"
"""The key in the state of the list of folders that were used with it."""
_NAMED = "named"
"""The key in the state of the list of folders whose markers name a state, so that they need not be read again."""
_NAME = "name"
"""The key in the state of its name in the lock of the inbox."""


@dataclass(frozen=True, slots=True)
class InboxOwner:
    """A state that an inbox may belong to. An inbox belongs to the state that its marker names."""

    state: str
    """The UUID of the state."""
    config: Path
    """The configuration of the daemon, for messages."""

    def refuse_another(self, inbox: Path, named: str | None) -> None:
        """Raises: UsageError: if the marker of the inbox names another state (``named``, as `read_marker` returns)."""
        if named in {None, UNNAMED, self.state}:
            return
        raise UsageError(
            f"the inbox {inbox} belongs to the state {named} of another sorawatch, as its file {MARKER} says; this one "
            f"has the state {self.state}. What was ordered there could be bought again here. To move the folders to "
            f"this state, stop the other sorawatch, then run: {take_over_command(self.config)}"
        )


def take_over_command(config: Path) -> str:
    """The command that takes the folders of a configuration over."""
    return f"sorawatch recover --take-over -c {shlex.quote(str(config))}"


class InboxGate:
    """Prevents scans of an inbox that is not mounted, or that belongs to another state."""

    def __init__(self, inbox: Path, owner: InboxOwner, shared_name: str | None) -> None:
        """``shared_name`` is the name of the state if several daemons share it, otherwise None."""
        self._inbox = inbox
        self._owner = owner
        self._shared_name = shared_name
        self._lock: Lock | None = None
        self._closed = False

    def lock(self) -> None:
        """Lock the inbox, if it is there. If it was removed or replaced, release the former lock.

        Raises:
            UsageError: if it belongs to another state, or another daemon has locked it.
            Blocked, Deferred: if it cannot be locked, or its marker cannot be written.
        """
        try:
            named = read_marker(self._inbox)
        except (Blocked, Deferred):
            return  # `check` raises it again
        self._enter(named)

    def check(self) -> None:
        """As `lock`.

        Raises:
            Blocked, Deferred: if the inbox must not be scanned now.
        """
        try:
            self._enter(read_marker(self._inbox))
        except UsageError as error:
            self._release()
            raise Blocked(str(error), "", temporary=True) from error
        require_marker(self._inbox)

    def close(self) -> None:
        """Unlock the inbox permanently: a scan that is still running must not lock it again."""
        self._closed = True
        self._release()

    def _enter(self, named: str | None) -> None:
        """``named`` is what `read_marker` returned."""
        self._owner.refuse_another(self._inbox, named)
        path = self._inbox / lock.LOCK
        if self._lock is not None and not self._lock.holds(path):
            self._release()
        if not self._closed and self._lock is None and named is not None:
            what = f"the inbox {self._inbox}"
            is_exported = _is_exported(self._inbox)
            if self._shared_name is None:
                self._lock = Lock.take(path, what, is_exported=is_exported)
            else:
                self._lock = Lock.share(path, what, self._shared_name, is_exported=is_exported)
        if self._closed:  # another thread has called `close` meanwhile
            self._release()
        if named == UNNAMED:
            # Only with the lock, so that of two daemons that start at once the one that has the lock names the marker.
            self._owner.refuse_another(self._inbox, name_marker(self._inbox, self._owner.state))

    def _release(self) -> None:
        held, self._lock = self._lock, None
        if held is not None:
            held.release()


def locked_inbox(inbox: Path) -> Lock:
    """Lock the inbox against all daemons.

    Raises:
        InUse: if one of them works on it.
        Blocked, Deferred: if it cannot be locked.
    """
    return Lock.take(inbox / lock.LOCK, f"the inbox {inbox}", is_exported=_is_exported(inbox))


def _is_exported(inbox: Path) -> bool:
    return not mounts.is_network(mounts.file_system_of(inbox))


def require_own_inbox(config: Config, state: str) -> None:
    """Make sure that the inbox does not belong to another state, as far as its share answers.

    Raises:
        UsageError: if it does.
    """
    inbox = config.folders.inbox
    if inbox not in mounts.responding([inbox], _RESPONSE_SECONDS):
        return
    with suppress(Blocked, Deferred):
        InboxOwner(state, config.path).refuse_another(inbox, read_marker(inbox))


def state_name(tx: Transaction) -> str:
    """The name of this state in the lock of the inbox. A state that replaces a lost one has another name."""
    if tx.key_values.read(_NAME) is None:
        tx.key_values.write(_NAME, os.urandom(8).hex())
    return str(tx.key_values.read(_NAME))


def marked_folders(tx: Transaction) -> list[str]:
    """The folders that were used with this state."""
    return tx.key_values.read(_MARKED) or []


def set_marked_folders(tx: Transaction, folders: list[str]) -> None:
    """Record that these folders were used with this state, so that none of them is made again."""
    tx.key_values.write(_MARKED, folders)


def mark_folders(config: Config, tx: Transaction, owner: InboxOwner, *, shared: bool) -> None:
    """Make and mark the folders that were not used with this state before. Others are never made again.

    Only the inbox must belong to the state, and it is `InboxGate` that names it. Several states may use the other
    folders, whose markers name the first one.

    Raises:
        UsageError: if a new inbox belongs to another state, or a new marker is another file.
        Blocked, Deferred: if a folder cannot be made, or if another machine has marked it and it is missing here.
    """
    before = marked_folders(tx)
    folders = config.folders
    if str(folders.inbox) not in before:
        owner.refuse_another(folders.inbox, read_marker(folders.inbox))
    marked = [*before]
    for folder in folders.roots.values():
        if str(folder) in before:
            continue
        if shared and before:
            # Another machine has marked this folder, perhaps under another path. A new one would exist only here.
            require_marker(folder)
        elif not os.path.exists(folder):  # noqa: PTH110 -- Path.exists raises errors that `make` explains better
            make(folder)
            with directories.opened(folder) as made:
                directories.set_permissions(made.descriptor, folders.dir_mode, folders.group)
        make_marker(folder)
        marked.append(str(folder))
    if marked != before:
        set_marked_folders(tx, marked)
    _name_markers(config, tx, owner)


def _name_markers(config: Config, tx: Transaction, owner: InboxOwner) -> None:
    """Name the markers of the other folders than the inbox. What is not mounted now has its turn at a later start."""
    before = tx.key_values.read(_NAMED) or []
    named = [*before]
    for folder in config.folders.roots.values():
        if str(folder) in before or folder == config.folders.inbox:
            continue
        with suppress(Blocked, Deferred):
            if name_marker(folder, owner.state) is not None:
                named.append(str(folder))
    if named != before:
        tx.key_values.write(_NAMED, named)
