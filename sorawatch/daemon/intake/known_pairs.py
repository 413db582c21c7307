"""The pairs that have a job already, which the loop remembers between turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.job import FINAL, UNPAID, Job, Pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class KnownPairs:
    """The pairs of all unfinished jobs, by the path of their image.

    A picture that was changed during its job has two jobs for a while, because the older one is finished too.
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        """``jobs`` are the unfinished jobs, the oldest first."""
        self._pairs: dict[str, dict[str, Pair]] = {}
        """Pairs by path, then by job id, the oldest job first."""
        self._paths: dict[str, str] = {}
        """Paths by job id: a pair that is moved back into the inbox may get another name there."""
        self._unpaid: dict[str, Pair] = {}
        self._missing_since: dict[str, float] = {}
        """When the pairs of unpaid jobs were first missing or changed, in seconds of the monotonic clock, by job id."""
        for job in jobs:
            self.update(job)

    def update(self, job: Job) -> None:
        """Update the pair of a job that was added or changed."""
        path = self._paths.pop(job.id, job.pair.path)
        if job.state in FINAL or path != job.pair.path:
            pairs = self._pairs.get(path, {})
            pairs.pop(job.id, None)
            if not pairs:
                self._pairs.pop(path, None)
        if job.state not in FINAL:
            self._pairs.setdefault(job.pair.path, {})[job.id] = job.pair
            self._paths[job.id] = job.pair.path
        if job.state in UNPAID:
            self._unpaid[job.id] = job.pair
        else:
            self._unpaid.pop(job.id, None)

    def __contains__(self, pair: Pair) -> bool:
        """Whether an unfinished job has exactly this pair."""
        return pair in self._pairs.get(pair.path, {}).values()

    def latest(self) -> dict[str, Pair]:
        """By path, the pair of the latest job."""
        return {path: [*pairs.values()][-1] for path, pairs in self._pairs.items()}

    def bought(self) -> dict[str, Pair]:
        """By path, the pair of the latest job that is bought."""
        found = {
            path: [pair for job_id, pair in pairs.items() if job_id not in self._unpaid]
            for path, pairs in self._pairs.items()
        }
        return {path: pairs[-1] for path, pairs in found.items() if pairs}

    def jobs_at(self, path: str) -> list[str]:
        """The ids of the unfinished jobs of the picture at this path, the oldest first."""
        return [*self._pairs.get(path, {})]

    def missing(self, present: Mapping[str, Pair], now: float, seconds: float) -> list[str]:
        """The ids of unpaid jobs whose pair was missing or changed in every scan for at least ``seconds``.

        Args:
            present: the pairs that this scan found, by the path of the image.
            now: seconds of a monotonic clock.
        """
        missing = [
            job_id
            for job_id, pair in self._unpaid.items()
            if (found := present.get(self._paths[job_id])) is not pair and found != pair
        ]
        self._missing_since = {job_id: self._missing_since.get(job_id, now) for job_id in missing}
        return [job_id for job_id, since in self._missing_since.items() if now - since >= seconds]
