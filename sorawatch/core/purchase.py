"""One submit and what became of it: the ledger that spending is counted from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sorawatch.core import outcome as o
from sorawatch.core.job import Charged, Job, State
from sorawatch.core.lifecycle import Action


class Standing(StrEnum):
    """What a submit came to, as far as money goes."""

    OPEN = "open"
    """Sent, or about to be; counts as spent until something else is known."""
    SPENT = "spent"
    """The clip was made."""
    RELEASED = "released"
    """Proved not to have been accepted, or failed and not billed."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """One submit. ``at`` is milliseconds of the store's clock, ``micros`` its price in micro-dollars."""

    token: str
    job_id: str
    at: int
    micros: int | None
    standing: Standing
    video_id: str | None


@dataclass(frozen=True, slots=True)
class Witness:
    """A video of ours that a true list shows. ``ordered_at`` is milliseconds of the store's clock."""

    video_id: str
    job_id: str
    ordered_at: int
    prompt: str | None
    """None where the job is no longer known."""


def standing_after(action: Action, outcome: o.Outcome, after: Job) -> Standing | None:
    """What the purchase behind a job came to with this outcome; None where nothing new is known.

    ``after`` is the job as the lifecycle left it.
    """
    match action, outcome:
        case Action.SUBMIT, (o.FailedForNow() | o.FailedForGood() | o.Halted() | o.ReferenceLost()):
            return Standing.RELEASED
        case Action.RESOLVE, o.Searched(complete=True, witnessed=True) if after.state in {State.READY, State.REJECTED}:
            return Standing.RELEASED
        case ((Action.RESOLVE | Action.POLL), o.FailedForNow()) if after.state is State.READY:
            # Only what costs nothing is ordered again without proof.
            return Standing.RELEASED
        case Action.POLL, o.GenerationFailed():
            return Standing.RELEASED if after.charged is Charged.NO else Standing.SPENT
        case Action.DELIVER, o.Delivered():
            return Standing.SPENT
        case ((Action.POLL | Action.DELIVER), _) if after.state is State.REJECTED:
            return Standing.SPENT
        case _:
            return None
