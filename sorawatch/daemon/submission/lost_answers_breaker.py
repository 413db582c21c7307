"""The circuit breaker for lost answers: limits how many paid orders are sent while answers to submits are lost.

Its data are kept in the state, so that a restart does not send more orders. There is a separate circuit for each
server and model. Submits that were interrupted by a crash do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core import lost_answers as core
from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.pause import Pause
from sorawatch.core.waits import Waits, is_due
from sorawatch.daemon.submission.server_values import ServerValues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.core.lost_answers import LostAnswers
    from sorawatch.edges.store import Transaction

_KEY = "lost-answers"
_EVERY_MODEL = ""
_UNLIMITED = 1_000_000
_HORIZON = 2 * 3_600_000
"""Milliseconds. If a probe is due later than this, the clock was set back."""
_UNRESOLVED = frozenset({State.SUBMITTING, State.UNCERTAIN, State.HELD})


@dataclass(frozen=True, slots=True)
class OpenLostAnswers:
    """An open circuit. ``model`` is empty if it applies to all models."""

    model: str
    known: LostAnswers

    @property
    def waits_long(self) -> bool:
        """Whether the first paid probe failed, so that the circuit stays open for an hour or until `resume`."""
        return self.known.waits_for_a_person or self.known.probes > 0

    @property
    def pause(self) -> Pause:
        """The pause that is shown to the user."""
        count = len(self.known.jobs)
        lost = "the answer to an order was lost" if count == 1 else f"the answers to {count} orders were lost"
        reason = f"{lost}, so no further order that costs money is sent yet: {self.known.reason}"
        ways = "Each is looked for. The server's own site shows whether it was taken."
        hint = f"{self.known.hint} {ways} `sorawatch resume` sends the next order at once.".strip()
        return Pause(reason, hint, self.known.until, model=self.model)


class LostAnswersBreaker:
    """The circuits of one server. Used from the daemon's thread, within a turn."""

    def __init__(self, server: str, waits: Waits) -> None:
        """``server`` is the base URL."""
        self._values = ServerValues(_KEY, server)
        self.waits = waits
        self._proven: set[str] = set()
        """Models with an accepted order in this run, and no lost answer since then."""
        self._open: tuple[OpenLostAnswers, ...] = ()

    def __iter__(self) -> Iterator[OpenLostAnswers]:
        """The open circuits, as of the last `refresh`."""
        return iter(self._open)

    def record(self, tx: Transaction, job: Job, action: Action, outcome: o.Outcome, after: Job) -> None:
        """Record the outcome of a submit, or of the search for a lost one. ``job`` is the job before it."""
        model = job.order.model if job.order else _EVERY_MODEL
        match action, outcome:
            case Action.SUBMIT, o.AnswerLost() if job.price != 0:
                self._proven.discard(model)
                every_model = outcome.cause is not None and not outcome.cause.one_model
                self._change(tx, job, _EVERY_MODEL if every_model else model, outcome)
            case Action.SUBMIT, o.Accepted():
                self._accepted(tx, job, model)
            case Action.RESOLVE, _ if after.state is State.RENDERING:
                self._found(tx, job.id)
            case _:
                pass

    def room(self, tx: Transaction, model: str) -> int:
        """How many paid orders for ``model`` may be sent now."""
        places = _UNLIMITED if model in self._proven else core.IN_A_ROW
        by_scope = self._by_scope(tx)
        for scope in (_EVERY_MODEL, model):
            known = by_scope.get(scope)
            if known is None:
                continue
            if not known.is_open:
                places = core.IN_A_ROW - len(known.jobs)
            elif not self._still_open(tx, scope, known):
                places = core.IN_A_ROW
            else:
                return max(0, self._probes(tx, known) - tx.jobs.submitting(scope or None, priced=True))
        return places if places == _UNLIMITED else max(0, places - tx.jobs.submitting(model, priced=True))

    def refresh(self, tx: Transaction) -> None:
        """Update the open circuits."""
        open_ones = [(scope, known) for scope, known in self._by_scope(tx).items() if known.is_open]
        self._open = tuple(
            OpenLostAnswers(scope, known) for scope, known in open_ones if self._still_open(tx, scope, known)
        )

    def clear(self, tx: Transaction, *, for_new_key: bool = False) -> None:
        """Close all circuits of this server; with ``for_new_key`` only those that another API key may end."""
        by_scope = self._by_scope(tx)
        self._forget(tx, {scope for scope, known in by_scope.items() if known.key_related or not for_new_key})

    def _probes(self, tx: Transaction, known: LostAnswers) -> int:
        """How many paid probes may be under way: 1 after the wait, if no lost order is still searched for; else 0."""
        if known.until is None or not is_due(known.until, tx.now, _HORIZON):
            return 0
        searched = [job for job in self._unresolved(tx, known) if job.state is not State.HELD]
        return int(all(job.state is State.UNCERTAIN and job.witness_until is not None for job in searched))

    def _still_open(self, tx: Transaction, scope: str, known: LostAnswers) -> bool:
        """Whether an order of this circuit is unresolved. If none is, the circuit is closed."""
        if self._unresolved(tx, known):
            return True
        self._forget(tx, {scope})
        return False

    @staticmethod
    def _unresolved(tx: Transaction, known: LostAnswers) -> list[Job]:
        jobs = [job for job_id in known.jobs if (job := tx.jobs.get(job_id)) is not None]
        return [job for job in jobs if job.state in _UNRESOLVED and job.video_id is None]

    def _change(self, tx: Transaction, job: Job, scope: str, outcome: o.AnswerLost) -> None:
        by_scope = self._by_scope(tx)
        sent = job.submitted_at or tx.now
        by_scope[scope] = core.lost(by_scope.get(scope), job.id, sent, outcome, tx.now, self.waits)
        self._write(tx, by_scope)

    def _accepted(self, tx: Transaction, job: Job, model: str) -> None:
        """Close the circuits, because the server answers again; not those that opened after this order was sent."""
        by_scope, sent = self._by_scope(tx), job.submitted_at or tx.now
        earlier = {scope for scope, known in by_scope.items() if known.opened_at is not None and sent < known.opened_at}
        if model not in earlier:
            self._proven.add(model)
        self._forget(tx, {model, _EVERY_MODEL} - earlier)

    def _found(self, tx: Transaction, job_id: str) -> None:
        by_scope = self._by_scope(tx)
        changed = {scope: core.without(known, job_id) for scope, known in by_scope.items() if job_id in known.jobs}
        if changed:
            self._write(tx, {scope: known for scope, known in (by_scope | changed).items() if known is not None})

    def _forget(self, tx: Transaction, scopes: set[str]) -> None:
        by_scope = self._by_scope(tx)
        if scopes & by_scope.keys():
            self._write(tx, {scope: known for scope, known in by_scope.items() if scope not in scopes})

    def _by_scope(self, tx: Transaction) -> dict[str, LostAnswers]:
        """The circuits of this server by model; the empty name stands for every model."""
        return {scope: core.from_json(known) for scope, known in self._values.read(tx).items()}

    def _write(self, tx: Transaction, by_scope: dict[str, LostAnswers]) -> None:
        self._values.write(tx, {scope: core.to_json(known) for scope, known in by_scope.items()})
