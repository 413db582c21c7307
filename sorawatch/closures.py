"""Which limits are reached, kept from one admission to the next: not every one gets to ask after all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sorawatch.admission import Admitted
from sorawatch.core.budget import Closed, Scope, is_below


class Closures:
    """The limits that stop orders now, as far as is known."""

    def __init__(self) -> None:
        self._closed: list[Closed] = []
        self._quotas: Sequence[Scope] = ()

    def __iter__(self) -> Iterator[Closed]:
        return iter(self._closed)

    def learn(self, admitted: Admitted | None, quotas: Sequence[Scope], now: int) -> None:
        """Take in what an admission found; None where there was none.

        What it did not ask after is as it was, until its time has come, the limits of the folders are others, or an
        order got past it.
        """
        found = list(admitted.closed) if admitted else []
        if admitted is None or not admitted.thorough:
            through = [job.pair.folder for job in admitted.submits] if admitted else []
            found += [
                each
                for each in self._closed
                if each.lasting
                and (each.until is None or each.until > now)
                and quotas == self._quotas
                and not any(is_below(folder, each.folder) for folder in through)
                and all(each.limit != other.limit for other in found)
            ]
        self._closed, self._quotas = found, quotas

    @property
    def folders(self) -> list[str]:
        """Folders that are passed over; that the whole inbox is shut is none of them."""
        return [each.folder for each in self._closed if each.folder]

    @property
    def shut(self) -> list[str]:
        """Where orders wait until a person, or the calendar, lets them go on; ``""`` is the whole inbox."""
        return [each.folder for each in self._closed if each.lasting]
