"""The messages about pictures between the daemon and a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sorawatch.core.order import Size
from sorawatch.edges.confined.messages import Reply
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail
from sorawatch.errors import Damaged, Deferred, Rejected


@dataclass(frozen=True, slots=True)
class Request:
    """The name of a picture, for messages, and how to make its reference."""

    name: str
    reference_request: ReferenceRequest


Prepared = Reference | Rejected | Deferred


def to_reply(prepared: Prepared) -> Reply:
    """The message that says what became of a picture."""
    match prepared:
        case Rejected():
            kind = "damaged" if isinstance(prepared, Damaged) else "rejected"
            return Reply({"kind": kind, "reason": str(prepared), "hint": prepared.hint})
        case Deferred():
            return Reply({"kind": "deferred", "reason": str(prepared)})
        case Reference():
            thumbnail = prepared.thumbnail
            head = {
                "kind": "reference",
                "mime": prepared.mime,
                "size": str(prepared.size),
                "source": str(prepared.source),
                "digest": prepared.digest,
                "crop": prepared.crop,
                "note": prepared.note,
                "thumbnail": thumbnail and str(thumbnail.size),
            }
            return Reply(head, (thumbnail.pixels if thumbnail else b"") + prepared.data)


def from_reply(reply: Reply) -> Prepared:
    """What a message says.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it is not valid.
    """
    head, data = reply.head, reply.data
    match reply.kind:
        case "rejected":
            return Rejected(str(head["reason"]), str(head["hint"]))
        case "damaged":
            return Damaged(str(head["reason"]), str(head["hint"]))
        case "deferred":
            return Deferred(str(head["reason"]))
        case "reference":
            thumbnail = _thumbnail(head["thumbnail"], data)
            return Reference(
                data=data[len(thumbnail.pixels) if thumbnail else 0 :],
                mime=str(head["mime"]),
                size=Size.parse(head["size"]),
                source=Size.parse(head["source"]),
                digest=str(head["digest"]),
                crop=_box(head["crop"]),
                note=str(head["note"]),
                thumbnail=thumbnail,
            )
        case other:
            raise ValueError(other)


def _box(edges: list[float] | None) -> tuple[float, float, float, float] | None:
    if edges is None:
        return None
    left, top, right, bottom = map(float, edges)
    return left, top, right, bottom


def _thumbnail(size: Any, data: bytes) -> Thumbnail | None:
    if size is None:
        return None
    parsed = Size.parse(size)
    return Thumbnail(parsed, data[: 3 * parsed.pixels])
