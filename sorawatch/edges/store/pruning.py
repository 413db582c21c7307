"""Deletes jobs that ended long ago."""

from __future__ import annotations

import sqlalchemy as sa

from sorawatch.core.job import FINAL, State
from sorawatch.edges.store.tables import history, jobs


def prune(connection: sa.Connection, before: int, delivered_before: int, limit: int) -> int:
    """Delete jobs and their history, at most ``limit`` of them, the oldest first. Returns how many.

    Args:
        before: failed and cancelled jobs go if they ended before this time (milliseconds of the store's clock).
        delivered_before: delivered jobs go if they ended before this time.
    """
    ended = sa.and_(jobs.c.state.in_([*FINAL - {State.DONE}]), jobs.c.changed_at < before)
    delivered = sa.and_(jobs.c.state == State.DONE, jobs.c.changed_at < delivered_before)
    old = sa.select(jobs.c.id).where(sa.or_(ended, delivered)).order_by(jobs.c.changed_at).limit(limit)
    ids = [*connection.scalars(old)]
    connection.execute(history.delete().where(history.c.job_id.in_(ids)))
    connection.execute(jobs.delete().where(jobs.c.id.in_(ids)))
    return len(ids)
