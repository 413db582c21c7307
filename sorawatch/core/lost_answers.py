"""The state of the circuit breaker for lost answers: how many in a row, and when the next paid order may be sent.

It opens after the answers to two different orders in a row were lost, or after one unclear answer whose cause concerns
other orders. Then one paid order is sent as a probe after a wait, a second one an hour later; after that a person
decides. It stays open while one of the orders is unresolved: `sorawatch.daemon.submission.lost_answers_breaker` checks
the jobs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorawatch.core.outcome import AnswerLost
    from sorawatch.core.waits import Waits

IN_A_ROW = 2
"""The breaker opens after so many lost answers to different orders, with no order accepted between them."""
_FIRST_PROBE = 12
"""The first paid probe is sent after so many times the first wait after a failure."""
_SECOND_PROBE = 3_600_000
"""Milliseconds from the first probe to the second."""


@dataclass(frozen=True, slots=True)
class LostAnswers:
    """The lost answers of one server and model. Times are milliseconds of the store's clock."""

    jobs: tuple[str, ...]
    """The jobs whose answers were lost, the oldest first."""
    reason: str
    """What happened to the last answer."""
    since: int
    opened_at: int | None = None
    """When the breaker opened; None while it is closed."""
    until: int | None = None
    """When the next paid probe may be sent; None if the breaker is closed, or waits for a person."""
    probes: int = 0
    hint: str = ""
    key_related: bool = False
    """Another API key may remove the cause."""

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    @property
    def waits_for_a_person(self) -> bool:
        return self.is_open and self.until is None


def lost(
    before: LostAnswers | None, job_id: str, submitted_at: int, answer: AnswerLost, now: int, waits: Waits
) -> LostAnswers:
    """The state after one more answer was lost."""
    known = before or LostAnswers((), "", now)
    cause = answer.cause
    after = replace(
        known,
        jobs=(*(each for each in known.jobs if each != job_id), job_id),
        reason=answer.reason,
        hint=cause.hint if cause else known.hint,
        key_related=cause.key_related if cause else known.key_related,
    )
    if known.opened_at is None:
        if len(after.jobs) < IN_A_ROW and cause is None:
            return after
        return replace(after, opened_at=now, until=now + int(1000 * _FIRST_PROBE * waits.first))
    if submitted_at < known.opened_at:
        return after
    probes = known.probes + 1
    return replace(after, probes=probes, until=now + _SECOND_PROBE if probes == 1 else None)


def without(before: LostAnswers, job_id: str) -> LostAnswers | None:
    """The state after the order of ``job_id`` was found; None once nothing is unresolved, or if it was not open."""
    left = tuple(each for each in before.jobs if each != job_id)
    return replace(before, jobs=left) if left and before.is_open else None


def to_json(known: LostAnswers) -> dict[str, Any]:
    """As a JSON object."""
    return asdict(known)


def from_json(document: dict[str, Any]) -> LostAnswers:
    """What `to_json` wrote, here or in an older sorawatch."""
    written = {"key_related" if name == "keyed" else name: value for name, value in document.items()}
    return LostAnswers(**{**written, "jobs": tuple(document["jobs"])})
