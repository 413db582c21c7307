"""What the loop remembers of the store between turns: which pairs are jobs already."""

from __future__ import annotations

from sorawatch.core.job import FINAL, UNPAID, Job, Pair


class Register:
    """The pairs of all jobs that have not ended, by the path of their image."""

    def __init__(self) -> None:
        self._pairs: dict[str, tuple[str, Pair]] = {}
        self._unpaid: dict[str, Pair] = {}

    def enter(self, job: Job) -> None:
        """Take in a job as it is now."""
        path = job.pair.path
        if job.state not in FINAL:
            self._pairs[path] = (job.id, job.pair)
        elif path in self._pairs and self._pairs[path][0] == job.id:
            del self._pairs[path]
        if job.state in UNPAID:
            self._unpaid[job.id] = job.pair
        else:
            self._unpaid.pop(job.id, None)

    def knows(self, pair: Pair) -> bool:
        return pair.path in self._pairs and self._pairs[pair.path][1] == pair

    def pairs(self) -> dict[str, Pair]:
        """The latest pair of every path."""
        return {path: pair for path, (_, pair) in self._pairs.items()}

    def unpaid(self) -> list[tuple[str, Pair]]:
        """Ids and pairs of the jobs that can still be withdrawn for nothing."""
        return list(self._unpaid.items())
