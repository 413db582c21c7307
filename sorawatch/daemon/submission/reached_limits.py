"""Remembers reached limits between admissions, because a pass may end before it has examined every waiting order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.budget import Exclusion, LimitReached, LimitScope, is_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sorawatch.core.job import Job
    from sorawatch.daemon.submission.admission import Admission, Admitted


class ReachedLimits:
    """The limits that prevent submits now, according to the last admissions. Used from the daemon's thread."""

    def __init__(self) -> None:
        self._reached: list[LimitReached] = []
        self._folder_limits: Sequence[LimitScope] = ()

    def __iter__(self) -> Iterator[LimitReached]:
        return iter(self._reached)

    def record(self, admitted: Admitted | None, folder_limits: Sequence[LimitScope], now: int) -> None:
        """Record the result of an admission, or None if there was none in this turn.

        A limit that the pass did not check is kept until it expires, the limits of the folders change, or an order to
        which it applies is submitted.
        """
        found = list(admitted.reached) if admitted else []
        if admitted is None or not admitted.complete:
            submitted = admitted.submits if admitted else []
            found += [
                each
                for each in self._reached
                if each.lasting
                and (each.pause.until is None or each.pause.until > now)
                and folder_limits == self._folder_limits
                and not any(_is_subject_to(job, each) for job in submitted)
                and all(each.pause.limit != other.pause.limit for other in found)
            ]
        self._reached, self._folder_limits = found, folder_limits

    def partial(self, admission: Admission) -> list[Exclusion]:
        """The orders that a limit excludes while others are submitted. They need not be prepared yet."""
        return [admission.exclusion(each) for each in self._reached if each.pause.folder or each.priced]

    def lasting(self, admission: Admission) -> list[Exclusion]:
        """The orders that wait for a person, or for the next day or month."""
        return [admission.exclusion(each) for each in self._reached if each.lasting]


def _is_subject_to(job: Job, reached: LimitReached) -> bool:
    return is_below(job.pair.folder, reached.pause.folder) and (job.price != 0 or not reached.priced)
