"""The UUID of a state, by which markers and ledgers name it. It outlives upgrades, backups and moves of the state."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sorawatch.edges.ledger import Ledger, LedgerHeader

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

_KEY = "uuid"


def known_state_id(tx: Transaction) -> str | None:
    """The UUID of the state; None if it has none yet, because only an older version has used it."""
    known: str | None = tx.key_values.read(_KEY)
    return known


def state_id(tx: Transaction, ledger: Ledger, *, replaces_lost: bool) -> str:
    """The UUID of the state, which is given one if it has none.

    Args:
        replaces_lost: the state may replace a lost one, or be an older copy. Then it has the UUID of its ledger.

    Raises:
        Blocked: if the ledger cannot be read.
    """
    known = known_state_id(tx)
    if known is None:
        states = ledger.states() if replaces_lost else set()
        known = states.pop() if len(states) == 1 else str(uuid.uuid4())
        tx.key_values.write(_KEY, known)
    return known


def write_header(ledger: Ledger, state: str) -> LedgerHeader:
    """Write the header of the ledger, unless it names ``state`` already.

    Raises:
        Blocked: if it cannot be read or written.
    """
    before = ledger.header()
    if before is not None and before.state == state:
        return before
    header = LedgerHeader(str(uuid.uuid4()) if before is None else before.ledger, state)
    ledger.write([header])
    return header
