"""What people ask for with ``retry``, ``cancel``, ``adopt``, ``pause`` and ``resume``, granted within a turn."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core.another_take import another, require_repeatable
from sorawatch.core.job import IN_FLIGHT, Change, Job, State
from sorawatch.core.lifecycle import ACTIONS, resume, retry, withdraw
from sorawatch.core.naming import job_id, legible
from sorawatch.edges.store import LeaseLost, Transaction
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from sorawatch.core.retry_policy import Policy

logger = logging.getLogger("sorawatch")

ANOTHER = "another"
"""The argument of ``retry`` that asks for one more of what the job ordered."""


@dataclass(frozen=True, slots=True)
class Command:
    """``verb`` for the job ``job_id``, if it is about one, with an optional ``argument``."""

    verb: str
    job_id: str | None = None
    argument: str | None = None


def preview(tx: Transaction, wish: Command, job: Job | None, policy: Policy) -> Job | None:
    """The job as the wish would leave it, or a new one that it would make; None where it is about no job.

    Raises:
        Rejected: if it cannot be granted, with the reason in words.
    """
    if job is None:
        return None
    match wish.verb:
        case "retry" if wish.argument == ANOTHER:
            require_repeatable(job)
            return another(job, tx.orders.next_take(job), job_id(os.urandom(5)), tx.now)
        case "retry":
            return _or_refuse(retry(job, tx.now), job, "tried again")
        case "cancel":
            return _or_refuse(withdraw(job, tx.now), job, "cancelled")
        case "adopt" if job.wants_video and wish.argument:
            if (other := tx.follower(wish.argument, job)) is not None:
                why = f"{wish.argument} is the video of {legible(other.pair.path)} (job {other.id})"
                raise Rejected(why, f"Name the one that the server made for {legible(job.pair.path)}.")
            return resume(job, wish.argument, tx.now, policy)
        case verb:
            return _or_refuse(None, job, {"adopt": "given a video"}.get(verb, verb))


def execute(tx: Transaction, wish: Command, job: Job | None, policy: Policy) -> list[Change]:
    """Carry a wish out.

    Returns:
        The jobs it changed, as they were and as they are.

    Raises:
        Rejected: as `preview`.
    """
    after = preview(tx, wish, job, policy)
    if job is None or after is None:
        tx.write_note("paused", {"since" if wish.verb == "pause" else "resumed": tx.now})
        return []
    if after.id != job.id:
        left = replace(job, filed=())
        tx.save(left, job)
        tx.add([after])
        return [(job, left), (None, after)]
    if after.video_id and after.video_id != job.video_id and job.token:
        tx.know_video(job.token, after.video_id)
    if job.state in ACTIONS and after.state is job.state:
        tx.amend(after, job)
    else:
        tx.save(after, job)
    return [(job, after)]


def execute_all(tx: Transaction, policy: Policy) -> list[Change]:
    """Carry out all that other processes have asked for since the last turn; what cannot be granted is logged.

    Returns:
        The jobs that changed, as they were and as they are.
    """
    changes: list[Change] = []
    for command in tx.take_commands():
        wish = Command(command.verb, command.job_id, command.argument)
        try:
            changes += execute(tx, wish, tx.job(wish.job_id) if wish.job_id else None, policy)
        except Rejected as error:
            logger.warning("%s", error)
        except LeaseLost:
            # Another daemon is at it this very moment.
            tx.command(wish.verb, wish.job_id, wish.argument)
    return changes


def _or_refuse(after: Job | None, job: Job, what: str) -> Job:
    if after is not None:
        return after
    why = f"it is {job.state}"
    if job.state in IN_FLIGHT | {State.RENDERED, State.DELIVERED}:
        why += ", so it is paid for and will be delivered"
    raise Rejected(f"job {job.id} cannot be {what}: {why}")
