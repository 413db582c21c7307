"""Refusals that say the same of different pictures: then it is not the pictures that are wrong, but a setting."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

ALIKE = 3
"""Different pictures refused in the same words, after which no other is sent."""

_REMEMBERED = 12
"""Refusals in the same words that are put back together, of copies of the same picture too."""
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|«[^»]*»|「[^」]*」")
_IDS = re.compile(r"\S*\d\S*|https?:\S+", re.ASCII)


@dataclass(frozen=True, slots=True)
class SameRefusals:
    """Refusals in the same words, of one server and model. ``pictures`` are the digests, by job, the oldest first."""

    words: str
    pictures: tuple[tuple[str, str], ...] = ()
    restore: tuple[str, ...] = ()
    """Jobs whose pair is to come back from the errors folder as soon as it is there."""

    @property
    def is_open(self) -> bool:
        return len({digest for _, digest in self.pictures}) >= ALIKE


def essence(text: str) -> str:
    """``text`` without what differs from order to order: quotations, ids, numbers and addresses."""
    return " ".join(_IDS.sub(" ", _QUOTED.sub(" ", text)).casefold().split())


def refused(before: SameRefusals | None, job_id: str, digest: str, text: str) -> SameRefusals:
    """What is known after one more refusal. Other words begin anew."""
    words = essence(text)
    known = before if before is not None and before.words == words else SameRefusals(words)
    return replace(known, pictures=(*known.pictures, (job_id, digest))[-_REMEMBERED:])


def to_json(known: SameRefusals) -> dict[str, Any]:
    """What JSON can hold, for `from_json`."""
    return {"words": known.words, "pictures": known.pictures, "restore": known.restore}


def from_json(document: dict[str, Any]) -> SameRefusals:
    """The reverse of `to_json`."""
    pictures = tuple((job, digest) for job, digest in document["pictures"])
    return SameRefusals(document["words"], pictures, tuple(document["restore"]))
