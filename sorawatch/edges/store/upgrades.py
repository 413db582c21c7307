"""Upgrades the tables of an older version: numbered steps, each of which only adds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sorawatch.core.job import State, top_folder
from sorawatch.core.naming import current_key
from sorawatch.edges.store.tables import SCHEMA_VERSION, jobs, notes, purchases, turns


def upgrade(connection: sa.Connection, version: int) -> None:
    """Take every step that leads from ``version`` to `SCHEMA_VERSION`."""
    for step in _STEPS[version - 1 :]:
        step(connection)
    if version < SCHEMA_VERSION:
        connection.execute(notes.update().where(notes.c.key == "schema").values(value=str(SCHEMA_VERSION)))


def _purchases_stand_alone(connection: sa.Connection) -> None:
    connection.execute(notes.delete().where(notes.c.key == "pace"))
    copied = ("folder", "image", "model", "size", "seconds", "clip")
    for name in copied:
        _add(connection, purchases.c[name])
    source = {name: sa.select(jobs.c[name]).where(jobs.c.id == purchases.c.job_id) for name in copied}
    source["clip"] = source["clip"].where(jobs.c.token == purchases.c.token)
    connection.execute(purchases.update().values({name: query.scalar_subquery() for name, query in source.items()}))


def _losses_and_obstacles_are_kept(connection: sa.Connection) -> None:
    _add(connection, jobs.c.losses)
    _add(connection, jobs.c.obstacle)


def _what_was_lost_and_taken_is_kept(connection: sa.Connection) -> None:
    for name in ("reorders", "lost_reason", "witness_until", "take", "reference_key", "reference_digest"):
        _add(connection, jobs.c[name])
    for name in ("take", "reference_key"):
        _add(connection, purchases.c[name])
    _create_indexes(connection, "jobs_by_reference", "jobs_by_take", "purchases_by_reference")


def _retries_of_held_jobs_are_explicit(connection: sa.Connection) -> None:
    _add(connection, jobs.c.retry_state)
    _add(connection, jobs.c.unwatched_ms)
    # Until then a held job's video, else its attempts, said what a retry did.
    before = sa.case(
        (jobs.c.video_id.is_not(None), State.RENDERING.value),
        (jobs.c.attempts > 0, State.UNCERTAIN.value),
        else_=State.READY.value,
    )
    connection.execute(jobs.update().where(jobs.c.state == State.HELD).values(retry_state=before))


def _folders_take_turns_and_batches_wait(connection: sa.Connection) -> None:
    for name in ("top", "expected_price", "batch", "awaits_approval", "approved_at"):
        _add(connection, jobs.c[name])
    for folder in [*connection.scalars(sa.select(jobs.c.folder).distinct())]:
        connection.execute(jobs.update().where(jobs.c.folder == folder).values(top=top_folder(folder)))
    turns.create(connection)
    _create_indexes(connection, "jobs_by_turn", "jobs_by_creation", "jobs_awaiting_approval", "jobs_by_batch")


def _accounts_and_names_of_clips_are_kept(connection: sa.Connection) -> None:
    for name in ("account", "publishing", "publishing_digest"):
        _add(connection, jobs.c[name])


def _delivered_jobs_are_packed(connection: sa.Connection) -> None:
    for name in ("packed_job", "ended_at", "image_size"):
        _add(connection, purchases.c[name])
    connection.execute(sa.text("DROP INDEX IF EXISTS purchases_by_likeness"))
    for table, key in ((jobs, jobs.c.id), (purchases, purchases.c.token)):
        _shorten_keys(connection, table, key)
    _create_indexes(connection, "open_purchases_by_likeness", "packed_jobs", "packed_jobs_by_end")


def _shorten_keys(connection: sa.Connection, table: sa.Table, key: sa.Column[str]) -> None:
    names = ("order_key", "reference_key", "likeness")
    rows = connection.execute(sa.select(key.label("this"), *(table.c[name] for name in names))).mappings().all()
    shortened = [{name: value and current_key(value) for name, value in row.items() if name != "this"} for row in rows]
    if rows:
        values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
        connection.execute(
            table.update().where(key == sa.bindparam("this")).values(values),
            [{"this": row["this"], **short} for row, short in zip(rows, shortened, strict=True)],
        )


def _fields_of_orders_are_kept(connection: sa.Connection) -> None:
    _add(connection, jobs.c.fields)


def _create_indexes(connection: sa.Connection, *names: str) -> None:
    for index in (*jobs.indexes, *purchases.indexes):
        if index.name in names:
            index.create(connection)


def _add(connection: sa.Connection, column: sa.Column[Any]) -> None:
    written = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
    connection.execute(sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {written}"))


_STEPS = (
    _purchases_stand_alone,
    _losses_and_obstacles_are_kept,
    _what_was_lost_and_taken_is_kept,
    _retries_of_held_jobs_are_explicit,
    _folders_take_turns_and_batches_wait,
    _accounts_and_names_of_clips_are_kept,
    _delivered_jobs_are_packed,
    _fields_of_orders_are_kept,
)
"""The first leads from version 1 to 2."""
