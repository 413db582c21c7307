"""What an action came to, written into the store: the job, the purchase behind it, and whether others must wait."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.job import UNPAID, Change, Job, State
from sorawatch.core.lifecycle import Action, advance, decide, resume
from sorawatch.core.purchase_outcome import standing_after
from sorawatch.edges.store import LeaseLost, Transaction

if TYPE_CHECKING:
    from sorawatch.daemon.actions.executor import ActionDone
    from sorawatch.daemon.actions.render_times import RenderTimes
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.daemon.submission.breakers import Breakers

logger = logging.getLogger("sorawatch")


def record(
    tx: Transaction, done: ActionDone, admission: Admission, breakers: Breakers, pacing: RenderTimes
) -> Sequence[Change]:
    """Write down what ``done`` tells.

    Returns:
        The jobs that changed, as they were and as they are; none if the job has gone another way meanwhile.
    """
    job = tx.job(done.job_id)
    if job is None:
        return []
    if done.action is Action.SUBMIT and job.token != done.token:
        if isinstance(done.outcome, o.Accepted) and done.token is not None:
            tx.know_video(done.token, done.outcome.video_id)
        return []
    if done.action is Action.SUBMIT and job.state in {State.UNCERTAIN, State.HELD}:
        return _belated(tx, job, done.outcome, admission)
    if done.action is not (Action.SUBMIT if job.state is State.SUBMITTING else decide(job)):
        tx.release(job)
        return []
    outcome, others = _in_context(tx, job, done, breakers)
    jitter = random.random()  # noqa: S311 -- it spreads retries and guards nothing
    outlook = pacing.outlook(tx, job)
    after = advance(job, done.action, outcome, now=tx.now, policy=admission.policy, jitter=jitter, outlook=outlook)
    if after.state is State.FAILED:
        after = breakers.refusals.filed(tx, after)
    admission.heed(tx, job, outcome)
    _settle(tx, job, done.action, outcome, after)
    model = job.order.model if job.order else ""
    breakers.blocks.learn(done.action, outcome, tx.now, after.due_at, jitter, model)
    breakers.lost.learn(tx, job, done.action, outcome, after)
    if isinstance(outcome, o.Accepted):
        breakers.refusals.accepted(tx, model)
    if done.action is Action.POLL:
        pacing.learn(tx, job, outcome, after)
    try:
        tx.save(after, job)
    except LeaseLost:
        logger.warning("%s: another daemon has taken job %s over", job.pair.path, job.id)
        return others
    return [(job, after), *others]


def _in_context(tx: Transaction, job: Job, done: ActionDone, breakers: Breakers) -> tuple[o.Outcome, Sequence[Change]]:
    """The outcome as it is to be understood beside other jobs, and what else changes for it."""
    match done.action, done.outcome:
        case Action.RESOLVE, o.Searched() as found:
            return _without_others(tx, job, found), []
        case Action.SUBMIT, o.Accepted(video_id=video_id) if tx.is_of_another(video_id, job):
            return o.Unknown(f"the server answered with the id of another job's video ({video_id})"), []
        case Action.RESOLVE, o.Accepted(video_id=video_id) if tx.is_of_another(video_id, job):
            return o.Unlisted(f"it answered with the id of another job's video ({video_id})"), []
        case Action.RESTORE, o.Restored() as restored if breakers.refusals.restored(tx, job):
            return replace(restored, goes_on=True), []
        case Action.SUBMIT, o.FailedForGood(own=False) as refusal:
            return breakers.refusals.judge(tx, job, refusal)
        case _, outcome:
            return outcome, []


def _settle(tx: Transaction, job: Job, action: Action, outcome: o.Outcome, after: Job) -> None:
    """Write down what became of the purchase behind ``job``."""
    if job.token is None:
        return
    if after.video_id is not None and after.video_id != job.video_id:
        tx.know_video(job.token, after.video_id)
    standing = standing_after(action, outcome, after)
    if standing is not None:
        tx.settle(job.token, standing, after.clip)


def _belated(tx: Transaction, job: Job, outcome: o.Outcome, admission: Admission) -> Sequence[Change]:
    """The answer to a submit that another daemon took for lost, while this one was cut off from the state.

    It counts whoever has the job claimed meanwhile, for its token proves which submit it answers.
    """
    if not isinstance(outcome, o.Accepted) or job.video_id is not None or job.token is None:
        return []
    after = resume(job, outcome.video_id, tx.now, admission.policy)
    tx.know_video(job.token, outcome.video_id)
    tx.amend(after, job)
    return [(job, after)]


def _without_others(tx: Transaction, job: Job, found: o.Searched) -> o.Searched:
    """Leave out videos that other jobs have; with rivals about, none of the rest is certain.

    Whether others may be accepted soon is added, for one of them could show what the list is worth.
    """
    taken = tx.known_videos(candidate.video_id for candidate in found.candidates)
    left = tuple(candidate for candidate in found.candidates if candidate.video_id not in taken)
    if tx.rivals(job):
        left = tuple(replace(candidate, certain=False) for candidate in left)
    expectant = any(tx.counts(UNPAID | {State.SUBMITTING}).values())
    return replace(found, candidates=left, expectant=expectant)
