"""A job as a small JSON file beside its reference, from which it is restored if the state is lost."""

from __future__ import annotations

from typing import Any

from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.order import Fit, Order, parse_focus, parse_size

VERSION = 1


def to_record(job: Job) -> dict[str, object]:
    """What is needed to continue a job: its pair, its order, its submit and its video."""
    pair, order = job.pair, job.order
    return {
        "version": VERSION,
        "job": job.id,
        "folder": pair.folder,
        "image": pair.image,
        "image_stamp": _numbers(pair.image_stamp),
        "sidecar": pair.sidecar,
        "sidecar_stamp": pair.sidecar_stamp and _numbers(pair.sidecar_stamp),
        "order": order
        and {
            "prompt": order.prompt,
            "model": order.model,
            "size": str(order.size),
            "seconds": order.seconds,
            "fit": order.fit.value,
            "focus": str(order.focus),
            "priority": order.priority,
            "take": order.take,
            "fields": order.fields,
        },
        "digest": job.digest,
        "reference_digest": job.reference_digest,
        "price_micros": job.price,
        "token": job.token,
        "account": job.account,
        "submitted_at": job.submitted_at,
        "video_id": job.video_id,
    }


def from_record(record: dict[str, Any], now: int) -> Job:
    """The job of a record: rendering if it has a video, uncertain if it was submitted, otherwise found.

    Args:
        now: milliseconds of the store's clock.

    Raises:
        ValueError: if this is not a record, or one of a newer version.
    """
    try:
        if record["version"] > VERSION:
            raise ValueError(f"version {record['version']}")
        sidecar_stamp = record["sidecar_stamp"]
        pair = Pair(
            record["folder"],
            record["image"],
            Stamp(*record["image_stamp"]),
            record["sidecar"],
            sidecar_stamp and Stamp(*sidecar_stamp),
        )
        token, video_id = record["token"], record["video_id"]
        return Job(
            id=record["job"],
            state=State.RENDERING if video_id else State.UNCERTAIN if token else State.FOUND,
            pair=pair,
            created_at=now,
            due_at=now,
            changed_at=now,
            order=_order(record["order"]),
            digest=record["digest"] if token or video_id else "",
            reference_digest=record.get("reference_digest", "") if token or video_id else "",
            reason="restored from the work folder",
            price=record["price_micros"],
            token=token,
            account=record.get("account"),
            submitted_at=record["submitted_at"],
            lost_at=now if token and not video_id else None,
            video_id=video_id,
            charged=Charged.PERHAPS if token or video_id else Charged.NO,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _numbers(stamp: Stamp) -> list[int]:
    return [stamp.size, stamp.mtime_ns]


def _order(fields: dict[str, Any]) -> Order:
    return Order(
        fields["prompt"],
        fields["model"],
        parse_size(fields["size"]),
        fields["seconds"],
        Fit(fields["fit"]),
        fields["priority"],
        parse_focus(fields["focus"]),
        fields.get("take", 1),
        fields.get("fields", ""),
    )
