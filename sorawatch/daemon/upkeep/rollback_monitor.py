"""Notices that a shared state has gone back, and compares the ledger and the work folder of this machine with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.daemon.upkeep import state_rollback
from sorawatch.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.core.incarnation import Incarnation
    from sorawatch.daemon.upkeep.state_rollback import Machine
    from sorawatch.edges.store import Transaction


class RollbackMonitor:
    """Used from the daemon's thread. A state that is not shared cannot go back while it is in use."""

    def __init__(self, machine: Machine | None = None, reconcile: Callable[[Transaction], int] = lambda _: 0) -> None:
        """``machine`` is None if the state is not shared.

        ``reconcile`` adds to the state what only this machine knows, and returns the number of orders that it added.
        """
        self._machine = machine
        self._reconcile = reconcile
        self._connection: object = None
        """The connection on which the ledger was last compared with the state. A new one may lead elsewhere."""
        self._incarnation: Incarnation | None = None
        self._reason: str | None = None

    @property
    def pause_reason(self) -> str | None:
        """Why nothing may be submitted, as of the last `check`."""
        return self._reason

    def check(self, tx: Transaction) -> bool:
        """Called first in every turn, and at the start.

        Returns:
            Whether the state has gone back since the last call, so that what the daemon knows of it is out of date.
        """
        machine = self._machine
        if machine is None:
            return False
        went_back = state_rollback.has_another_history(tx)
        connection, incarnation, before = tx.peers.connection(), tx.peers.incarnation(), self._incarnation
        # Another daemon may have noticed it first.
        went_back |= incarnation is not None and before is not None and not incarnation.continues(before)
        went_back |= state_rollback.is_awaited(tx, machine)
        if went_back or connection != self._connection:
            try:
                added = self._reconcile(tx)
            except Blocked as error:
                # Compare again in the next turn. Until then nothing is submitted, but all else goes on.
                state_rollback.register(tx, machine)
                self._reason, self._incarnation = f"{error}. {error.hint}".rstrip(". "), incarnation
                return went_back
            if added and not went_back:
                # The ledger is written after each commit, so it never has more than the state had.
                state_rollback.await_all(tx)
                went_back = True
            state_rollback.has_reconciled(tx, machine)
        state_rollback.register(tx, machine)
        self._reason = state_rollback.pause_reason(tx)
        self._connection, self._incarnation = connection, incarnation
        return went_back

    def forget(self) -> None:
        """Compare again in the next turn, because the last transaction failed."""
        self._connection = None
