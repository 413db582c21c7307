"""RESOLVE: what becomes of a job whose submit was sent and not answered, once the server was searched for it.

Exactly one match is followed. No match counts only on a complete list that shows another video of ours (a witness),
twice, some seconds apart. Everything else is for the configuration (``api.unresolved_submit``) or a person to decide.
An order that costs nothing is ordered again.
"""

from __future__ import annotations

from dataclasses import replace

from sorawatch.core import outcome as o
from sorawatch.core.error_text import may_be, stake, ways_on
from sorawatch.core.error_words import MODERATION
from sorawatch.core.job import Job, State
from sorawatch.core.job_changes import Context, enter, follow, hold, order_again, reject, retry_or, without_submit
from sorawatch.core.refusals import CONTENT_HINT

MISSES_THAT_PROVE = 2
"""Complete lists in a row without the order before it counts as not arrived."""
MOST_LOSSES = 3
"""Losses of one order in a row after which it is held, even if the list or the configuration says otherwise: it is
more likely that the list is wrong than that every submit was lost."""
_WITNESS_LOOKS = 12
"""Searches during the wait for a witness."""


def searched(job: Job, found: o.Searched, context: Context) -> Job:
    """The list could be read."""
    alike = tuple(candidate for candidate in found.candidates if not candidate.differs)
    match alike:
        case (o.Candidate(certain=True) as only,):
            return follow(job, only.video_id, context)
        case _ if job.price == 0:
            nothing = "the server has nothing with its tag" if found.tagged else "no list shows it"
            return order_again(job, f"{_lost(job)}, and {nothing}", context)
        case () if found.complete and not (found.witnessed or found.candidates):
            return _without_witness(job, found, context)
        case () if found.complete:
            return _not_listed(job, found, context)
        case () if not found.candidates:
            return _undecidable(job, "its list does not reach back to the time of the submit", context)
        case _:
            return _held(job, may_be(found.candidates), context)


def unlisted(job: Job, outcome: o.Unlisted, context: Context) -> Job:
    """The server has no list that tells anything."""
    return _undecidable(job, outcome.reason, context)


def search_failed(job: Job, outcome: o.TemporaryFailure, context: Context) -> Job:
    """The list could not be read now."""
    return retry_or(_give_up_search, job, outcome, context)


def _give_up_search(job: Job, reason: str, context: Context) -> Job:
    if job.price == 0:
        return order_again(job, f"{_lost(job)}, and {reason}", context)
    why = f"{_lost(job)}, and the list of videos cannot be read: {reason}.{stake(job)}"
    hint = ways_on(job, f"Once it can be read, `sorawatch retry {job.id}` looks again.")
    return hold(job, context.now, why, hint, State.UNCERTAIN)


def _without_witness(job: Job, found: o.Searched, context: Context) -> Job:
    """A complete list shows no video of ours at all, so it may be another account's, or late.

    An order that is accepted meanwhile can show that the list is ours, so the job waits for one for a limited time.
    """
    now, wait = context.now, int(1000 * context.policy.witness_seconds)
    is_first, until, left = job.witness_until is None, job.witness_until, _time_to_arrive(job, context)
    if until is None or until > now + wait:
        until = now + wait
    why = "its list shows no video of ours, so it may be another account's, or late"
    if found.tagged:
        why = "it has nothing with the tag of the order, nor any other video of ours, so it may have been restarted"
    if not is_first and (now >= until or not (found.expectant or left > 0)):
        return _undecidable(job, why, context)
    reason = f"{_lost(job)}, and {why}; another order that the server accepts will tell"
    pause = max(context.list_delay, wait // _WITNESS_LOOKS)
    return replace(job, misses=0, attempts=0, reason=reason, witness_until=until, due_at=now + min(pause, until - now))


def _not_listed(job: Job, found: o.Searched, context: Context) -> Job:
    """A complete list shows nothing like the submit. The second time that is proof, unless it can still arrive.

    Videos that differ are decided on then, too: meanwhile some may have turned out to be other jobs' own.
    """
    differing = found.candidates
    left = _time_to_arrive(job, context)
    if job.misses + 1 < MISSES_THAT_PROVE or left > 0:
        due_at = context.now + max(context.list_delay, left)
        return replace(job, misses=job.misses + 1, attempts=0, due_at=due_at)
    if differing:
        return _held(job, may_be(differing), context)
    if job.losses + 1 >= MOST_LOSSES:
        shows = "it has" if found.tagged else "its list shows"
        why = f"{shows} none of the {job.losses + 1} orders whose answers were lost"
        return _undecidable(job, why, context)
    if _was_moderated(job):
        return without_submit(reject(job, context.now, f"moderation refused it: {job.lost_reason}", CONTENT_HINT))
    return replace(without_submit(enter(job, State.READY, context.now)), losses=job.losses + 1)


def _undecidable(job: Job, why: str, context: Context) -> Job:
    if job.price == 0:
        return order_again(job, f"{_lost(job)}, and {why}", context)
    if context.policy.resubmit_lost and not _was_moderated(job) and job.losses + 1 < MOST_LOSSES:
        return replace(without_submit(enter(job, State.READY, context.now)), losses=job.losses + 1)
    return _held(job, f"the server cannot say whether it arrived: {why}", context)


def _held(job: Job, why: str, context: Context) -> Job:
    reason = f"{_lost(job)}, and {why}.{stake(job)}"
    hint = ways_on(job, f"If it does not: `sorawatch retry {job.id}` orders it again.")
    return hold(job, context.now, reason, hint, State.READY)


def _lost(job: Job) -> str:
    """Why nobody knows whether the order arrived."""
    return job.lost_reason or "the answer to the submit was lost"


def _was_moderated(job: Job) -> bool:
    """Whether the answer that counts as lost says that the same order would be refused again."""
    return MODERATION.search(job.lost_reason.casefold()) is not None


def _time_to_arrive(job: Job, context: Context) -> int:
    """Milliseconds for which the server may still take the submit, or its list not show it yet."""
    since = context.now - (job.submitted_at or 0)
    return max(0, int(1000 * context.policy.late_seconds) - since) if since >= 0 else 0
