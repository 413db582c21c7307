"""Why submissions pause, and when one job may go ahead to see whether they still must."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from sorawatch.core import outcome as o
from sorawatch.core.lifecycle import Action
from sorawatch.core.schedule import Waits, backoff, is_due

_PATIENT = Waits(first=60.0, longest=3600.0)
"""Between canaries when only a person can mend the cause: a refused key, an empty account."""

_LAPSE = 60_000
"""Milliseconds after the last failure's retry at which a block of anything but SUBMIT is forgotten."""

_USED_UP = "the server has taken as many orders as it takes for now"
_GOES_ON = "Nothing needs to be done: it goes on by itself."


@dataclass(frozen=True, slots=True)
class Block:
    """A cause that stops submissions. Times are milliseconds of the store's clock."""

    action: Action
    reason: str
    mend: str
    passing: bool
    since: int
    tries: int
    until: int
    """When a canary may try, or, for other actions than SUBMIT, when the block is forgotten unless renewed."""
    asked: float | None = None
    """Seconds for which the server asked us to wait."""
    keyed: bool = False
    """Another API key ends it."""


class Blocks:
    """The blocks in force, one an action at most."""

    def __init__(self, waits: Waits, key_mark: Callable[[], Hashable] = lambda: None) -> None:
        """``key_mark`` gives what differs once the API key was changed; asked while one was refused, and at submits."""
        self._waits = waits
        self._key_mark = key_mark
        self._mark = key_mark()
        self._blocks: dict[Action, Block] = {}

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks.values())

    def learn(self, action: Action, outcome: o.Outcome, now: int, due_at: int, jitter: float) -> None:
        """Take an outcome into account: a halt sets or renews the action's block, what gets past the cause lifts it."""
        if isinstance(outcome, o.Unknown | o.FailedForNow | o.ReferenceLost):
            return
        before = self._blocks.get(action)
        if before and action is Action.SUBMIT and not self._is_over(before, now):
            # It was on its way when the block was set: its failure is no news, its success no end of the wait.
            return
        if isinstance(outcome, o.Accepted) and outcome.rest:
            # Nothing has failed, so however often it comes the wait never grows.
            until = now + int(1000 * outcome.rest)
            self._blocks[action] = Block(
                action, _USED_UP, _GOES_ON, passing=True, since=now, tries=0, until=until, asked=outcome.rest
            )
            return
        if not isinstance(outcome, o.Halted):
            self._blocks.pop(action, None)
            return
        tries = before.tries + 1 if before else 1
        since = before.since if before else now
        until = max(due_at, now) + _LAPSE
        if action is Action.SUBMIT:
            until = now + backoff(self._waits if outcome.passing else _PATIENT, tries, jitter, outcome.retry_after)
        self._blocks[action] = Block(
            action,
            outcome.reason,
            outcome.mend,
            passing=outcome.passing,
            since=since,
            tries=tries,
            until=until,
            asked=outcome.retry_after,
            keyed=outcome.keyed,
        )

    def key_changed(self) -> bool:
        """Whether an API key was refused, and another may be there by now."""
        return any(block.keyed for block in self._blocks.values()) and self._key_mark() != self._mark

    def clear(self) -> None:
        """Forget all: a person says that the cause is gone, or there is another key."""
        self._blocks.clear()
        self._mark = self._key_mark()

    def places(self, wanted: int, outstanding: int, now: int) -> int:
        """How many of ``wanted`` submits may go ahead now, while ``outstanding`` are: all, none, or one canary."""
        for action in [action for action, block in self._blocks.items() if self._is_over(block, now)]:
            if action is not Action.SUBMIT:
                del self._blocks[action]
        submit = self._blocks.get(Action.SUBMIT)
        if self._blocks:
            canary = len(self._blocks) == 1 and submit and self._is_over(submit, now) and not outstanding
            wanted = min(wanted, 1) if canary else 0
        if wanted:
            self._mark = self._key_mark()
        return wanted

    def _is_over(self, block: Block, now: int) -> bool:
        """Whether the block's time has come, or the clock was set back since it was written."""
        return is_due(block.until, now, max(self._waits.horizon, _PATIENT.horizon) + _LAPSE)
