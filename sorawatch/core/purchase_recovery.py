"""Updates a job from its purchase in the ledger, when the state is older than the ledger."""

from __future__ import annotations

from dataclasses import replace

from sorawatch.core.job import UNPAID, Charged, Job, State
from sorawatch.core.order import parse_size
from sorawatch.core.purchase import Purchase, Standing

_RECOVERABLE = UNPAID | {State.SUBMITTING, State.UNCERTAIN, State.RENDERING, State.RENDERED, State.HELD}


def recovered(job: Job, purchase: Purchase, now: int) -> Job | None:
    """The job in the state that its purchase shows; None if nothing changes, or the clip must be bought again.

    Args:
        now: milliseconds of the store's clock.
    """
    if job.state not in _RECOVERABLE or job.order is None:
        return None
    bought = replace(
        job,
        order=replace(job.order, size=parse_size(purchase.size)) if purchase.size else job.order,
        due_at=now,
        changed_at=now,
        attempts=0,
        retry_state=None,
        unwatched_ms=0,
        misses=0,
        reason="",
        hint="",
        price=purchase.micros,
        token=purchase.token,
        account=job.account if job.token == purchase.token else None,
        submitted_at=purchase.at,
        lost_at=None,
        video_id=purchase.video_id,
        progress=None,
        charged=Charged.PERHAPS,
    )
    match purchase.standing:
        case Standing.SPENT if purchase.clip is not None:
            return replace(bought, state=State.DELIVERED, charged=Charged.YES, clip=purchase.clip)
        case Standing.SPENT if job.state in UNPAID:
            hint = "Move the pair back into the inbox to order it again, at its price."
            reason = "it was ordered before and charged, but there is no clip, as the ledger says"
            return replace(bought, state=State.REJECTED, charged=Charged.YES, reason=reason, hint=hint)
        case Standing.OPEN if job.state not in UNPAID and _is_known(job, purchase):
            return None
        case Standing.OPEN if not job.digest:
            # Its picture must be prepared first, so that it can be ordered again where the server has lost it.
            return replace(job, token=purchase.token, charged=Charged.PERHAPS)
        case Standing.OPEN if purchase.video_id is None:
            reason = "it was submitted before, as the ledger says; whether it arrived is not known"
            return replace(bought, state=State.UNCERTAIN, lost_at=now, reason=reason)
        case Standing.OPEN:
            return replace(bought, state=State.RENDERING)
        case _:
            return None


def _is_known(job: Job, purchase: Purchase) -> bool:
    return job.token == purchase.token and purchase.video_id in {None, job.video_id}
