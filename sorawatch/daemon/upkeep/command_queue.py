"""Executes the commands ``retry``, ``cancel``, ``adopt``, ``approve``, ``pause`` and ``resume``."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from sorawatch.core.another_take import new_take, require_repeatable
from sorawatch.core.error_text import ANOTHER_COMMAND, is_duplicate
from sorawatch.core.job import IN_FLIGHT, Change, Job, State
from sorawatch.core.job_changes import Context
from sorawatch.core.lifecycle import ACTIONS, follow_video, retry, withdraw
from sorawatch.core.naming import job_id, valid_text
from sorawatch.daemon.upkeep import state_rollback
from sorawatch.daemon.upkeep.pause_switch import set_paused
from sorawatch.edges.store import LeaseLost, Transaction
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from sorawatch.core.command import Command
    from sorawatch.core.retry_policy import Policy

logger = logging.getLogger("sorawatch")

APPROVE = "approve"
ANOTHER = "another"
"""The argument of ``retry`` that orders another take."""


def result(tx: Transaction, command: Command, job: Job | None, policy: Policy) -> Job | None:
    """The job after the command, or the new job that the command would add; None if the command is about no job.

    Raises:
        Rejected: if the command cannot be executed.
    """
    if job is None:
        return None
    match command.verb:
        case "retry" if command.argument == ANOTHER:
            require_repeatable(job)
            return new_take(job, tx.orders.next_take(job), job_id(os.urandom(5)), tx.now)
        case "retry" if is_duplicate(job):
            why = f"job {job.id} would end the same way: {job.reason}"
            raise Rejected(why, f"{ANOTHER_COMMAND} {job.id}` orders another clip.")
        case "retry":
            return _or_refuse(retry(job, tx.now), job, "tried again")
        case "cancel":
            return _or_refuse(withdraw(job, tx.now), job, "cancelled")
        case "adopt" if job.wants_video and command.argument:
            if (other := tx.jobs.follower(command.argument, job)) is not None:
                why = f"{command.argument} is the video of {valid_text(other.pair.path)} (job {other.id})"
                raise Rejected(why, f"Name the one that the server made for {valid_text(job.pair.path)}.")
            return follow_video(job, command.argument, Context(tx.now, policy))
        case verb:
            return _or_refuse(None, job, {"adopt": "given a video"}.get(verb, verb))


def execute(tx: Transaction, command: Command, job: Job | None, policy: Policy) -> list[Change]:
    """Execute a command.

    Returns:
        The jobs that changed, before (None for a new job) and after.

    Raises:
        Rejected: as `result`.
        LeaseLost: if another daemon is working on the job.
    """
    if command.verb == APPROVE:
        # What was added after the command was given is not approved.
        tx.batches.approve(command.argument or "", command.at or tx.now)
        return []
    after = result(tx, command, job, policy)
    if job is None or after is None:
        set_paused(tx, paused=command.verb == "pause")
        if command.verb == "resume":
            state_rollback.give_up(tx)
        return []
    if after.id != job.id:
        without_files = replace(job, filed=())
        tx.jobs.save(without_files, job)
        tx.jobs.add([after])
        return [(job, without_files), (None, after)]
    if after.video_id and after.video_id != job.video_id and job.token:
        tx.purchases.set_video(job.token, after.video_id)
    if job.state in ACTIONS and after.state is job.state:
        tx.jobs.amend(after, job)
    else:
        tx.jobs.save(after, job)
    return [(job, after)]


def execute_all(tx: Transaction, policy: Policy) -> list[Change]:
    """Execute all commands from other processes since the last turn. Those that cannot be executed are logged.

    Returns:
        The jobs that changed, before (None for a new job) and after.
    """
    changes: list[Change] = []
    for command in tx.commands.take():
        try:
            changes += execute(tx, command, tx.jobs.get(command.job_id) if command.job_id else None, policy)
        except Rejected as error:
            logger.warning("%s", error)
        except LeaseLost:
            # Another daemon is working on the job, so the command is tried again in the next turn.
            tx.commands.add(command)
    return changes


def _or_refuse(after: Job | None, job: Job, what: str) -> Job:
    if after is not None:
        return after
    why = f"it is {job.state}"
    if job.state in IN_FLIGHT | {State.RENDERED, State.DELIVERED}:
        why += ", so it is paid for and will be delivered"
    raise Rejected(f"job {job.id} cannot be {what}: {why}")
