"""Videos of ours by which a server's list is judged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sorawatch.core.purchase import Witness

if TYPE_CHECKING:
    from sorawatch.core.job import Job

WITNESSES = 64
"""Videos of ours that are remembered, to check lists against: the latest are those that a list ought to show."""


class Witnesses:
    """Videos of ours that a true list shows: those that the state knows, and those that the server told of since.

    Called from several threads at once.
    """

    def __init__(self, earlier: Iterable[Witness] = ()) -> None:
        """``earlier``: the oldest first."""
        self._known = {witness.video_id: witness for witness in earlier}

    def know(self, video_id: str, job: Job) -> None:
        """The server has just told of ``job``'s video, which its list ought to show then."""
        assert job.order is not None
        self._known[video_id] = Witness(video_id, job.id, job.submitted_at or 0, job.order.prompt)
        while len(self._known) > WITNESSES:
            self._known.pop(next(iter([*self._known])), None)

    def may_be(self, video_id: str, job: Job) -> bool:
        """Whether the video may be what the present submit of ``job`` bought: no other submit is known to have."""
        witness = self._known.get(video_id)
        return witness is None or (witness.job_id == job.id and witness.ordered_at == job.submitted_at)

    def owner(self, video_id: str) -> str | None:
        """The job whose video this is, as far as is remembered."""
        witness = self._known.get(video_id)
        return None if witness is None else witness.job_id

    def latest(self) -> list[Witness]:
        """The latest first."""
        return [*self._known.values()][::-1]
