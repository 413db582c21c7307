"""``run --once``: decides when everything in the inbox was handled, and whether all of it became clips."""

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
        """Record changes of jobs. Called after the commit."""
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
        """None while there is work left, then whether every picture became a clip. Called while no action is running.

        Args:
            counts: how many jobs are in each state, without those that a limit or a circuit breaker delays.
            kept_back: whether some jobs wait for a person, or for the next day or month.
            paused: whether nothing may be submitted.
            attempts: failures after which a temporary cause counts as permanent.
        """
        unfinished = counts.keys() - FINAL - {State.HELD}
        if not unfinished:
            if scans.error is not None:
                return False
            succeeded = self._failed == 0 and State.HELD not in counts and not kept_back
            return succeeded if scans.has_settled_since(self._changed_at) else None
        if unfinished & {State.RENDERING, State.UNCERTAIN, State.SUBMITTING}:
            return None
        given_up = any(
            not circuit.cause.temporary or circuit.attempts >= attempts for circuit in causes if not circuit.model
        )
        return False if given_up or (paused and unfinished <= UNPAID) else None
