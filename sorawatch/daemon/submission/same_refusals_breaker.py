"""The circuit breaker for refusals that say the same: no inbox is emptied into the errors folder for one setting."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core import same_refusals as core
from sorawatch.core.job import Change, Job, State
from sorawatch.core.lifecycle import retry
from sorawatch.daemon.submission.server_values import ServerValues
from sorawatch.edges.store import LeaseLost, Transaction
from sorawatch.errors import Cause

if TYPE_CHECKING:
    from sorawatch.core.same_refusals import SameRefusals

_KEY = "same-refusals"
_HINT = (
    "So it is a setting and not a picture, and nothing was failed for it. Correct what the server objects to, in the "
    "configuration, the sidecars or _defaults.yaml; `sorawatch resume` tries again at once."
)


class SameRefusalsBreaker:
    """Keeps in the state what each model's orders were refused with. Used from the daemon's thread, within a turn."""

    def __init__(self, server: str) -> None:
        """``server`` is the base URL."""
        self._kept = ServerValues(_KEY, server)

    def judge(
        self, tx: Transaction, job: Job, refusal: o.PermanentFailure
    ) -> tuple[o.PermanentFailure | o.Blocked, list[Change]]:
        """What a refusal comes to: of this order alone, or of all for its model once three pictures met the same.

        Returns:
            The outcome for ``job``, and the other jobs that were put back, as they were and as they are.
        """
        assert job.order is not None
        model, by_model = job.order.model, self._by_model(tx)
        known = by_model[model] = core.refused(by_model.get(model), job.id, job.digest, refusal.reason)
        if not known.is_open:
            self._write(tx, by_model)
            return refusal, []
        others = [tx.jobs.get(job_id) for job_id, _ in known.pictures if job_id != job.id]
        going = [other.id for other in others if other is not None and other.state is State.REJECTED]
        filed = [other for other in others if other is not None and other.state is State.FAILED]
        back = (*known.restore, *going, *(other.id for other in filed))
        by_model[model] = replace(known, restore=tuple(dict.fromkeys(back)))
        self._write(tx, by_model)
        reason = f"{core.REFUSALS_TO_OPEN} different pictures were refused in the same words: {refusal.reason}"
        blocked = o.Blocked(Cause(reason, _HINT, temporary=False, one_model=True))
        return blocked, [change for other in filed for change in _put_back(tx, other)]

    def accepted(self, tx: Transaction, model: str) -> None:
        """An order for this model was accepted: what was refused was about its own picture."""
        by_model = self._by_model(tx)
        if model in by_model and by_model[model].pictures:
            by_model[model] = replace(by_model[model], pictures=())
            self._write(tx, by_model)

    def filed(self, tx: Transaction, job: Job) -> Job:
        """A job whose pair has just reached the errors folder; it comes back if it was put back meanwhile."""
        put_back = any(job.id in known.restore for known in self._by_model(tx).values())
        return (retry(job, tx.now) if put_back else None) or job

    def restored(self, tx: Transaction, job: Job) -> bool:
        """Whether a job whose pair is in the inbox again was put back, and goes on itself."""
        by_model = self._by_model(tx)
        for model, known in by_model.items():
            if job.id in known.restore:
                by_model[model] = replace(known, restore=tuple(each for each in known.restore if each != job.id))
                self._write(tx, by_model)
                return True
        return False

    def clear(self, tx: Transaction) -> None:
        """Count anew; what is to come back still does."""
        by_model = self._by_model(tx)
        if by_model:
            self._write(tx, {model: replace(known, pictures=()) for model, known in by_model.items()})

    def _by_model(self, tx: Transaction) -> dict[str, SameRefusals]:
        return {model: core.from_json(known) for model, known in self._kept.read(tx).items()}

    def _write(self, tx: Transaction, by_model: dict[str, SameRefusals]) -> None:
        kept = {model: known for model, known in by_model.items() if known.pictures or known.restore}
        self._kept.write(tx, {model: core.to_json(known) for model, known in kept.items()})


def _put_back(tx: Transaction, job: Job) -> list[Change]:
    after = retry(job, tx.now)
    if after is None:
        return []
    try:
        tx.jobs.save(after, job)
    except LeaseLost:
        return []
    return [(job, after)]
