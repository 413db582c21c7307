"""What an outcome means for the purchase behind a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import Charged, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.purchase import Standing

if TYPE_CHECKING:
    from sorawatch.core.job import Job


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
