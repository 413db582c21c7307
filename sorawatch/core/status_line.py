"""The status line that a service manager shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.budget import dollars
from sorawatch.core.job import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STATES_BY_WORD = {
    "submitting": (State.SUBMITTING,),
    "uncertain": (State.UNCERTAIN,),
    "rendering": (State.RENDERING,),
    "being delivered": (State.RENDERED, State.DELIVERED),
    "being filed": (State.REJECTED, State.WITHDRAWN, State.RESTORING),
    "waiting": (State.FOUND, State.READY),
    "held": (State.HELD,),
}


def summary(counts: Mapping[State, int], spent: int, cap: int | None, pauses: Sequence[str]) -> str:
    """``3 rendering, 12 waiting, $4.20 of $20 today``, and, if submissions are paused, why.

    ``spent`` and ``cap`` are those of the day, in micro-dollars.
    """
    numbers = {word: sum(counts.get(state, 0) for state in states) for word, states in _STATES_BY_WORD.items()}
    parts = [f"{number} {word}" for word, number in numbers.items() if number] or ["nothing to do"]
    of_cap = "" if cap is None else f" of {dollars(cap).removesuffix('.00')}"
    text = f"{', '.join(parts)}, {dollars(spent)}{of_cap} today"
    return f"{text}; nothing is submitted: {'; '.join(sorted(pauses))}" if pauses else text
