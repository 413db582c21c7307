"""Takes in what a scan found, some pairs in each turn, so that a turn is short however many were dropped at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.daemon.intake.new_jobs import add_new, follow_pairs

if TYPE_CHECKING:
    from sorawatch.core.job import Change
    from sorawatch.daemon.intake.known_pairs import KnownPairs
    from sorawatch.daemon.intake.scan import ScanResult
    from sorawatch.daemon.submission.admission import Admission
    from sorawatch.edges.store import Transaction

_MOST_NEW = 1_000
"""New pairs that become jobs in one turn."""


class ScanIntake:
    """The scan whose pairs are just becoming jobs. Used from the daemon's thread."""

    def __init__(self) -> None:
        self._scan: ScanResult | None = None
        """The last scan; None once it is applied."""
        self._begins = 0
        """The number of its new pairs that became jobs in earlier turns."""
        self._ends = 0
        """The same with those of the present turn."""

    def begin(self, scan: ScanResult) -> None:
        """Apply this scan from the next call of `apply` on."""
        self._scan, self._begins = scan, 0

    @property
    def is_done(self) -> bool:
        """Whether all pairs of the last scan are jobs. Until then a batch is incomplete, and nothing is submitted."""
        return self._scan is None

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
        changes = follow_pairs(tx, scan, known_pairs, missing_seconds) if self._begins == 0 else []
        self._ends = min(self._begins + _MOST_NEW, len(scan.new))
        continued = {after.pair for _, after in changes}
        fresh = [each for each in scan.new[self._begins : self._ends] if each.pair not in continued]
        return changes + add_new(tx, fresh, known_pairs, admission, scan.folder_limits)

    def committed(self) -> None:
        """What `apply` returned is on disk."""
        self._begins = self._ends
        if self._scan is not None and self._begins == len(self._scan.new):
            self._scan = None
