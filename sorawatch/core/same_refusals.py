"""Detects refusals of different pictures in the same words: their cause is a setting, not the pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from sorawatch.core.error_bodies import QUOTED

REFUSALS_TO_OPEN = 3
"""After so many different pictures were refused in the same words, no other is sent."""

_REMEMBERED = 12
"""How many refusals in the same words are remembered, and put back into the inbox together."""
_ID = re.compile(r"\S*\d\S*|https?:\S+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SameRefusals:
    """Refusals in the same words, of one server and model. ``pictures`` has job ids and digests, the oldest first."""

    words: str
    pictures: tuple[tuple[str, str], ...] = ()
    restore: tuple[str, ...] = ()
    """Jobs whose pair is moved back from the errors folder as soon as it is there."""

    @property
    def is_open(self) -> bool:
        return len({digest for _, digest in self.pictures}) >= REFUSALS_TO_OPEN


def normalized(text: str) -> str:
    """``text`` in lower case, without what differs between orders: quotations, ids, numbers and addresses."""
    return " ".join(_ID.sub(" ", QUOTED.sub(" ", text)).casefold().split())


def refused(before: SameRefusals | None, job_id: str, digest: str, text: str) -> SameRefusals:
    """The state after one more refusal. A refusal in other words starts the count again."""
    words = normalized(text)
    known = before if before is not None and before.words == words else SameRefusals(words)
    return replace(known, pictures=(*known.pictures, (job_id, digest))[-_REMEMBERED:])


def to_json(known: SameRefusals) -> dict[str, Any]:
    """As a JSON object."""
    return {"words": known.words, "pictures": known.pictures, "restore": known.restore}


def from_json(document: dict[str, Any]) -> SameRefusals:
    """What `to_json` wrote."""
    pictures = tuple((job, digest) for job, digest in document["pictures"])
    return SameRefusals(document["words"], pictures, tuple(document["restore"]))
