"""Why submissions pause, and when one job may go ahead to see whether they still must."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from sorawatch.core import outcome as o
from sorawatch.core.lifecycle import Action
from sorawatch.core.schedule import Waits, backoff, is_due

_PATIENT = Waits(first=60.0, longest=3600.0)
"""Between probes when only a person can end the cause: a refused key, an empty account."""

_LAPSE = 60_000
"""Milliseconds after the last failure's retry at which a block of anything but SUBMIT is forgotten."""

_USED_UP = "the server has taken as many orders as it takes for now"
_GOES_ON = "Nothing needs to be done: it goes on by itself."


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """A cause that stops submissions. Times are milliseconds of the store's clock."""

    action: Action
    reason: str
    hint: str
    passing: bool
    since: int
    tries: int
    until: int
    """When a canary may try, or, for other actions than SUBMIT, when the block is forgotten unless renewed."""
    asked: float | None = None
    """Seconds for which the server asked us to wait."""
    keyed: bool = False
    """Another API key ends it."""
    model: str = ""
    """It holds for orders for this model alone; empty where it holds for all."""


CircuitKey = tuple[Action, str]
"""What a block holds for: an action, and the model if it is one alone."""


class CircuitBreaker:
    """The blocks in force, one a scope at most."""

    def __init__(self, waits: Waits, key_mark: Callable[[], Hashable] = lambda: None) -> None:
        """``key_mark`` gives what differs once the API key was changed; asked while one was refused, and at submits."""
        self._waits = waits
        self._key_mark = key_mark
        self._mark = key_mark()
        self._blocks: dict[CircuitKey, OpenCircuit] = {}

    def __iter__(self) -> Iterator[OpenCircuit]:
        return iter(self._blocks.values())

    @property
    def stopped(self) -> bool:
        """Whether all orders wait, whatever their model."""
        return any(not block.model for block in self._blocks.values())

    @property
    def models(self) -> list[str]:
        """Models whose orders wait."""
        return [block.model for block in self._blocks.values() if block.model]

    def learn(self, action: Action, outcome: o.Outcome, now: int, due_at: int, jitter: float, model: str = "") -> None:
        """Take an outcome into account: a halt sets or renews a block, what gets past the cause lifts it.

        Args:
            model: that of the order.
        """
        if isinstance(outcome, o.Unknown | o.FailedForNow | o.ReferenceLost):
            return
        met = [self._blocks[scope] for scope in {(action, ""), (action, model)} if scope in self._blocks]
        if action is Action.SUBMIT and not all(self._is_over(block, now) for block in met):
            # This submit began before the block was set, so its result says nothing of it.
            return
        before = next(iter(met), None)
        for block in met:
            del self._blocks[block.action, block.model]
        if isinstance(outcome, o.Accepted) and outcome.rest:
            # Nothing has failed, so however often it comes the wait never grows.
            until = now + int(1000 * outcome.rest)
            self._blocks[action, ""] = OpenCircuit(
                action, _USED_UP, _GOES_ON, passing=True, since=now, tries=0, until=until, asked=outcome.rest
            )
            return
        if not isinstance(outcome, o.Halted):
            return
        tries = before.tries + 1 if before else 1
        since = before.since if before else now
        until = max(due_at, now) + _LAPSE
        if action is Action.SUBMIT:
            until = now + backoff(self._waits if outcome.passing else _PATIENT, tries, jitter, outcome.retry_after)
        self._blocks[action, model if outcome.model else ""] = OpenCircuit(
            action,
            outcome.reason,
            outcome.hint,
            passing=outcome.passing,
            since=since,
            tries=tries,
            until=until,
            asked=outcome.retry_after,
            keyed=outcome.keyed,
            model=model if outcome.model else "",
        )

    def key_changed(self, *, refused: bool = False) -> bool:
        """Whether an API key was refused, here or elsewhere (``refused``), and another may be there by now."""
        keyed = refused or any(block.keyed for block in self._blocks.values())
        return keyed and self._key_mark() != self._mark

    def clear(self) -> None:
        """Forget all: a person says that the cause is gone, or there is another key."""
        self._blocks.clear()
        self._mark = self._key_mark()

    def places(self, wanted: int, outstanding: int, now: int) -> int:
        """How many of ``wanted`` submits may go ahead now, while ``outstanding`` are: all, none, or one canary."""
        for scope in [scope for scope, block in self._blocks.items() if self._is_over(block, now)]:
            if scope[0] is not Action.SUBMIT:
                del self._blocks[scope]
        general = [block for block in self._blocks.values() if not block.model]
        if general:
            (first, *others) = general
            canary = not others and first.action is Action.SUBMIT and self._is_over(first, now) and not outstanding
            wanted = min(wanted, 1) if canary else 0
        if wanted:
            self._mark = self._key_mark()
        return wanted

    def lets_through(self, model: str, now: int, outstanding: Callable[[], int]) -> bool:
        """Whether an order for ``model`` may go, as far as its model matters: one canary, once the wait is over.

        Args:
            outstanding: counts the orders for it that are being submitted; asked only where that matters.
        """
        block = self._blocks.get((Action.SUBMIT, model)) if model else None
        return block is None or (self._is_over(block, now) and not outstanding())

    def _is_over(self, block: OpenCircuit, now: int) -> bool:
        """Whether the block's time has come, or the clock was set back since it was written."""
        return is_due(block.until, now, max(self._waits.horizon, _PATIENT.horizon) + _LAPSE)
