"""Forgetting what ended long ago."""

from __future__ import annotations

import sqlalchemy as sa

from sorawatch.core.job import FINAL
from sorawatch.edges.store.tables import history, jobs


def prune(connection: sa.Connection, before: int, limit: int) -> int:
    """Delete jobs and their history, at most ``limit`` of them, the oldest first. Returns how many.

    Args:
        before: those go that ended before this time (milliseconds of the store's clock).
    """
    ended = sa.and_(jobs.c.state.in_([*FINAL]), jobs.c.changed_at < before)
    old = sa.select(jobs.c.id).where(ended).order_by(jobs.c.changed_at).limit(limit)
    ids = [*connection.scalars(old)]
    connection.execute(history.delete().where(history.c.job_id.in_(ids)))
    connection.execute(jobs.delete().where(jobs.c.id.in_(ids)))
    return len(ids)
