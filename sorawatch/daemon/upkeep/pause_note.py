"""Whether a person has paused submissions, kept in a note of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

_NOTE = "paused"


def is_paused(tx: Transaction) -> bool:
    """Whether submissions are paused."""
    return "since" in (tx.notes.read(_NOTE) or {})


def resumed_at(tx: Transaction) -> int | None:
    """When submissions were last resumed, in milliseconds of the store's clock."""
    at: int | None = (tx.notes.read(_NOTE) or {}).get("resumed")
    return at


def set_paused(tx: Transaction, *, paused: bool) -> None:
    """Pause or resume submissions."""
    tx.notes.write(_NOTE, {"since" if paused else "resumed": tx.now})
