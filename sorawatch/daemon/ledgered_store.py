"""The state together with its ledger: purchases are written to both before anything is sent to the server."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from sorawatch.core.purchase import Purchase, untold
from sorawatch.edges.store import AGREEMENT
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.edges.ledger import Ledger
    from sorawatch.edges.store import Store, Transaction

_RETRY_SECONDS = 5.0
"""Seconds between two attempts to write the ledger."""


class LedgeredStore:
    """The `Store` that the daemon uses. Used from the daemon's thread."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        self._in_doubt = False
        """The last transaction failed, but may have been committed nevertheless."""
        self.is_shared = store.is_shared
        self.was_written_by_others = store.was_written_by_others
        self.was_reconnected = store.was_reconnected

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction. Its ledger entries are written after it was committed.

        Raises:
            Blocked: if the state cannot be written, or the ledger after a transaction with a purchase.
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
            # A ledger that was removed is written anew, from the purchases that the next transaction reads.
            self._in_doubt = self._ledger.was_lost
        except Blocked:
            # Other entries can be written later, so that paid clips are still downloaded meanwhile.
            if any(isinstance(entry, Purchase) for entry in tx.entries):
                raise

    def note_agreement(self) -> None:
        """Write down that state and ledger agree, so that the next start need not compare them.

        Called before the state is closed in order. `Store.transaction` forgets it with the next entry for the ledger.
        """
        if self.is_shared or self._in_doubt or not self._ledger.is_complete:
            return
        with suppress(Blocked), self._store.transaction() as tx:
            tx.key_values.write(AGREEMENT, self._ledger.fingerprint())

    @property
    def pause_reason(self) -> str | None:
        """Why nothing may be submitted: the error of the ledger. None if the ledger was written."""
        error = self._ledger.write_error
        return None if error is None else f"{error}. {error.hint}".rstrip(".")

    @property
    def retry_in(self) -> float:
        """Maximum seconds until the next turn, which writes the ledger again; infinite if there was no error."""
        return float("inf") if self._ledger.write_error is None else _RETRY_SECONDS
