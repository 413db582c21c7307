"""Purchases: each submit, its price, and what became of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Standing(StrEnum):
    """Whether a submit counts as money spent."""

    OPEN = "open"
    """Sent, or about to be; counts as spent until it is known not to."""
    SPENT = "spent"
    """The clip was made."""
    RELEASED = "released"
    """Proved not to have been accepted, or failed and not billed."""


_TAGS = uuid.UUID("3f9c0c0e-6f39-4a53-9d0a-5b8a3d8a4f7e")
"""The namespace of the tags. Another one would keep orders from being found whose answers were lost before."""


def tag_of(token: str) -> str:
    """The tag that a server keeps with an order: a UUID, as ComfyUI demands, that is made from its token alone."""
    return str(uuid.uuid5(_TAGS, token))


@dataclass(frozen=True, slots=True)
class Purchase:
    """One submit. ``at`` is milliseconds of the store's clock, ``micros`` its price in micro-dollars.

    None is what an older sorawatch did not record, or what is not known yet.
    """

    token: str
    job_id: str
    at: int
    micros: int | None
    standing: Standing
    video_id: str | None
    order_key: str
    likeness: str
    reference_key: str | None = None
    folder: str | None = None
    image: str | None = None
    model: str | None = None
    size: str | None = None
    seconds: int | None = None
    take: int = 1
    clip: str | None = None
    """Its path below the outbox, once it was delivered."""


@dataclass(frozen=True, slots=True)
class VideoKnown:
    """The server's id of what was bought with this token."""

    token: str
    video_id: str


@dataclass(frozen=True, slots=True)
class PurchaseClosed:
    """What became of the purchase with this token."""

    token: str
    standing: Standing
    clip: str | None


LedgerEntry = Purchase | VideoKnown | PurchaseClosed
"""One line of the ledger: an order about to be sent, its video, or its end."""


def posted(purchase: Purchase | None, entry: LedgerEntry) -> Purchase | None:
    """A purchase with what ``entry`` adds to it; None while it is not known what was bought."""
    match entry:
        case Purchase():
            return entry if purchase is None else merged(purchase, entry)
        case VideoKnown() if purchase is not None:
            return replace(purchase, video_id=entry.video_id)
        case PurchaseClosed() if purchase is not None:
            return replace(purchase, standing=entry.standing, clip=entry.clip or purchase.clip)
        case _:
            return purchase


def merged(one: Purchase, other: Purchase) -> Purchase:
    """What two records of the same purchase know together.

    The older record knows less, because a settled purchase does not open again. Where both are settled differently,
    the money counts as spent.
    """
    standing = next(each for each in _BY_WEIGHT if each in {one.standing, other.standing})
    known = {name: getattr(other, name) for name in _LEARNT if getattr(one, name) is None}
    return replace(one, standing=standing, **known)


def untold(purchases: Iterable[Purchase], ledger: Mapping[str, Purchase]) -> list[Purchase]:
    """Purchases that the ledger (by tokens) does not have, or of which it knows less."""
    return [
        each for each in purchases if (recorded := ledger.get(each.token)) is None or merged(recorded, each) != recorded
    ]


_BY_WEIGHT = (Standing.SPENT, Standing.RELEASED, Standing.OPEN)
_LEARNT = ("video_id", "clip", "reference_key")


@dataclass(frozen=True, slots=True)
class Witness:
    """A video of ours that a complete list shows. ``ordered_at`` is milliseconds of the store's clock."""

    video_id: str
    job_id: str
    ordered_at: int
    prompt: str | None
    """None where the job is no longer known."""
