"""The state with its ledger: what a turn bought or settled is told to both before anything follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sorawatch.core.purchase import Purchase, untold
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from sorawatch.edges.ledger import Ledger
    from sorawatch.edges.store import Store, Transaction

_PAUSE = 5.0
"""Seconds between two tries to write the ledger."""


class LedgeredStore:
    """A `Store` as the daemon works on it. Used from its thread."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._in_doubt = False
        """The last transaction failed, and can be on disk all the same."""
        self.is_shared = store.is_shared
        self.touched = store.touched

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction, and what it adds to the ledger after it is on disk.

        Raises:
            Blocked: if the state cannot be written; or, where the turn bought anything, the ledger.
        """
        all_known: list[Purchase] = []
        try:
            with self._store.transaction() as tx:
                yield tx
                if self._in_doubt:
                    all_known = [*tx.orders.all().values()]
        except Blocked:
            self._in_doubt = True
            raise
        try:
            self._ledger.write(tx.entries)
            if self._in_doubt:
                self._ledger.write(untold(all_known, self._ledger.read()))
                self._in_doubt = False
        except Blocked:
            # Anything else is entered later: what is paid for is fetched meanwhile.
            if any(isinstance(entry, Purchase) for entry in tx.entries):
                raise

    @property
    def objection(self) -> str | None:
        """Why nothing may be submitted, if the ledger could not be written."""
        trouble = self._ledger.trouble
        return None if trouble is None else f"{trouble}. {trouble.hint}".rstrip(".")

    @property
    def rest(self) -> float:
        """Seconds until the next turn at the most."""
        return float("inf") if self._ledger.trouble is None else _PAUSE
