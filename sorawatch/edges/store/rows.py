"""Converts jobs and purchases to rows, and back."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from sorawatch.core.job import Charged, Job, Pair, Stamp, State, top_folder
from sorawatch.core.naming import likeness, order_key
from sorawatch.core.order import Fit, Order, parse_focus, parse_size
from sorawatch.core.purchase import Purchase, Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.core.turns import Urgency


def row_of(job: Job) -> dict[str, Any]:
    """Every column of a job except its lease and its batch."""
    order, pair = job.order, job.pair
    return {
        "id": job.id,
        "state": job.state.value,
        "folder": pair.folder,
        "top": top_folder(pair.folder),
        "image": pair.image,
        "image_size": pair.image_stamp.size,
        "image_mtime_ns": pair.image_stamp.mtime_ns,
        "sidecar": pair.sidecar,
        "sidecar_size": pair.sidecar_stamp.size if pair.sidecar_stamp else None,
        "sidecar_mtime_ns": pair.sidecar_stamp.mtime_ns if pair.sidecar_stamp else None,
        "created_at": job.created_at,
        "changed_at": job.changed_at,
        "due_at": job.due_at,
        "prompt": order.prompt if order else None,
        "model": order.model if order else None,
        "size": str(order.size) if order else None,
        "seconds": order.seconds if order else None,
        "fit": order.fit.value if order else None,
        "focus": str(order.focus) if order else None,
        "fields": order.fields if order else "",
        "priority": order.priority if order else 0,
        "take": order.take if order else 1,
        "order_key": order_key(job.digest, order) if order and job.digest else None,
        "reference_key": order_key(job.reference_digest, order) if order and job.reference_digest else None,
        "likeness": likeness(order) if order else None,
        "attempts": job.attempts,
        "retry_state": None if job.retry_state is None else job.retry_state.value,
        "reason": job.reason,
        "hint": job.hint,
        "obstacle": job.obstacle,
        "digest": job.digest,
        "reference_digest": job.reference_digest,
        "note": job.note,
        "price": job.price,
        "token": job.token,
        "submitted_at": job.submitted_at,
        "lost_at": job.lost_at,
        "misses": job.misses,
        "losses": job.losses,
        "reorders": job.reorders,
        "lost_reason": job.lost_reason,
        "witness_until": job.witness_until,
        "video_id": job.video_id,
        "progress": job.progress,
        "unwatched_ms": job.unwatched_ms,
        "generations": job.generations,
        "charged": job.charged.value,
        "publishing": job.publishing,
        "publishing_digest": job.publishing_digest,
        "account": job.account,
        "clip": job.clip,
        "filed": b"\0".join(os.fsencode(name) for name in job.filed),
    }


def keys_of(job: Job) -> dict[str, str | None]:
    """The keys of a prepared job's order: by its picture (``order``) and by its reference image, if known."""
    row = row_of(job)
    return {"order": row["order_key"], "reference": row["reference_key"]}


def purchase_of(job: Job, at: int) -> Purchase:
    """The purchase of a job that is about to be submitted under its token."""
    row = row_of(job)
    copied = ("token", "order_key", "reference_key", "likeness", "folder", "image", "model", "size", "seconds", "take")
    values = {name: row[name] for name in copied}
    return Purchase(job_id=job.id, at=at, micros=job.price, standing=Standing.OPEN, video_id=None, **values)


def purchase_in(row: Mapping[Any, Any]) -> Purchase:
    """The purchase that a row of all columns holds."""
    values = {field.name: row[field.name] for field in fields(Purchase)}
    return Purchase(**{**values, "standing": Standing(row["standing"])})


_PLAIN = frozenset(
    {"changed_at", "due_at", "attempts", "reason", "hint", "obstacle", "misses", "progress", "unwatched_ms"}
)
"""Columns that change often and hold the field of the same name unchanged."""


def changed_columns(before: Job, after: Job) -> dict[str, Any]:
    """The columns that must be written to change ``before`` into ``after``."""
    plain = {name: getattr(after, name) for name in _PLAIN if getattr(after, name) != getattr(before, name)}
    if replace(before, **plain) == after:
        return plain
    former = row_of(before)
    return {name: value for name, value in row_of(after).items() if value != former[name]}


def job_of(row: Any) -> Job:
    """The job in a row, or another object, that has all columns as attributes."""
    order = None
    if row.prompt is not None:
        size, focus = parse_size(row.size), parse_focus(row.focus)
        order = Order(row.prompt, row.model, size, row.seconds, Fit(row.fit), row.priority, focus, row.take, row.fields)
    sidecar_stamp = None if row.sidecar is None else Stamp(row.sidecar_size, row.sidecar_mtime_ns)
    image_stamp = Stamp(row.image_size, row.image_mtime_ns)
    return Job(
        id=row.id,
        state=State(row.state),
        pair=Pair(row.folder, row.image, image_stamp, row.sidecar, sidecar_stamp),
        created_at=row.created_at,
        due_at=row.due_at,
        changed_at=row.changed_at,
        order=order,
        attempts=row.attempts,
        retry_state=None if row.retry_state is None else State(row.retry_state),
        reason=row.reason,
        hint=row.hint,
        obstacle=row.obstacle,
        digest=row.digest,
        reference_digest=row.reference_digest,
        note=row.note,
        price=row.price,
        token=row.token,
        submitted_at=row.submitted_at,
        lost_at=row.lost_at,
        misses=row.misses,
        losses=row.losses,
        reorders=row.reorders,
        lost_reason=row.lost_reason,
        witness_until=row.witness_until,
        video_id=row.video_id,
        progress=row.progress,
        unwatched_ms=row.unwatched_ms,
        generations=row.generations,
        charged=Charged(row.charged),
        publishing=row.publishing,
        publishing_digest=row.publishing_digest,
        account=row.account,
        clip=row.clip,
        filed=filed_names(row.filed),
    )


def filed_names(column: bytes) -> tuple[str, ...]:
    """The names in the column ``filed``."""
    return tuple(os.fsdecode(name) for name in column.split(b"\0")) if column else ()


def urgency(job: Job) -> Urgency:
    """What decides which of two jobs of a folder comes first, as `URGENCY` in SQL."""
    priority = job.order.priority if job.order else 0
    return -priority, job.created_at, job.pair.image_stamp.mtime_ns, job.pair.image, job.id
