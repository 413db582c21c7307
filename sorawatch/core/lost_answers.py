"""The circuit breaker for lost answers, as values: how many in a row, and when the next paid order may try again.

Two different orders in a row whose answers were lost open it; so does one whose answer names a cause that concerns
others. Then one paid probe goes after a wait, a second one an hour later, and after that a person decides. What is
still unresolved keeps it open: `sorawatch.daemon.submission.lost_answers_breaker` looks at the jobs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorawatch.core.outcome import Unknown
    from sorawatch.core.schedule import Waits

IN_A_ROW = 2
"""Lost answers to different orders, with none accepted between, that open the breaker."""
_FIRST_PROBE = 12
"""Times the first wait after a failure: when the first paid probe goes."""
_SECOND_PROBE = 3_600_000
"""Milliseconds after the first probe."""


@dataclass(frozen=True, slots=True)
class LostAnswers:
    """What is known of one server and model. Times are milliseconds of the store's clock."""

    jobs: tuple[str, ...]
    """The jobs whose answers were lost, the oldest first."""
    reason: str
    """What came in place of the last answer."""
    since: int
    opened_at: int | None = None
    """When the breaker opened; None while it is closed."""
    until: int | None = None
    """When the next paid probe may go; None where it is closed, or only a person opens the way."""
    probes: int = 0
    hint: str = ""
    keyed: bool = False
    """Another API key may end it."""

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    @property
    def waits_for_a_person(self) -> bool:
        return self.is_open and self.until is None


def lost(
    before: LostAnswers | None, job_id: str, submitted_at: int, answer: Unknown, now: int, waits: Waits
) -> LostAnswers:
    """What is known after one more answer was lost."""
    known = before or LostAnswers((), "", now)
    cause = answer.cause
    after = replace(
        known,
        jobs=(*(each for each in known.jobs if each != job_id), job_id),
        reason=answer.reason,
        hint=cause.hint if cause else known.hint,
        keyed=cause.keyed if cause else known.keyed,
    )
    if known.opened_at is None:
        if len(after.jobs) < IN_A_ROW and cause is None:
            return after
        return replace(after, opened_at=now, until=now + int(1000 * _FIRST_PROBE * waits.first))
    if submitted_at < known.opened_at:
        return after
    probes = known.probes + 1
    return replace(after, probes=probes, until=now + _SECOND_PROBE if probes == 1 else None)


def settled(before: LostAnswers, job_id: str) -> LostAnswers | None:
    """What is left once one of the orders was found; None where nothing is."""
    left = tuple(each for each in before.jobs if each != job_id)
    # A list that shows them lets orders go on, at its own pace.
    return replace(before, jobs=left) if left and before.is_open else None


def to_json(known: LostAnswers) -> dict[str, Any]:
    """What JSON can hold, for `from_json`."""
    return asdict(known)


def from_json(document: dict[str, Any]) -> LostAnswers:
    """The reverse of `to_json`."""
    return LostAnswers(**{**document, "jobs": tuple(document["jobs"])})
