"""Records the answer to a submit that another daemon has counted as lost meanwhile.

A daemon that cannot reach the state, or is suspended, does not learn that others have taken its submits over. Its
answers are valid whenever they come, because the token identifies the submit: what the server took is paid for.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import UNPAID, Change, Charged, Job, path_in
from sorawatch.core.job_changes import Context
from sorawatch.core.lifecycle import follow_video, not_accepted, second_video
from sorawatch.core.naming import job_id, one_line
from sorawatch.core.purchase import Purchase, Standing
from sorawatch.core.purchase_outcome import NOT_ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sorawatch.core.retry_policy import Policy
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

_NOT_TAKEN = "the server did not take the order, as was learnt late"


def record(tx: Transaction, token: str, job: Job | None, outcome: o.Outcome, policy: Policy) -> Sequence[Change]:
    """Record the answer to the submit ``token``.

    Args:
        job: the job that was submitted, as it is now: uncertain or held, or no longer with this submit.

    Returns:
        The changes, which are already saved.
    """
    purchase = tx.purchases.get(token)
    if isinstance(outcome, o.Accepted):
        return _accepted(tx, token, purchase, job, outcome.video_id, Context(tx.now, policy))
    if isinstance(outcome, NOT_ACCEPTED) and (purchase is None or purchase.video_id is None):
        tx.purchases.close(token, Standing.RELEASED)
        if job is not None and job.token == token and job.video_id is None:
            reason = outcome.reason if isinstance(outcome, o.NotSent) else _NOT_TAKEN
            return _amended(tx, job, not_accepted(job, tx.now, reason))
    return []


def _accepted(
    tx: Transaction, token: str, purchase: Purchase | None, job: Job | None, video_id: str, context: Context
) -> Sequence[Change]:
    if purchase is not None and purchase.video_id == video_id:
        # It is known already, for example because the server's list showed it.
        return []
    tx.purchases.set_video(token, video_id)
    if job is not None and job.token == token:
        if job.video_id is not None:
            return []
        return _amended(tx, job, follow_video(job, video_id, context))
    if purchase is not None and purchase.standing is Standing.RELEASED:
        tx.purchases.close(token, Standing.OPEN)
    if job is not None and purchase is not None and job.state in UNPAID:
        bought = replace(job, token=token, price=purchase.micros, submitted_at=purchase.at, charged=Charged.PERHAPS)
        return _amended(tx, job, follow_video(bought, video_id, context), before=job)
    if job is None or job.order is None or purchase is None:
        _tell_unclaimed(purchase, video_id)
        return []
    return _second_clip(tx, purchase, job, video_id, context)


def _second_clip(tx: Transaction, purchase: Purchase, job: Job, video_id: str, context: Context) -> Sequence[Change]:
    """Add a job that fetches the clip of the first submit, because ``job`` was ordered again since."""
    assert job.order is not None
    order = replace(job.order, take=tx.orders.next_take(job))
    text = f"a second clip: job {job.id} was ordered twice, since the answer to its first order came late"
    second = second_video(job, job_id(os.urandom(5)), order, purchase, video_id, text, context)
    tx.jobs.add([second])
    tx.purchases.reassign(purchase.token, second.id)
    note = f"it was ordered twice, since the answer to its first order came late; job {second.id} fetches that clip"
    told = replace(job, note="; ".join(filter(None, (job.note, note))))
    tx.jobs.amend(told, job)
    logger.warning("%s [%s]: %s", one_line(job.pair.path), job.id, note)
    return [(job, told), (None, second)]


def _tell_unclaimed(purchase: Purchase | None, video_id: str) -> None:
    """Tell people of a video without a job."""
    image = None if purchase is None else purchase.image
    name = "an order" if purchase is None or image is None else one_line(path_in(purchase.folder or "", image))
    what = "the answer to its order came after its job had been removed; it is paid for"
    hint = "Move the pair into the inbox to fetch the clip without another order."
    logger.warning("%s: %s as %s. %s", name, what, video_id, hint)


def _amended(tx: Transaction, job: Job, after: Job, before: Job | None = None) -> Sequence[Change]:
    """Save a job whoever has claimed it, and leave the claim as it is."""
    tx.jobs.amend(after, before or job)
    return [(before or job, after)]
