"""Other daemons on the same state: what they have changed, and the jobs that absent ones have left claimed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sorawatch.core.lifecycle import interrupt_submit

if TYPE_CHECKING:
    from collections.abc import Collection

    from sorawatch.core.job import Change, Job
    from sorawatch.edges.store import Transaction

_INTERVAL = 2.0
"""Seconds between two checks of which daemons are there."""
_ABSENT_SECONDS = 6.0
"""How long a daemon must be away before it counts as gone: a database that restarts disconnects all of them."""
_SHARE_DELAY = 60.0
"""Seconds for which a share may show different machines different contents."""


class PeerMonitor:
    """Used from the daemon's thread. A state that is not shared has no peers, only claims of earlier runs."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._last_change = 0
        """The number of the history's last entry that is known here."""
        self._absent_since: dict[str, float] = {}
        self._due_at = 0.0
        self.interval = _INTERVAL if shared else float("inf")
        """Seconds between two turns at the most."""
        self.missing_seconds = _SHARE_DELAY if shared else 0.0
        """How long a pair must be gone from here before it counts as taken away."""

    def start(self, tx: Transaction) -> list[Change]:
        """Called once. A daemon that is alone takes over what an earlier run left at once.

        Returns:
            The jobs that changed, before and after.
        """
        if not self._shared:
            return _take_over(tx, tx.peers.absent())
        tx.peers.clear_status()
        self._last_change = tx.peers.last_change()
        return []

    def check(self, tx: Transaction) -> tuple[list[Job], list[Change]]:
        """Called at every turn, before anything is claimed.

        Returns:
            The jobs that any daemon has changed since the last turn, and those that changed now, before and after.
        """
        if not self._shared:
            return [], []
        since, self._last_change = self._last_change, tx.peers.last_change()
        changed = tx.peers.changed_since(since) if self._last_change != since else []
        now = time.monotonic()
        if now < self._due_at:
            return changed, []
        self._due_at = now + _INTERVAL
        self._absent_since = {owner: self._absent_since.get(owner, now) for owner in tx.peers.absent()}
        gone = [owner for owner, since in self._absent_since.items() if now - since >= _ABSENT_SECONDS]
        return changed, _take_over(tx, gone)


def _take_over(tx: Transaction, gone: Collection[str]) -> list[Change]:
    """Release the claims of these daemons. Submits that nobody has claimed are uncertain from now on."""
    changes: list[Change] = []
    for job in tx.peers.release_claims(gone):
        after = interrupt_submit(job, tx.now)
        tx.jobs.save(after, job)
        changes.append((job, after))
    return changes
