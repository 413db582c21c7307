"""``run --once``: when everything in the inbox has been handled, and whether it became clips."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, UNPAID, Change, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sorawatch.daemon.intake.scan_scheduler import ScanScheduler
    from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker


class OnceVerdict:
    """Follows the jobs of a run with ``--once``. Used from the daemon's thread."""

    def __init__(self) -> None:
        self._failed = 0
        self._changed_at = 0.0
        """When a job last changed its state, by a monotonic clock."""

    def follow(self, changes: Iterable[Change]) -> None:
        """Take in changes that are on disk."""
        for before, after in changes:
            if before is None or before.state is not after.state:
                self._changed_at = time.monotonic()
                if after.state is State.FAILED:
                    self._failed += 1

    def verdict(
        self,
        counts: Mapping[State, int],
        scans: ScanScheduler,
        causes: CircuitBreaker,
        *,
        kept_back: bool,
        paused: bool,
        attempts: int,
    ) -> bool | None:
        """None while something goes on, else whether everything became clips. Called while no action is running.

        Args:
            counts: how many jobs are in each state, without those that a limit or a breaker keeps back.
            kept_back: whether some are kept back until a person or the calendar lets them go on.
            paused: whether nothing may be submitted.
            attempts: tries after which a cause that may end by itself is given up.
        """
        going_on = counts.keys() - FINAL - {State.HELD}
        if not going_on:
            if scans.error is not None:
                return False
            went_well = self._failed == 0 and State.HELD not in counts and not kept_back
            return went_well if scans.has_settled_since(self._changed_at) else None
        if going_on & {State.RENDERING, State.UNCERTAIN, State.SUBMITTING}:
            return None
        stuck = any(not circuit.cause.temporary or circuit.tries >= attempts for circuit in causes if not circuit.model)
        return False if stuck or (paused and going_on <= UNPAID) else None
