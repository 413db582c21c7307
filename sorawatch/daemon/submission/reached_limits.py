"""Which limits are reached, kept from one admission to the next: a pass may stop before it has asked after all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sorawatch.core.budget import Exclusion, LimitReached, LimitScope, is_below

if TYPE_CHECKING:
    from sorawatch.core.job import Job
    from sorawatch.daemon.submission.admission import Admission, Admitted


class ReachedLimits:
    """The limits that stop orders now, as far as is known."""

    def __init__(self) -> None:
        self._closed: list[LimitReached] = []
        self._quotas: Sequence[LimitScope] = ()

    def __iter__(self) -> Iterator[LimitReached]:
        return iter(self._closed)

    def learn(self, admitted: Admitted | None, quotas: Sequence[LimitScope], now: int) -> None:
        """Take in what an admission found; None where there was none.

        What it did not ask after is as it was, until its time has come, the limits of the folders are others, or an
        order got past it.
        """
        found = list(admitted.closed) if admitted else []
        if admitted is None or not admitted.thorough:
            through = admitted.submits if admitted else []
            found += [
                each
                for each in self._closed
                if each.lasting
                and (each.until is None or each.until > now)
                and quotas == self._quotas
                and not any(_got_past(job, each) for job in through)
                and all(each.limit != other.limit for other in found)
            ]
        self._closed, self._quotas = found, quotas

    def passed_over(self, admission: Admission) -> list[Exclusion]:
        """The orders that need not be prepared ahead, for a limit keeps them back while it lets others go."""
        return [admission.exclusion(each) for each in self._closed if each.folder or each.priced]

    def stopped(self, admission: Admission) -> list[Exclusion]:
        """The orders that wait until a person, or the calendar, lets them go on."""
        return [admission.exclusion(each) for each in self._closed if each.lasting]


def _got_past(job: Job, closed: LimitReached) -> bool:
    return is_below(job.pair.folder, closed.folder) and (job.price != 0 or not closed.priced)
