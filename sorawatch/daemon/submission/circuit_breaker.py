"""The circuit breaker for named causes, such as an empty account or a full disk.

It decides why submissions wait, and when one order may be sent as a probe. Lost answers and repeated refusals have
separate circuit breakers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.lifecycle import Action
from sorawatch.core.pause import Pause
from sorawatch.core.waits import Waits, backoff, is_due
from sorawatch.errors import TRIED_AGAIN, Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

_PERSON_WAITS = Waits(first=60.0, longest=3600.0)
"""Seconds between two probes if only a person can end the cause, such as a refused key or an empty account."""

_EARLY_PROBES = 5
"""How many probes come before the configured first wait, if the cause may end by itself: their waits double up to it. A
server that is full often has room again within a second, and a probe costs nothing."""

_FORGET_AFTER = 60_000
"""Milliseconds after the retry of a failed action other than SUBMIT. Then its cause is forgotten."""

_QUOTA_USED = "the server reports that its rate limit is used up for now"


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A cause that stops submissions. Times are milliseconds of the store's clock."""

    action: Action
    cause: Cause
    since: int
    tries: int
    until: int
    """When a probe may be sent. For actions other than SUBMIT, when the cause is forgotten unless it occurs again."""
    model: str = ""
    """The model whose orders are stopped; empty for all models."""

    @property
    def attempts(self) -> int:
        """The failures that count as attempts: not those of early probes, which follow one another within seconds."""
        return max(0, self.tries - _EARLY_PROBES) if self.cause.temporary else self.tries

    @property
    def pause(self) -> Pause:
        """The pause that is shown to the user."""
        cause = self.cause
        return Pause(cause.reason, cause.hint, self.until, asked=cause.retry_after, model=self.model)


CircuitKey = tuple[Action, str]
"""The action that failed, and the model if the cause concerns only one; else ``""``."""


class CircuitBreaker:
    """The open circuits, at most one for each key. Used from the daemon's thread."""

    def __init__(self, waits: Waits, key_fingerprint: Callable[[], Hashable] = lambda: None) -> None:
        """``key_fingerprint`` returns a value that changes with the API key."""
        self._waits = waits
        self._key_fingerprint = key_fingerprint
        self._last_fingerprint = key_fingerprint()
        self._open: dict[CircuitKey, OpenCircuit] = {}

    def __iter__(self) -> Iterator[OpenCircuit]:
        return iter(self._open.values())

    @property
    def stops_all(self) -> bool:
        """Whether orders for every model wait."""
        return any(not circuit.model for circuit in self._open.values())

    @property
    def models(self) -> list[str]:
        """Models whose orders wait."""
        return [circuit.model for circuit in self._open.values() if circuit.model]

    def record(
        self,
        action: Action,
        outcome: o.Outcome,
        now: int,
        due_at: int,
        jitter: float,
        model: str = "",
        submitted_at: int | None = None,
    ) -> None:
        """Record an outcome: a blocking cause opens a circuit or extends its wait; a success or refusal closes it.

        Args:
            due_at: when the job's action is tried again.
            jitter: a random number in [0, 1).
            model: the model of the order.
            submitted_at: when the order was sent; None if it was not.
        """
        if isinstance(outcome, o.AnswerLost | o.TemporaryFailure | o.ReferenceLost | o.NotSent):
            return
        concerned = [self._open[key] for key in {(action, ""), (action, model)} if key in self._open]
        sent = now if submitted_at is None else submitted_at
        if action is Action.SUBMIT and not all(self._is_over(circuit, sent) for circuit in concerned):
            # It is no probe: it was sent before the circuit opened, so its result is ignored.
            return
        before = next(iter(concerned), None)
        for circuit in concerned:
            del self._open[circuit.action, circuit.model]
        if isinstance(outcome, o.Accepted) and outcome.rest:
            # This is not a failure, so the wait does not grow with repetitions.
            cause = Cause(_QUOTA_USED, TRIED_AGAIN, temporary=True, retry_after=outcome.rest)
            self._open[action, ""] = OpenCircuit(action, cause, now, 0, now + int(1000 * outcome.rest))
        elif isinstance(outcome, o.Blocked):
            cause = outcome.cause
            tries = before.tries + 1 if before else 1
            until = max(due_at, now) + _FORGET_AFTER
            if action is Action.SUBMIT:
                until = now + self._wait(cause, tries, jitter)
            stopped = model if cause.one_model else ""
            since = before.since if before else now
            self._open[action, stopped] = OpenCircuit(action, cause, since, tries, until, stopped)

    def _wait(self, cause: Cause, tries: int, jitter: float) -> int:
        """Milliseconds from the failure number ``tries`` of a submit to the next probe."""
        waits = _PERSON_WAITS
        if cause.temporary:
            waits = replace(self._waits, first=self._waits.first / 2**_EARLY_PROBES)
        return backoff(waits, tries, jitter, cause.retry_after)

    def key_changed(self, *, refused: bool = False) -> bool:
        """Whether an API key was refused, here or elsewhere (``refused``), and has changed since."""
        concerns_key = refused or any(circuit.cause.key_related for circuit in self._open.values())
        return concerns_key and self._key_fingerprint() != self._last_fingerprint

    def clear(self) -> None:
        """Close all circuits."""
        self._open.clear()
        self._last_fingerprint = self._key_fingerprint()

    def places(self, wanted: int, outstanding: int, now: int) -> int:
        """How many of ``wanted`` submits may begin while ``outstanding`` others are sent: all, one probe or none."""
        for key in [key for key, circuit in self._open.items() if self._is_over(circuit, now)]:
            if key[0] is not Action.SUBMIT:
                del self._open[key]
        general = [circuit for circuit in self._open.values() if not circuit.model]
        if general:
            (first, *others) = general
            may_probe = not others and first.action is Action.SUBMIT and self._is_over(first, now) and not outstanding
            wanted = min(wanted, 1) if may_probe else 0
        if wanted:
            self._last_fingerprint = self._key_fingerprint()
        return wanted

    def lets_through(self, model: str, now: int, outstanding: Callable[[], int]) -> bool:
        """Whether the circuit of ``model`` allows an order. An open one allows a single probe after its wait.

        Args:
            outstanding: returns the number of orders for the model that are being submitted. Called only if needed.
        """
        circuit = self._open.get((Action.SUBMIT, model)) if model else None
        return circuit is None or (self._is_over(circuit, now) and not outstanding())

    def _is_over(self, circuit: OpenCircuit, now: int) -> bool:
        """Whether the wait is over, or the clock was set back since it began."""
        return is_due(circuit.until, now, max(self._waits.horizon, _PERSON_WAITS.horizon) + _FORGET_AFTER)
