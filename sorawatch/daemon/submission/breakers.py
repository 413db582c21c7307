"""The circuit breakers together: what stops submissions, as one question and one reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker
    from sorawatch.daemon.submission.lost_answers_breaker import LostAnswersBreaker
    from sorawatch.daemon.submission.same_refusals_breaker import SameRefusalsBreaker
    from sorawatch.edges.store import Transaction


@dataclass(frozen=True, slots=True)
class Breakers:
    """What stops submissions: causes that a server named, answers that got lost, refusals that say the same."""

    blocks: CircuitBreaker
    lost: LostAnswersBreaker
    refusals: SameRefusalsBreaker

    def has_room(self, tx: Transaction, model: str, price: int | None) -> bool:
        """Whether an order for this model, at this price in micro-dollars, may be sent now."""
        if not self.blocks.lets_through(model, tx.now, lambda: tx.being_sent(model)):
            return False
        return price == 0 or self.lost.room(tx, model) > 0

    def key_changed(self) -> bool:
        """Whether an API key was refused, and another may be there by now."""
        return self.blocks.key_changed(refused=any(each.known.keyed for each in self.lost))

    def clear(self, tx: Transaction, *, keyed: bool = False) -> None:
        """Forget all: a person says that the cause is gone. With ``keyed`` there is another API key."""
        self.blocks.clear()
        self.lost.clear(tx, keyed=keyed)
        if not keyed:
            self.refusals.clear(tx)
