"""The circuit breaker for repeated refusals: one wrong setting must not move every picture to the errors folder."""

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
    """Keeps the refusals of each model in the state. Used from the daemon's thread, within a turn."""

    def __init__(self, server: str) -> None:
        """``server`` is the base URL."""
        self._values = ServerValues(_KEY, server)

    def judge(
        self, tx: Transaction, job: Job, refusal: o.PermanentFailure
    ) -> tuple[o.PermanentFailure | o.Blocked, list[Change]]:
        """Record a refusal. The third picture that is refused in the same words stops all orders for the model.

        Returns:
            The outcome for ``job``, and the other jobs whose pairs are moved back into the inbox, before and after.
        """
        assert job.order is not None
        model, by_model = job.order.model, self._by_model(tx)
        known = by_model[model] = core.refused(by_model.get(model), job.id, job.digest, refusal.reason)
        if not known.is_open:
            self._write(tx, by_model)
            return refusal, []
        others = [tx.jobs.get(job_id) for job_id, _ in known.pictures if job_id != job.id]
        rejected = [other.id for other in others if other is not None and other.state is State.REJECTED]
        filed = [other for other in others if other is not None and other.state is State.FAILED]
        to_restore = (*known.restore, *rejected, *(other.id for other in filed))
        by_model[model] = replace(known, restore=tuple(dict.fromkeys(to_restore)))
        self._write(tx, by_model)
        reason = f"{core.REFUSALS_TO_OPEN} different pictures were refused in the same words: {refusal.reason}"
        blocked = o.Blocked(Cause(reason, _HINT, temporary=False, one_model=True))
        return blocked, [change for other in filed for change in _put_back(tx, other)]

    def accepted(self, tx: Transaction, model: str) -> None:
        """Start the count again after an accepted order: the earlier refusals were about their own pictures."""
        by_model = self._by_model(tx)
        if model in by_model and by_model[model].pictures:
            by_model[model] = replace(by_model[model], pictures=())
            self._write(tx, by_model)

    def filed(self, tx: Transaction, job: Job) -> Job:
        """The job whose pair was just moved to the errors folder, retried if its refusal was a repeated one."""
        put_back = any(job.id in known.restore for known in self._by_model(tx).values())
        return (retry(job, tx.now) if put_back else None) or job

    def restored(self, tx: Transaction, job: Job) -> bool:
        """Whether this breaker moved the pair back into the inbox, so that the same job continues. True only once."""
        by_model = self._by_model(tx)
        for model, known in by_model.items():
            if job.id in known.restore:
                by_model[model] = replace(known, restore=tuple(each for each in known.restore if each != job.id))
                self._write(tx, by_model)
                return True
        return False

    def clear(self, tx: Transaction) -> None:
        """Start all counts again. Pairs that are to be moved back into the inbox are still moved."""
        by_model = self._by_model(tx)
        if by_model:
            self._write(tx, {model: replace(known, pictures=()) for model, known in by_model.items()})

    def _by_model(self, tx: Transaction) -> dict[str, SameRefusals]:
        return {model: core.from_json(known) for model, known in self._values.read(tx).items()}

    def _write(self, tx: Transaction, by_model: dict[str, SameRefusals]) -> None:
        used = {model: known for model, known in by_model.items() if known.pictures or known.restore}
        self._values.write(tx, {model: core.to_json(known) for model, known in used.items()})


def _put_back(tx: Transaction, job: Job) -> list[Change]:
    after = retry(job, tx.now)
    if after is None:
        return []
    try:
        tx.jobs.save(after, job)
    except LeaseLost:
        return []
    return [(job, after)]
