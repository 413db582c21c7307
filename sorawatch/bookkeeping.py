"""The state with its ledger: what a turn bought or settled is told to both before anything follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sorawatch.core.purchase import Purchase
from sorawatch.edges.ledger import Ledger
from sorawatch.edges.store import Store, Turn
from sorawatch.errors import Blocked


class Bookkeeping:
    """A `Store` as the daemon works on it. Used from its thread."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self.is_shared = store.is_shared
        self.touched = store.touched

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One transaction, and what it adds to the ledger after it is on disk.

        Raises:
            Blocked: if the state cannot be written; or, where the turn bought anything, the ledger.
        """
        with self._store.turn() as turn:
            yield turn
        try:
            self._ledger.write(turn.entries)
        except Blocked:
            # Anything else is entered later: what is paid for is fetched meanwhile.
            if any(isinstance(entry, Purchase) for entry in turn.entries):
                raise

    @property
    def objection(self) -> str | None:
        """Why nothing may be submitted, if the ledger could not be written."""
        trouble = self._ledger.trouble
        return None if trouble is None else f"{trouble}. {trouble.mend}"
