"""The circuit breaker for lost answers: how many orders that cost money may go while answers get lost.

What it knows is kept in the state, for a restart must not send the next order, and for each server and model apart.
Submits met after a crash are not told to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sorawatch.core import lost_answers as core
from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.lost_answers import LostAnswers
from sorawatch.core.schedule import Waits, is_due
from sorawatch.daemon.submission.server_notes import ServerNotes
from sorawatch.edges.store import Turn

_NOTE = "lost-answers"
_EVERY_MODEL = ""
_UNLIMITED = 1_000_000
_HORIZON = 2 * 3_600_000
"""Milliseconds: a probe that is due later than this means that the clock was set back."""
_UNSETTLED = frozenset({State.SUBMITTING, State.UNCERTAIN, State.HELD})


@dataclass(frozen=True, slots=True)
class Open:
    """A breaker that is open. ``model`` is empty where it holds for all."""

    model: str
    known: LostAnswers
    asked: None = None

    @property
    def until(self) -> int | None:
        return self.known.until

    @property
    def waits_long(self) -> bool:
        """Whether the first paid probe was of no avail, so that it takes an hour, or a person."""
        return self.known.waits_for_a_person or self.known.probes > 0

    @property
    def reason(self) -> str:
        count = len(self.known.jobs)
        lost = "the answer to an order was lost" if count == 1 else f"the answers to {count} orders were lost"
        return f"{lost}, so no further order that costs money is sent yet: {self.known.reason}"

    @property
    def mend(self) -> str:
        ways = "Each is looked for. The server's own site shows whether it was taken."
        return f"{self.known.hint} {ways} `sorawatch resume` sends the next order at once.".strip()


class LostAnswersBreaker:
    """Used from the daemon's thread, within a turn."""

    def __init__(self, server: str, waits: Waits) -> None:
        """``server`` is the base URL."""
        self._kept = ServerNotes(_NOTE, server)
        self.waits = waits
        self._proven: set[str] = set()
        """Models of which this run has had an order accepted, and no answer lost since."""
        self._open: tuple[Open, ...] = ()

    def __iter__(self) -> Iterator[Open]:
        """Those that are open, as `room` saw them last."""
        return iter(self._open)

    def learn(self, turn: Turn, job: Job, action: Action, outcome: o.Outcome, after: Job) -> None:
        """Take in what came of a submit, or of the search for a lost one. ``job`` is as it was before."""
        model = job.order.model if job.order else _EVERY_MODEL
        match action, outcome:
            case Action.SUBMIT, o.Unknown() if job.price != 0:
                self._proven.discard(model)
                everyone = outcome.cause is not None and not outcome.cause.model
                self._change(turn, job, _EVERY_MODEL if everyone else model, outcome)
            case Action.SUBMIT, o.Accepted():
                self._accepted(turn, job, model)
            case Action.RESOLVE, _ if after.state is State.RENDERING:
                self._settle(turn, job.id)
            case _:
                pass

    def room(self, turn: Turn, model: str) -> int:
        """How many orders for ``model`` that cost money may be sent now."""
        places = _UNLIMITED if model in self._proven else core.IN_A_ROW
        notes = self._notes(turn)
        for scope in (_EVERY_MODEL, model):
            known = notes.get(scope)
            if known is None:
                continue
            if not known.is_open:
                places = core.IN_A_ROW - len(known.jobs)
            elif not self._still_open(turn, scope, known):
                places = core.IN_A_ROW
            else:
                return max(0, self._probes(turn, known) - turn.submitting(scope or None))
        return places if places == _UNLIMITED else max(0, places - turn.submitting(model))

    def refresh(self, turn: Turn) -> None:
        """See which are open, for whoever is told."""
        open_ones = [(scope, known) for scope, known in self._notes(turn).items() if known.is_open]
        self._open = tuple(Open(scope, known) for scope, known in open_ones if self._still_open(turn, scope, known))

    def clear(self, turn: Turn, *, keyed: bool = False) -> None:
        """Forget all that is known of this server; with ``keyed``, what another API key may end."""
        self._forget(turn, {scope for scope, known in self._notes(turn).items() if known.keyed or not keyed})

    def _probes(self, turn: Turn, known: LostAnswers) -> int:
        """How many paid probes may be under way: one, once its time has come and nothing is being searched for."""
        if known.until is None or not is_due(known.until, turn.now, _HORIZON):
            return 0
        searched = [job for job in self._unsettled(turn, known) if job.state is not State.HELD]
        return int(all(job.state is State.UNCERTAIN and job.witness_until is not None for job in searched))

    def _still_open(self, turn: Turn, scope: str, known: LostAnswers) -> bool:
        """Whether any of its orders is unresolved; if none is, it closes."""
        if self._unsettled(turn, known):
            return True
        self._forget(turn, {scope})
        return False

    @staticmethod
    def _unsettled(turn: Turn, known: LostAnswers) -> list[Job]:
        jobs = [job for job_id in known.jobs if (job := turn.job(job_id)) is not None]
        return [job for job in jobs if job.state in _UNSETTLED and job.video_id is None]

    def _change(self, turn: Turn, job: Job, scope: str, outcome: o.Unknown) -> None:
        notes = self._notes(turn)
        sent = job.submitted_at or turn.now
        notes[scope] = core.lost(notes.get(scope), job.id, sent, outcome, turn.now, self.waits)
        self._write(turn, notes)

    def _accepted(self, turn: Turn, job: Job, model: str) -> None:
        """Answers come again. An order that was sent before a breaker opened says nothing of it."""
        notes, sent = self._notes(turn), job.submitted_at or turn.now
        earlier = {scope for scope, known in notes.items() if known.opened_at is not None and sent < known.opened_at}
        if model not in earlier:
            self._proven.add(model)
        self._forget(turn, {model, _EVERY_MODEL} - earlier)

    def _settle(self, turn: Turn, job_id: str) -> None:
        notes = self._notes(turn)
        changed = {scope: core.settled(known, job_id) for scope, known in notes.items() if job_id in known.jobs}
        if changed:
            self._write(turn, {scope: known for scope, known in (notes | changed).items() if known is not None})

    def _forget(self, turn: Turn, scopes: set[str]) -> None:
        notes = self._notes(turn)
        if scopes & notes.keys():
            self._write(turn, {scope: known for scope, known in notes.items() if scope not in scopes})

    def _notes(self, turn: Turn) -> dict[str, LostAnswers]:
        """What is known of this server, by model."""
        return {scope: core.from_json(known) for scope, known in self._kept.read(turn).items()}

    def _write(self, turn: Turn, notes: dict[str, LostAnswers]) -> None:
        self._kept.write(turn, {scope: core.to_json(known) for scope, known in notes.items()})
