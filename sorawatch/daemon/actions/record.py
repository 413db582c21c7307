"""Writes the outcome of an action to the state: the job, its purchase, and the effects on other jobs."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import UNPAID, Change, Job, State
from sorawatch.core.job_changes import Context
from sorawatch.core.lifecycle import Action, advance, decide
from sorawatch.core.naming import one_line
from sorawatch.core.purchase_outcome import standing_after
from sorawatch.daemon.actions import late_answers
from sorawatch.edges.store import LeaseLost, Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sorawatch.daemon.actions.executor import ActionDone
    from sorawatch.daemon.actions.render_times import RenderTimes
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.daemon.submission.breakers import Breakers

logger = logging.getLogger("sorawatch")


def record(
    tx: Transaction, done: ActionDone, admission: Admission, breakers: Breakers, render_times: RenderTimes
) -> Sequence[Change]:
    """Write the outcome of ``done`` to the state.

    Returns:
        The jobs that changed, before and after; empty if the job is in another state than its action expects.
    """
    job = tx.jobs.get(done.job_id)
    if done.action is Action.SUBMIT and done.token is not None and _is_late(job, done.token):
        if job is not None and job.token == done.token:
            tx.claims.release(job)
        return late_answers.record(tx, done.token, job, done.outcome, admission.policy)
    if job is None:
        return []
    if done.action is not (Action.SUBMIT if job.state is State.SUBMITTING else decide(job)):
        tx.claims.release(job)
        return []
    outcome, others = _adapted_to_other_jobs(tx, job, done, breakers)
    jitter = random.random()  # noqa: S311 -- it spreads retries and is no secret
    context = Context(tx.now, admission.policy, jitter, render_times.history(tx, job))
    after = advance(job, done.action, outcome, context)
    if after.state is State.FAILED:
        after = breakers.same_refusals.filed(tx, after)
    admission.adapt_concurrency(tx, job, outcome)
    _close_purchase(tx, job, done.action, outcome, after)
    model = job.order.model if job.order else ""
    breakers.causes.record(done.action, outcome, tx.now, after.due_at, jitter, model, job.submitted_at)
    breakers.lost_answers.record(tx, job, done.action, outcome, after)
    if isinstance(outcome, o.Accepted):
        breakers.same_refusals.accepted(tx, model)
    if done.action is Action.POLL:
        render_times.record(tx, job, outcome, after)
    try:
        tx.jobs.save(after, job)
    except LeaseLost:
        logger.warning("%s: another daemon has taken job %s over", job.pair.path, job.id)
        return others
    return [(job, after), *others]


def _is_late(job: Job | None, token: str) -> bool:
    """Whether another daemon has counted the submit with this token as lost, so that its job went on without it."""
    return job is None or job.token != token or job.state in {State.UNCERTAIN, State.HELD}


def _adapted_to_other_jobs(
    tx: Transaction, job: Job, done: ActionDone, breakers: Breakers
) -> tuple[o.Outcome, Sequence[Change]]:
    """The outcome after taking other jobs into account, and the changes of those jobs."""
    match done.action, done.outcome:
        case Action.RESOLVE, o.Searched() as found:
            return _without_others(tx, job, found), []
        case Action.SUBMIT, o.Accepted(video_id=video_id) if _is_of_another(tx, video_id, job):
            return o.AnswerLost(f"the server answered with the id of another job's video ({video_id})"), []
        case Action.RESOLVE, o.Accepted(video_id=video_id) if _is_of_another(tx, video_id, job):
            return o.Unlisted(f"it answered with the id of another job's video ({video_id})"), []
        case Action.DELIVER, o.NameChosen(path=path) if tx.jobs.is_being_published(path, job):
            return o.TemporaryFailure(f"another clip is just being published as {one_line(path)}", counts=False), []
        case Action.RESTORE, o.Restored() as restored if breakers.same_refusals.restored(tx, job):
            return replace(restored, goes_on=True), []
        case Action.SUBMIT, o.PermanentFailure(about_content=False) as refusal:
            return breakers.same_refusals.judge(tx, job, refusal)
        case _, outcome:
            return outcome, []


def _is_of_another(tx: Transaction, video_id: str, job: Job) -> bool:
    """Whether this video belongs to another job."""
    return tx.purchases.is_bought_by_another(video_id, job) or tx.jobs.follower(video_id, job) is not None


def _close_purchase(tx: Transaction, job: Job, action: Action, outcome: o.Outcome, after: Job) -> None:
    if job.token is None:
        return
    if after.video_id is not None and after.video_id != job.video_id:
        tx.purchases.set_video(job.token, after.video_id)
    standing = standing_after(action, outcome, after)
    if standing is not None:
        tx.purchases.close(job.token, standing, after.clip)


def _without_others(tx: Transaction, job: Job, found: o.Searched) -> o.Searched:
    """Remove candidates that belong to other jobs. If another lost submit has the same order, no candidate is certain.

    ``expectant`` is set if other orders may be accepted soon, because one of them could be a witness.
    """
    taken = tx.purchases.known_videos(candidate.video_id for candidate in found.candidates)
    remaining = tuple(candidate for candidate in found.candidates if candidate.video_id not in taken)
    if tx.purchases.rivals(job):
        remaining = tuple(replace(candidate, certain=False) for candidate in remaining)
    expectant = any(tx.jobs.counts(UNPAID | {State.SUBMITTING}, unapproved=False).values())
    return replace(found, candidates=remaining, expectant=expectant)
