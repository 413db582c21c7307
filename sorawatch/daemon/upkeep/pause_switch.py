"""Whether submissions are paused by `sorawatch pause`. This is kept under one key in the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction

_KEY = "paused"


def is_paused(tx: Transaction) -> bool:
    """Whether submissions are paused."""
    return "since" in (tx.key_values.read(_KEY) or {})


def resumed_at(tx: Transaction) -> int | None:
    """When submissions were last resumed, in milliseconds of the store's clock; None if unknown."""
    at: int | None = (tx.key_values.read(_KEY) or {}).get("resumed")
    return at


def set_paused(tx: Transaction, *, paused: bool) -> None:
    """Pause or resume submissions."""
    tx.key_values.write(_KEY, {"since" if paused else "resumed": tx.now})
