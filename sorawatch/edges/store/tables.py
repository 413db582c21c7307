"""The tables of the state, with column types for file names and texts of any content."""

from __future__ import annotations

import os

import sqlalchemy as sa

from sorawatch.core.naming import valid_text

SCHEMA_VERSION = 9


class FileName(sa.TypeDecorator[str]):
    """A file name, stored as bytes, because names need not be valid text."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: sa.Dialect) -> bytes | None:
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, _dialect: sa.Dialect) -> str | None:
        return None if value is None else os.fsdecode(value)


class Prose(sa.TypeDecorator[str]):
    """Text of any origin. What a database does not accept, such as the bytes of an invalid file name, is escaped."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: sa.Dialect) -> str | None:
        return None if value is None else valid_text(value).replace("\0", "\\x00")


metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("folder", FileName, nullable=False),
    sa.Column("image", FileName, nullable=False),
    sa.Column("image_size", sa.BigInteger, nullable=False),
    sa.Column("image_mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("sidecar", FileName),
    sa.Column("sidecar_size", sa.BigInteger),
    sa.Column("sidecar_mtime_ns", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("prompt", Prose),
    sa.Column("model", Prose),
    sa.Column("size", sa.String(32)),
    sa.Column("seconds", sa.Integer),
    sa.Column("fit", sa.String(16)),
    sa.Column("focus", sa.String(64)),
    sa.Column("fields", Prose, nullable=False, server_default=""),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("take", sa.Integer, nullable=False, server_default="1"),
    sa.Column("order_key", sa.String(64)),
    sa.Column("reference_key", sa.String(64)),
    sa.Column("likeness", sa.String(64)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("retry_state", sa.String(16)),
    sa.Column("reason", Prose, nullable=False),
    sa.Column("mend", Prose, key="hint", nullable=False),
    sa.Column("obstacle", Prose, nullable=False, server_default=""),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("reference_digest", sa.String(64), nullable=False, server_default=""),
    sa.Column("note", Prose, nullable=False),
    sa.Column("price", sa.BigInteger),
    sa.Column("token", sa.String(64)),
    sa.Column("submitted_at", sa.BigInteger),
    sa.Column("lost_at", sa.BigInteger),
    sa.Column("misses", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("reorders", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lost_reason", Prose, nullable=False, server_default=""),
    sa.Column("witness_until", sa.BigInteger),
    sa.Column("video_id", Prose),
    sa.Column("progress", sa.Integer),
    sa.Column("unwatched_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("generations", sa.Integer, nullable=False),
    sa.Column("charged", sa.String(8), nullable=False),
    sa.Column("account", sa.String(32)),
    sa.Column("publishing", FileName),
    sa.Column("publishing_digest", sa.String(64), nullable=False, server_default=""),
    sa.Column("clip", FileName),
    sa.Column("filed", sa.LargeBinary, nullable=False),
    sa.Column("lease_owner", sa.String(128)),
    sa.Column("lease_until", sa.BigInteger),
    # The first part of "folder": these folders take turns.
    sa.Column("top", FileName),
    # What follows belongs to batches, not to single jobs: see `edges/store/batches.py`.
    sa.Column("expected_price", sa.BigInteger),
    sa.Column("batch", sa.Integer),
    sa.Column("awaits_approval", sa.Integer, nullable=False, server_default="0"),
    sa.Column("approved_at", sa.BigInteger),
    sa.Index("jobs_by_state", "state", "due_at"),
    sa.Index("jobs_by_order", "order_key"),
    sa.Index("jobs_by_reference", "reference_key"),
    sa.Index("jobs_by_take", "take"),
    sa.Index("jobs_by_likeness", "likeness", "state"),
    sa.Index("jobs_by_creation", "created_at"),
)

URGENCY = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.image_mtime_ns, jobs.c.image, jobs.c.id)
"""The order of the jobs of one folder: by priority, then the oldest first."""

sa.Index("jobs_by_turn", jobs.c.state, jobs.c.awaits_approval, jobs.c.top, *URGENCY)

AWAITS_APPROVAL = jobs.c.awaits_approval == sa.literal_column("1")
"""With the number in the statement, so that the database sees that a query needs only what an index contains."""
_HAS_BATCH = jobs.c.batch.is_not(None)
_SHARE = (jobs.c.batch, jobs.c.top, jobs.c.state, jobs.c.expected_price)
_WHOLE = (jobs.c.batch, jobs.c.state, jobs.c.charged, jobs.c.expected_price)
sa.Index("jobs_awaiting_approval", *_SHARE, sqlite_where=AWAITS_APPROVAL, postgresql_where=AWAITS_APPROVAL)
sa.Index("jobs_by_batch", *_WHOLE, sqlite_where=_HAS_BATCH, postgresql_where=_HAS_BATCH)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("state", sa.String(16), primary_key=True),
    sa.Column("folder", FileName, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)
"""When each first-level folder of the inbox last had its turn in a state: the highest number was the last turn."""

purchases = sa.Table(
    "purchases",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("job_id", sa.String(16), nullable=False),
    sa.Column("order_key", sa.String(64), nullable=False),
    sa.Column("likeness", sa.String(64), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("micros", sa.BigInteger),
    sa.Column("standing", sa.String(16), nullable=False),
    sa.Column("video_id", Prose),
    # Copied from the job, because purchases are kept longer than jobs.
    sa.Column("folder", FileName),
    sa.Column("image", FileName),
    sa.Column("model", Prose),
    sa.Column("size", sa.String(32)),
    sa.Column("seconds", sa.Integer),
    sa.Column("clip", FileName),
    sa.Column("take", sa.Integer, nullable=False, server_default="1"),
    sa.Column("reference_key", sa.String(64)),
    # A delivered job that was packed into its purchase: see `edges/store/packing.py`.
    sa.Column("packed_job", sa.LargeBinary),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("image_size", sa.BigInteger),
    sa.Index("purchases_by_order", "order_key"),
    sa.Index("purchases_by_reference", "reference_key"),
    sa.Index("purchases_by_time", "at"),
    sa.Index("purchases_by_video", "video_id"),
)

IS_OPEN = purchases.c.standing == sa.literal_column("'open'")
"""As `AWAITS_APPROVAL`."""
HAS_PACKED_JOB = purchases.c.ended_at.is_not(None)
sa.Index("open_purchases_by_likeness", purchases.c.likeness, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
sa.Index("packed_jobs", purchases.c.job_id, sqlite_where=HAS_PACKED_JOB, postgresql_where=HAS_PACKED_JOB)
sa.Index("packed_jobs_by_end", purchases.c.ended_at, sqlite_where=HAS_PACKED_JOB, postgresql_where=HAS_PACKED_JOB)

history = sa.Table(
    "history",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String(16), nullable=False, index=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", Prose, nullable=False),
)

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("verb", sa.String(16), nullable=False),
    sa.Column("job_id", sa.String(16)),
    sa.Column("argument", Prose),
    sa.Column("at", sa.BigInteger, nullable=False),
)

notes = sa.Table(
    "notes",
    metadata,
    sa.Column("key", sa.String(32), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
