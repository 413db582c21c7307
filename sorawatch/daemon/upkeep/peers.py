"""Other daemons on the same state: this one hears what they do, and goes on with what one that is gone has left."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from sorawatch.core.lifecycle import met_after_a_crash

if TYPE_CHECKING:
    from sorawatch.core.job import Change, Job
    from sorawatch.edges.store import Transaction

_PAUSE = 2.0
"""Seconds between two looks at who is there."""
_PATIENCE = 6.0
"""Seconds for which a daemon is missed before it counts as gone: a database that starts anew lets all of them go."""
_SIGHT = 60.0
"""Seconds for which a share may show each machine another state of itself."""


class PeerMonitor:
    """Used from the daemon's thread. Where a state is never shared there are none, but for those of earlier runs."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = shared
        self._heard = 0
        """The last line of the history that is known here."""
        self._missed: dict[str, float] = {}
        self._due_at = 0.0
        self.rest = _PAUSE if shared else float("inf")
        """Seconds between two turns at the most."""
        self.patience = _SIGHT if shared else 0.0
        """Seconds for which a pair must be gone from here before it counts as taken away."""

    def begin(self, tx: Transaction) -> list[Change]:
        """At the start. A daemon that is alone goes on with everything at once.

        Returns:
            The jobs that changed, as they were and as they are.
        """
        if not self._shared:
            return _inherit(tx, tx.peers.gone())
        tx.peers.clear_boards()
        self._heard = tx.peers.last_line()
        return []

    def heed(self, tx: Transaction) -> tuple[list[Job], list[Change]]:
        """At every turn, before anything is claimed.

        Returns:
            The jobs that anybody has changed since, and those that changed now, as they were and as they are.
        """
        if not self._shared:
            return [], []
        since, self._heard = self._heard, tx.peers.last_line()
        news = tx.peers.news(since) if self._heard != since else []
        now = time.monotonic()
        if now < self._due_at:
            return news, []
        self._due_at = now + _PAUSE
        self._missed = {owner: self._missed.get(owner, now) for owner in tx.peers.gone()}
        gone = [owner for owner, missed in self._missed.items() if now - missed >= _PATIENCE]
        return news, _inherit(tx, gone)


def _inherit(tx: Transaction, gone: Collection[str]) -> list[Change]:
    """Void what these have claimed; nobody waits any more for what became of submits that nobody has claimed."""
    changes: list[Change] = []
    for job in tx.peers.void(gone):
        after = met_after_a_crash(job, tx.now)
        tx.save(after, job)
        changes.append((job, after))
    return changes
