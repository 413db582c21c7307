"""The four folders as a daemon holds them: made, marked, and the inbox locked against daemons with another state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.app.state import make
from sorawatch.edges import lock, outbox
from sorawatch.edges.lock import Lock
from sorawatch.errors import Blocked, UsageError

if TYPE_CHECKING:
    from sorawatch.config import Config
    from sorawatch.edges.store import Transaction


class InboxGate:
    """Keeps this daemon from looking at an inbox that is not there, or on which one with another state works."""

    def __init__(self, inbox: Path, company: str | None) -> None:
        """``company`` is the name of the state where that is shared."""
        self._inbox = inbox
        self._company = company
        self._lock: Lock | None = None

    def hold(self) -> None:
        """Lock the inbox if it is there. Of one that is gone, or another by now, nothing is kept hold of.

        Raises:
            UsageError: if another daemon has it.
        """
        if self._lock is not None and not self._lock.holds(self._inbox / lock.MARKER):
            self.release()
        if self._lock is None and lock.is_marked(self._inbox):
            marker, what = self._inbox / lock.MARKER, f"the inbox {self._inbox}"
            if self._company is None:
                self._lock = Lock.take(marker, what, make=False)
            else:
                self._lock = Lock.share(marker, what, self._company)

    def check(self) -> None:
        """Raises: Blocked: if the inbox must not be looked at now."""
        try:
            self.hold()
        except UsageError as error:
            raise Blocked(str(error), "Stop the other one.", passing=True) from error
        lock.require_marker(self._inbox)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def name_of(tx: Transaction) -> str:
    """The name of this state, which no other has."""
    if tx.note("name") is None:
        tx.write_note("name", os.urandom(8).hex())
    return str(tx.note("name"))


def mark_folders(config: Config, tx: Transaction, *, shared: bool) -> None:
    """Make and mark the folders this state has not worked with yet; those it has are never made again.

    Raises:
        Blocked, Deferred: if one cannot be made, or was marked by another machine and is not to be found here.
    """
    marked = tx.note("marked") or []
    folders = config.folders
    others = bool(marked)
    for folder in folders.roots.values():
        if str(folder) not in marked:
            if shared and others:
                # Only its place differs from machine to machine; a new folder would be one on this machine alone.
                lock.require_marker(folder)
            elif not os.path.exists(folder):  # noqa: PTH110 -- the other way raises what only making it explains
                make(folder)
                outbox.grant(folder, folders.dir_mode, folders.group)
            lock.write_marker(folder)
            marked.append(str(folder))
    if marked != tx.note("marked"):
        tx.write_note("marked", marked)
