"""All circuit breakers together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.core.pause import Pause
    from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker
    from sorawatch.daemon.submission.lost_answers_breaker import LostAnswersBreaker
    from sorawatch.daemon.submission.same_refusals_breaker import SameRefusalsBreaker
    from sorawatch.edges.store import Transaction


@dataclass(frozen=True, slots=True)
class Breakers:
    """What stops submissions: causes that were named, answers that were lost, refusals that say the same."""

    causes: CircuitBreaker
    lost_answers: LostAnswersBreaker
    same_refusals: SameRefusalsBreaker

    def has_room(self, tx: Transaction, model: str, price: int | None) -> bool:
        """Whether an order for this model, at this price in micro-dollars, may be sent now."""
        if not self.causes.lets_through(model, tx.now, lambda: tx.jobs.submitting(model)):
            return False
        return price == 0 or self.lost_answers.room(tx, model) > 0

    @property
    def pauses(self) -> Iterator[Pause]:
        """What is open now. A model that repeated refusals stop is among the causes."""
        for circuit in (*self.causes, *self.lost_answers):
            yield circuit.pause

    def key_changed(self) -> bool:
        """Whether an API key was refused, and there may be another by now."""
        return self.causes.key_changed(refused=any(each.known.key_related for each in self.lost_answers))

    def clear(self, tx: Transaction, *, for_new_key: bool = False) -> None:
        """Close all: a person says that the cause is gone, or there is another API key (``for_new_key``)."""
        self.causes.clear()
        self.lost_answers.clear(tx, for_new_key=for_new_key)
        if not for_new_key:
            self.same_refusals.clear(tx)
