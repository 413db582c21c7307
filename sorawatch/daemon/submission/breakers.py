"""The three circuit breakers, used together."""

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
    """The circuit breakers for named causes, for lost answers, and for repeated refusals."""

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
        """A pause for each open circuit. Repeated refusals of a model open a circuit in ``causes``."""
        for circuit in (*self.causes, *self.lost_answers):
            yield circuit.pause

    def key_changed(self) -> bool:
        """Whether an API key was refused, and has changed since."""
        return self.causes.key_changed(refused=any(each.known.key_related for each in self.lost_answers))

    def clear(self, tx: Transaction, *, for_new_key: bool = False) -> None:
        """Close all circuits after `resume`. With ``for_new_key``, close those that another API key may end."""
        self.causes.clear()
        self.lost_answers.clear(tx, for_new_key=for_new_key)
        if not for_new_key:
            self.same_refusals.clear(tx)
