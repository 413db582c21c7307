"""Videos of ours by which a server's list is judged: a list that does not show them proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.core.purchase import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sorawatch.core.job import Job

MOST_WITNESSES = 64
"""The latest videos of ours, which a list should show."""


class Witnesses:
    """Videos of ours that the state knows, or that the server has confirmed since. Called from several threads."""

    def __init__(self, earlier: Iterable[Witness] = ()) -> None:
        """``earlier``: the oldest first."""
        self._known = {witness.video_id: witness for witness in earlier}

    def add(self, video_id: str, job: Job) -> None:
        """The server has just confirmed ``job``'s video, so its list should show it from now on."""
        assert job.order is not None
        self._known[video_id] = Witness(video_id, job.id, job.submitted_at or 0, job.order.prompt)
        while len(self._known) > MOST_WITNESSES:
            self._known.pop(next(iter([*self._known])), None)

    def may_be_of(self, video_id: str, job: Job) -> bool:
        """Whether the present submit of ``job`` may have bought the video: no other submit is known to have."""
        witness = self._known.get(video_id)
        return witness is None or (witness.job_id == job.id and witness.ordered_at == job.submitted_at)

    def owner(self, video_id: str) -> str | None:
        """The id of the job whose video this is, as far as it is remembered."""
        witness = self._known.get(video_id)
        return None if witness is None else witness.job_id

    def latest(self) -> list[Witness]:
        """The latest first."""
        return [*self._known.values()][::-1]
