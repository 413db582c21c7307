"""The state with its ledger: what a turn bought or settled is on disk in both before anything follows from it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sorawatch.core.purchase import Purchase, untold
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.edges.ledger import Ledger
    from sorawatch.edges.store import Store, Transaction

_RETRY_SECONDS = 5.0
"""Between two tries to write the ledger."""


class LedgeredStore:
    """A `Store` as the daemon uses it, from its thread."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._in_doubt = False
        """The last transaction failed, and may be on disk all the same."""
        self.is_shared = store.is_shared
        self.was_written_by_others = store.was_written_by_others

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction. What it adds to the ledger is written after it is on disk.

        Raises:
            Blocked: if the state cannot be written; or, where the transaction bought anything, the ledger.
        """
        purchases: list[Purchase] = []
        try:
            with self._store.transaction() as tx:
                yield tx
                if self._in_doubt:
                    purchases = [*tx.purchases.all().values()]
        except Blocked:
            self._in_doubt = True
            raise
        try:
            self._ledger.write(tx.entries)
            if self._in_doubt:
                self._ledger.write(untold(purchases, self._ledger.read()))
                self._in_doubt = False
        except Blocked:
            # Anything but a purchase can be written later; meanwhile what is paid for is fetched.
            if any(isinstance(entry, Purchase) for entry in tx.entries):
                raise

    @property
    def pause_reason(self) -> str | None:
        """Why nothing may be submitted, if the ledger could not be written."""
        error = self._ledger.write_error
        return None if error is None else f"{error}. {error.hint}".rstrip(".")

    @property
    def retry_in(self) -> float:
        """Seconds until the next turn at the most."""
        return float("inf") if self._ledger.write_error is None else _RETRY_SECONDS
