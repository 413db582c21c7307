"""What the loop remembers of the store between turns: which pairs are jobs already."""

from __future__ import annotations

from sorawatch.core.job import FINAL, UNPAID, Job, Pair


class Register:
    """The pairs of all jobs that have not ended, by the path of their image.

    A picture that was changed while its job went on has two jobs: the older one still ends by itself.
    """

    def __init__(self) -> None:
        self._pairs: dict[str, dict[str, Pair]] = {}
        """By path, then by job, the oldest job first."""
        self._unpaid: dict[str, Pair] = {}

    def enter(self, job: Job) -> None:
        """Take in a job as it is now."""
        if job.state not in FINAL:
            self._pairs.setdefault(job.pair.path, {})[job.id] = job.pair
        else:
            pairs = self._pairs.get(job.pair.path, {})
            pairs.pop(job.id, None)
            if not pairs:
                self._pairs.pop(job.pair.path, None)
        if job.state in UNPAID:
            self._unpaid[job.id] = job.pair
        else:
            self._unpaid.pop(job.id, None)

    def knows(self, pair: Pair) -> bool:
        """Whether a job is made of exactly this pair."""
        return pair in self._pairs.get(pair.path, {}).values()

    def pairs(self) -> dict[str, Pair]:
        """The pair of the latest job of every path."""
        return {path: [*pairs.values()][-1] for path, pairs in self._pairs.items()}

    def unpaid(self) -> list[tuple[str, Pair]]:
        """Ids and pairs of the jobs that can still be withdrawn for nothing."""
        return list(self._unpaid.items())
