"""What is used up of the limits; the concurrency limit and the pace are kept in the state between admissions."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from sorawatch.core.budget import Usage
from sorawatch.core.concurrency_limit import ConcurrencyLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.core.budget import LimitScope
    from sorawatch.core.calendar import Period
    from sorawatch.edges.store import Transaction

_CONCURRENCY, _PACES = "allowance", "paces"


def concurrency_limit(tx: Transaction) -> ConcurrencyLimit | None:
    """The concurrency limit of the server, or None if it is not lower than that of the configuration."""
    value = tx.key_values.read(_CONCURRENCY)
    return value and ConcurrencyLimit(**value)


def write_concurrency_limit(tx: Transaction, limit: ConcurrencyLimit | None) -> None:
    """Save the limit; None if it is not lower than that of the configuration."""
    tx.key_values.write(_CONCURRENCY, limit and asdict(limit))


def paced_until(tx: Transaction, file: str = "") -> int:
    """`Usage.paced_until` for the limits in ``file``; by default for those of the configuration."""
    until: int = (tx.key_values.read(_PACES) or {}).get(file, 0)
    return until


def usage(tx: Transaction, scope: LimitScope, day: Period, month: Period) -> Usage:
    """What is used up of the limits of ``scope`` now. Only what has a limit is looked up; the rest is 0."""
    limits, folder, spent = scope.limits, scope.folder, tx.spending.spent
    return Usage(
        in_flight=0 if limits.in_flight is None else tx.jobs.in_flight(folder),
        micros_today=0 if limits.micros_per_day is None else spent(day.begins, folder),
        micros_this_month=0 if limits.micros_per_month is None else spent(month.begins, folder),
        paced_until=paced_until(tx, scope.file),
    )


def write_paces(tx: Transaction, paces: Mapping[str, int]) -> None:
    """Save `Usage.paced_until` by file. Times in the past are removed."""
    before = tx.key_values.read(_PACES) or {}
    after = {file: until for file, until in {**before, **paces}.items() if until > tx.now}
    if after != before:
        tx.key_values.write(_PACES, after)
