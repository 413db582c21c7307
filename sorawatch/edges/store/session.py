"""What the parts of one transaction share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sorawatch.edges.store.rows import job_of, purchase_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from sorawatch.core.job import Job, State
    from sorawatch.core.purchase import LedgerEntry, Purchase
    from sorawatch.edges.store.database import Database


@dataclass(slots=True)
class Session:
    """One transaction's connection, its time, and what it has read and written so far."""

    connection: sa.Connection
    owner: str
    """This daemon's name in leases."""
    database: Database
    now: int
    """Milliseconds of the store's clock when the transaction began."""
    lease_ms: int
    """Milliseconds for which a claim holds unless it is renewed."""
    claimable: set[State] | None = None
    """States with jobs to claim; None where a write may have changed them since they were read."""
    prefetched: dict[str, Job] = field(default_factory=dict)
    """Jobs that were read ahead and have not been asked for or changed since, by their ids."""
    last_turns: dict[State, int] = field(default_factory=dict)
    """The number of the last turn of any folder in each state, once it was read."""
    entries: list[LedgerEntry] = field(default_factory=list)
    """What is to be written into the ledger once the transaction is on disk."""

    def jobs(self, query: sa.sql.expression.Executable, parameters: Mapping[str, Any] | None = None) -> list[Job]:
        return [job_of(row) for row in self.connection.execute(query, parameters)]

    def first_job(self, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> Job | None:
        row = self.connection.execute(query, parameters).first()
        return None if row is None else job_of(row)

    def purchases(self, query: sa.Select[Any], parameters: Mapping[str, Any] | None = None) -> list[Purchase]:
        return [purchase_in(row) for row in self.connection.execute(query, parameters).mappings()]
