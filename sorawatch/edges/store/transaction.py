"""One transaction: the tables of the state, grouped by what they hold.

All SQL is in expressions that SQLite and PostgreSQL both understand.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sorawatch.edges.store.batches import Batches
from sorawatch.edges.store.claims import Claims
from sorawatch.edges.store.clock import database_time
from sorawatch.edges.store.commands import CommandQueue
from sorawatch.edges.store.jobs import JobTable
from sorawatch.edges.store.key_values import KeyValues
from sorawatch.edges.store.listing import JobListing
from sorawatch.edges.store.orders import Orders
from sorawatch.edges.store.peers import Peers
from sorawatch.edges.store.purchases import PurchaseTable
from sorawatch.edges.store.session import Session
from sorawatch.edges.store.spending import SpendingQueries

if TYPE_CHECKING:
    import sqlalchemy as sa

    from sorawatch.core.purchase import LedgerEntry
    from sorawatch.edges.store.database import Database


class Transaction:
    """Made by `Store.transaction`, and of no use after it."""

    def __init__(
        self, connection: sa.Connection, owner: str, database: Database, lease_ms: int, now: int | None = None
    ) -> None:
        """``now`` is milliseconds since 1970, in place of the database's clock."""
        self.now = database_time(connection) if now is None else now
        """Milliseconds of the store's clock when the transaction began."""
        self._session = Session(connection, owner, database, self.now, lease_ms)

    @property
    def entries(self) -> list[LedgerEntry]:
        """What is to be written into the ledger once the transaction is on disk."""
        return self._session.entries

    @cached_property
    def jobs(self) -> JobTable:
        """Jobs and their history."""
        return JobTable(self._session)

    @cached_property
    def listing(self) -> JobListing:
        """Jobs by state and folder, for the status."""
        return JobListing(self._session)

    @cached_property
    def claims(self) -> Claims:
        """Which jobs are due, and which this daemon works on."""
        return Claims(self._session)

    @cached_property
    def batches(self) -> Batches:
        """Orders that wait together for approval."""
        return Batches(self._session)

    @cached_property
    def purchases(self) -> PurchaseTable:
        """What was bought, one by one."""
        return PurchaseTable(self._session)

    @cached_property
    def orders(self) -> Orders:
        """Whether the same was ordered before."""
        return Orders(self._session)

    @cached_property
    def spending(self) -> SpendingQueries:
        """What was spent, in sums and for reports."""
        return SpendingQueries(self._session)

    @cached_property
    def commands(self) -> CommandQueue:
        """What people ask for."""
        return CommandQueue(self._session)

    @cached_property
    def key_values(self) -> KeyValues:
        """Values by key."""
        return KeyValues(self._session)

    @cached_property
    def peers(self) -> Peers:
        """The daemons that share this state."""
        return Peers(self._session)
