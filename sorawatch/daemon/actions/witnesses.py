"""Witnesses: known videos of ours. A server's list that does not show them cannot prove that a video is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.purchase import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.job import Job

MOST_WITNESSES = 64
"""How many of our latest videos are remembered."""


class Witnesses:
    """Our videos, from the state and from later answers of the server. Called from several threads."""

    def __init__(self, earlier: Iterable[Witness] = ()) -> None:
        """``earlier`` are the witnesses from the state, the oldest first."""
        self._known = {witness.video_id: witness for witness in earlier}

    def add(self, video_id: str, job: Job) -> None:
        """Remember the video of ``job``, which the server has just confirmed. Its list should show it from now on."""
        assert job.order is not None
        self._known[video_id] = Witness(video_id, job.id, job.submitted_at or 0, job.order.prompt)
        while len(self._known) > MOST_WITNESSES:
            self._known.pop(next(iter([*self._known])), None)

    def may_be_of(self, video_id: str, job: Job) -> bool:
        """Whether the video may come from the present submit of ``job``: false if it is known to come from another."""
        witness = self._known.get(video_id)
        return witness is None or (witness.job_id == job.id and witness.ordered_at == job.submitted_at)

    def owner(self, video_id: str) -> str | None:
        """The id of the job that the video belongs to; None if the video is not remembered."""
        witness = self._known.get(video_id)
        return None if witness is None else witness.job_id

    def latest(self) -> list[Witness]:
        """All witnesses, the latest first."""
        return [*self._known.values()][::-1]
