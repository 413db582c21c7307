"""What an action came to, written into the store: the job, the purchase behind it, and whether others must wait."""

from __future__ import annotations

import logging
import random
from dataclasses import replace

from sorawatch.admission import Admission
from sorawatch.blocks import Blocks
from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action, advance, decide, resume
from sorawatch.core.purchase import standing_after
from sorawatch.edges.store import LeaseLost, Turn
from sorawatch.hands import Done
from sorawatch.pacing import Pacing

logger = logging.getLogger("sorawatch")


def record(turn: Turn, done: Done, admission: Admission, blocks: Blocks, pacing: Pacing) -> tuple[Job, Job] | None:
    """Write down what ``done`` tells.

    Returns:
        The job as it was and as it is; None if it has gone another way meanwhile.
    """
    job = turn.job(done.job_id)
    if job is None:
        return None
    if done.action is Action.SUBMIT and job.token != done.token:
        if isinstance(done.outcome, o.Accepted) and done.token is not None:
            turn.know_video(done.token, done.outcome.video_id)
        return None
    if done.action is Action.SUBMIT and job.state in {State.UNCERTAIN, State.HELD}:
        return _belated(turn, job, done.outcome, admission)
    if done.action is not (Action.SUBMIT if job.state is State.SUBMITTING else decide(job)):
        turn.release(job)
        return None
    outcome = _without_others(turn, job, done.outcome) if isinstance(done.outcome, o.Searched) else done.outcome
    jitter = random.random()  # noqa: S311 -- it spreads retries and guards nothing
    outlook = pacing.outlook(turn, job)
    after = advance(job, done.action, outcome, now=turn.now, policy=admission.policy, jitter=jitter, outlook=outlook)
    admission.heed(turn, job, outcome)
    if job.token is not None:
        if after.video_id is not None and after.video_id != job.video_id:
            turn.know_video(job.token, after.video_id)
        standing = standing_after(done.action, outcome, after)
        if standing is not None:
            turn.settle(job.token, standing, after.clip)
    blocks.learn(done.action, outcome, turn.now, after.due_at, jitter)
    if done.action is Action.POLL:
        pacing.learn(turn, job, outcome, after)
    try:
        turn.save(after, job)
    except LeaseLost:
        logger.warning("%s: another daemon has taken job %s over", job.pair.path, job.id)
        return None
    return job, after


def _belated(turn: Turn, job: Job, outcome: o.Outcome, admission: Admission) -> tuple[Job, Job] | None:
    """The answer to a submit that another daemon took for lost, while this one was cut off from the state.

    It counts whoever has the job claimed meanwhile, for its token proves which submit it answers.
    """
    if not isinstance(outcome, o.Accepted) or job.video_id is not None or job.token is None:
        return None
    after = resume(job, outcome.video_id, turn.now, admission.policy)
    turn.know_video(job.token, outcome.video_id)
    turn.amend(after, job)
    return job, after


def _without_others(turn: Turn, job: Job, found: o.Searched) -> o.Searched:
    """Leave out videos that other jobs have; with rivals about, none of the rest is certain."""
    taken = turn.known_videos(candidate.video_id for candidate in found.candidates)
    left = tuple(candidate for candidate in found.candidates if candidate.video_id not in taken)
    if turn.rivals(job):
        left = tuple(replace(candidate, certain=False) for candidate in left)
    return replace(found, candidates=left)
