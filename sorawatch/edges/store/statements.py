"""What every poll comes down to, thousands of times an hour: built once, for that takes longer than carrying it out."""

from __future__ import annotations

import sqlalchemy as sa

from sorawatch.core.job import FINAL, State
from sorawatch.edges.store.tables import history, jobs

CLAIMABLE = (
    sa.select(jobs.c.state)
    .distinct()
    .where(
        # Named one by one, so that the index leads past all that has ended.
        jobs.c.state.in_([*{*State} - FINAL - {State.HELD, State.SUBMITTING}]),
        sa.or_(jobs.c.due_at <= sa.bindparam("now"), jobs.c.due_at > sa.bindparam("horizon")),
        sa.or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < sa.bindparam("now")),
    )
)
"""States with due jobs that nobody has claimed."""

ONE = sa.select(jobs).where(jobs.c.id == sa.bindparam("this"))
TELL = history.insert()
SAVE = jobs.update().where(
    jobs.c.id == sa.bindparam("this"),
    sa.or_(
        jobs.c.lease_owner == sa.bindparam("me"),
        jobs.c.lease_owner.is_(None),
        jobs.c.lease_until < sa.bindparam("now"),
    ),
)
