"""What is remembered of concurrency and pace between admissions, kept in notes of the state."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sorawatch.core.concurrency_limit import ConcurrencyLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.edges.store import Transaction

_CONCURRENCY, _PACES = "allowance", "paces"


def concurrency_limit(tx: Transaction) -> ConcurrencyLimit | None:
    """How many videos the server makes for us at once, if that is fewer than the configuration allows."""
    note = tx.key_values.read(_CONCURRENCY)
    return note and ConcurrencyLimit(**note)


def write_concurrency_limit(tx: Transaction, limit: ConcurrencyLimit | None) -> None:
    """Keep the limit; None where the server takes as many as the configuration allows."""
    tx.key_values.write(_CONCURRENCY, limit and asdict(limit))


def paced_until(tx: Transaction, file: str = "") -> int:
    """`Usage.paced_until` of the limits that ``file`` sets; by default those of the configuration."""
    until: int = (tx.key_values.read(_PACES) or {}).get(file, 0)
    return until


def write_paces(tx: Transaction, paces: Mapping[str, int]) -> None:
    """Keep `Usage.paced_until` by the files that set the limits, as long as it is in the future."""
    before = tx.key_values.read(_PACES) or {}
    after = {file: until for file, until in {**before, **paces}.items() if until > tx.now}
    if after != before:
        tx.key_values.write(_PACES, after)
