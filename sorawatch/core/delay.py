"""Why orders that could be submitted are not, for each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sorawatch.core.budget import Exclusion
from sorawatch.core.naming import valid_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.calendar import LocalTime
    from sorawatch.core.job import Job
    from sorawatch.core.pause import Pause


@dataclass(frozen=True, slots=True)
class Delay:
    """A reason why some orders are not submitted now, as the code that decides has found it."""

    pause: Pause
    orders: Exclusion = field(default_factory=Exclusion)
    """The orders that wait."""
    lasting: bool = True
    """Only the calendar, a person or the server's recovery ends it. Full places and the pace end in a moment."""

    @property
    def is_turn(self) -> bool:
        """Whether the orders only wait for those ahead of them."""
        return not self.lasting and self.orders == Exclusion()

    def covers(self, job: Job) -> bool:
        """Whether this job waits for it. Published names of folders are valid text, those of jobs need not be."""
        return self.orders.covers(valid_text(job.pair.folder), job.order.model if job.order else "")

    def text(self, time: LocalTime) -> str:
        """The reason with the limit that is reached, and when orders go on by themselves."""
        pause = self.pause
        named = pause.reason if not pause.limit or pause.limit in pause.reason else f"{pause.limit}: {pause.reason}"
        if pause.until is None or pause.until <= time.now:
            return named
        goes_on = pause.goes_on(time)
        return f"{named}; {goes_on[0].lower()}{goes_on[1:].removesuffix('.')}"


def in_order(delays: Iterable[Delay]) -> list[Delay]:
    """The delays, those first that say the most about an order: lasting ones, then those of single folders."""
    return sorted(delays, key=lambda each: (not each.lasting, each.orders == Exclusion()))


def delay_of(job: Job, delays: Iterable[Delay]) -> Delay | None:
    """The first of these delays that covers the job."""
    return next((each for each in delays if each.covers(job)), None)
