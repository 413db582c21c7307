"""What an outcome means for the purchase of a job."""

from __future__ import annotations

from sorawatch.core import outcome as o
from sorawatch.core.job import Charged, Job, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.purchase import Standing

NOT_ACCEPTED = (o.NotSent, o.TemporaryFailure, o.PermanentFailure, o.Blocked, o.ReferenceLost)
"""The outcomes of a submit that prove that the server did not take the order."""


def standing_after(action: Action, outcome: o.Outcome, after: Job) -> Standing | None:
    """What the outcome means for the purchase of a job; None where it means nothing.

    ``after`` is the job as the lifecycle left it.
    """
    match action, outcome:
        case Action.SUBMIT, _ if isinstance(outcome, NOT_ACCEPTED):
            return Standing.RELEASED
        case Action.RESOLVE, o.Searched(complete=True, witnessed=True) if after.state in {State.READY, State.REJECTED}:
            return Standing.RELEASED
        case ((Action.RESOLVE | Action.POLL), o.TemporaryFailure()) if after.state is State.READY:
            # Only an order that costs nothing is sent again without proof.
            return Standing.RELEASED
        case Action.POLL, o.GenerationFailed():
            return Standing.RELEASED if after.charged is Charged.NO else Standing.SPENT
        case Action.DELIVER, o.Delivered():
            return Standing.SPENT
        case ((Action.POLL | Action.DELIVER), _) if after.state is State.REJECTED:
            return Standing.SPENT
        case _:
            return None
