"""Other daemons on the same state: finds the jobs they have changed, and releases the claims of absent daemons."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sorawatch.core.lifecycle import interrupt_submit

if TYPE_CHECKING:
    from collections.abc import Collection

    from sorawatch.core.job import Change, Job
    from sorawatch.edges.store import Transaction

_INTERVAL = 2.0
"""Seconds between two checks for absent daemons."""
ABSENT_SECONDS = 10.0
"""Seconds without a connection after which a daemon counts as ended. A restart of the database disconnects all."""
_SHARE_DELAY = 60.0
"""Seconds for which a share may show different contents to different machines."""


class PeerMonitor:
    """Used from the daemon's thread. If the state is not shared, there are no peers, only claims of earlier runs."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._last_change = 0
        """The number of the last history entry that this daemon has read."""
        self._absent_since: dict[str, float] = {}
        self._due_at = 0.0
        self.interval = _INTERVAL if shared else float("inf")
        """Maximum seconds between two turns."""
        self.missing_seconds = _SHARE_DELAY if shared else 0.0
        """Seconds for which a pair must be missing on this machine before it counts as removed."""

    def start(self, tx: Transaction) -> list[Change]:
        """Called once at the start. If the state is not shared, release the claims of earlier runs.

        Returns:
            The jobs that changed, before and after.
        """
        if not self._shared:
            return _take_over(tx, tx.peers.absent())
        tx.peers.clear_status()
        self._last_change = tx.peers.last_change()
        return []

    def begin_again(self, tx: Transaction) -> None:
        """Follow the changes from here on, because the state has gone back."""
        self._last_change = tx.peers.last_change()

    def check(self, tx: Transaction) -> tuple[list[Job], list[Change]]:
        """Called in every turn, before jobs are claimed.

        Returns:
            The jobs that any daemon has changed since the last turn, and the jobs that this call changed, before and
            after.
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
        ended = [owner for owner, since in self._absent_since.items() if now - since >= ABSENT_SECONDS]
        return changed, _take_over(tx, ended)


def _take_over(tx: Transaction, owners: Collection[str]) -> list[Change]:
    """Release the claims of these daemons. Their interrupted submits become uncertain."""
    changes: list[Change] = []
    for job in tx.peers.release_claims(owners):
        after = interrupt_submit(job, tx.now)
        tx.jobs.save(after, job)
        changes.append((job, after))
    return changes
