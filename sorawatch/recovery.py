"""From the work folder back into the state: jobs that it does not know, or knows less of than their own record."""

from __future__ import annotations

import logging
from dataclasses import replace

from sorawatch.admission import Admission
from sorawatch.core.job import UNPAID, Job
from sorawatch.core.record import from_record
from sorawatch.edges.store import Turn
from sorawatch.edges.work import WorkFolder

logger = logging.getLogger("sorawatch")


def reconcile(turn: Turn, work: WorkFolder, admission: Admission) -> list[Job]:
    """Take up what the work folder knows better than the state, as after a backup of the state was put back.

    Returns:
        The jobs that were added or set right.
    """
    taken_up = []
    for job_id in work.jobs():
        record = work.record(job_id)
        if record is None:
            continue
        try:
            recorded = from_record(record, turn.now)
        except ValueError as error:
            logger.warning("%s/job.json cannot be read (%s)", work.folder(job_id), error)
            continue
        if recorded.token is not None and turn.has_purchase(recorded.token):
            continue
        known = turn.job(recorded.id)
        submitted = recorded.token is not None or recorded.video_id is not None
        if known is None:
            job = replace(recorded, price=recorded.price if submitted else admission.price(recorded))
            turn.add([job])
        elif known.state in UNPAID and submitted:
            job = replace(recorded, created_at=known.created_at, pair=known.pair)
            turn.save(job, known)
        else:
            continue
        if job.token is not None:
            turn.buy(job)
            if job.video_id is not None:
                turn.know_video(job.token, job.video_id)
        taken_up.append(job)
    return taken_up
