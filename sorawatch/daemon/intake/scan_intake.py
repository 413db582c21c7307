"""Takes in what a scan found, some pairs in each turn, so that a turn is short however many were dropped at once."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from sorawatch.daemon.intake.new_jobs import add_new, follow_pairs

if TYPE_CHECKING:
    from sorawatch.core.job import Change
    from sorawatch.daemon.intake.known_pairs import KnownPairs
    from sorawatch.daemon.intake.scan import NewPair, ScanResult
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.store import Transaction

_MOST_NEW = 1_000
"""New pairs that become jobs in one turn."""


class ScanIntake:
    """The scan whose pairs are just becoming jobs. Used from the daemon's thread."""

    def __init__(self) -> None:
        self._scan: ScanResult | None = None
        """The last scan without its new pairs; None once it is applied."""
        self._left: deque[NewPair] = deque()
        """Its new pairs that are not jobs yet."""
        self._taken = 0
        """How many of these the present turn has made jobs of."""
        self._is_last = False
        """Whether these are all that were left."""
        self._is_first = False
        """Whether no turn has applied any of the scan."""

    def begin(self, scan: ScanResult) -> None:
        """Apply this scan from the next call of `apply` on."""
        self._scan, self._left, self._is_first = replace(scan, new=()), deque(scan.new), True
        self._taken, self._is_last = 0, False

    @property
    def is_done(self) -> bool:
        """Whether all pairs of the last scan are jobs, also those that the present turn has made jobs of.

        Until then a batch is incomplete, and nothing is submitted.
        """
        return self._scan is None or self._is_last

    def apply(
        self, tx: Transaction, known_pairs: KnownPairs, admission: Admission, missing_seconds: float
    ) -> list[Change]:
        """Change and add jobs, within a turn.

        Args:
            missing_seconds: how long a pair must be missing before its job is cancelled.

        Returns:
            The jobs that changed, before (None for a new job) and after.
        """
        scan = self._scan
        if scan is None:
            return []
        changes = follow_pairs(tx, scan, known_pairs, missing_seconds) if self._is_first else []
        part = [*islice(self._left, _MOST_NEW)]
        self._taken, self._is_last = len(part), len(part) == len(self._left)
        continued = {after.pair for _, after in changes}
        fresh = [each for each in part if each.pair not in continued]
        return changes + add_new(tx, fresh, known_pairs, admission, scan.folder_limits)

    def committed(self) -> None:
        """What `apply` returned is on disk."""
        for _ in range(self._taken):
            self._left.popleft()
        self._taken, self._is_first = 0, False
        if not self._left:
            self._scan = None
