"""How many videos the server makes for us at once, kept in a note of the state."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sorawatch.core.concurrency_limit import ConcurrencyLimit

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

_NOTE = "allowance"


def allowance(tx: Transaction) -> ConcurrencyLimit | None:
    """The limit, if it is lower than what the configuration allows."""
    note = tx.note(_NOTE)
    return note and ConcurrencyLimit(**note)


def write_allowance(tx: Transaction, limit: ConcurrencyLimit | None) -> None:
    """Keep the limit; None where the server takes as many as the configuration allows."""
    tx.write_note(_NOTE, limit and asdict(limit))
