"""Looks in the server's list for a submit whose answer was lost."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.naming import base_model
from sorawatch.core.order import Size
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.core.answers import Video
    from sorawatch.core.job import Job
    from sorawatch.daemon.actions.witnesses import Witnesses
    from sorawatch.edges.api import Dialect, VideoApi

CLOCK_DIFFERENCE = 120
"""Seconds by which a server's clock may differ from ours."""

_DAY = 86_400
"""Seconds: a similar video that is not older keeps us from ordering again, even if the server's clock is wrong."""

_PAGES = 50
"""Pages of a list that are read at the most: 5,000 videos since the submit."""

_ASKED = 3
"""How many videos of ours are asked for one by one, at the most, to judge a list."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """The server's videos by their ids."""

    videos: dict[str, Video]
    complete_from: int | None
    """Since when, in Unix seconds, the list surely shows all videos; None: never."""
    filtered: bool
    """The list leaves out videos that it names."""


class LostSubmitSearch:
    """Searches one server's list. Called from several threads at once."""

    def __init__(self, api: Callable[[], VideoApi], witnesses: Witnesses) -> None:
        self._api = api
        self._witnesses = witnesses

    def search(self, job: Job) -> o.Searched | o.Unlisted:
        """What the list shows of ``job``'s submit.

        Raises:
            Deferred, Blocked: if the list cannot be read now.
        """
        assert job.submitted_at is not None
        assert job.order is not None
        first = job.submitted_at // 1000 - CLOCK_DIFFERENCE
        last = (job.lost_at or job.submitted_at) // 1000 + CLOCK_DIFFERENCE
        try:
            listed = self._videos_since(first)
        except Rejected as error:
            return o.Unlisted(str(error))
        videos, complete_from = listed.videos, listed.complete_from
        prompt, rewrites = job.order.prompt, self._rewrites_prompts(videos)
        candidates = tuple(
            o.Candidate(
                video.id,
                certain=_has_prompt(video, prompt)
                and video.created_at is not None
                and first <= video.created_at <= last,
                differs=_differs(video, job, self._api().dialect),
            )
            for video in videos.values()
            if (rewrites or _may_have_prompt(video, prompt))
            and (video.created_at is None or video.created_at >= first - _DAY)
            and self._witnesses.may_be_of(video.id, job)
        )
        if listed.filtered and not candidates:
            return o.Unlisted("its list leaves out videos that it names")
        if complete_from is None or any(candidate.certain for candidate in candidates):
            return o.Searched(candidates, complete_from is not None)
        searched_before = job.misses > 0 or job.witness_until is not None
        hidden = self._hidden_witness(job, videos, complete_from) if searched_before else None
        if hidden is not None and not candidates:
            return o.Unlisted(f"its list does not show {hidden}, which it has")
        return o.Searched(candidates, complete=True, witnessed=hidden is None and self._shows_a_witness(videos))

    def _videos_since(self, since: int) -> _Listed:
        """The server's videos from ``since`` (Unix seconds) on.

        A list proves that a video is missing only if the server says that it ends, or if it goes back, newest first
        all the way, to before ``since``.
        """
        videos: dict[str, Video] = {}
        after, newest_first, last, filtered = None, True, None, False
        for _ in range(_PAGES):
            page = self._api().page(after=after)
            filtered |= page.filtered
            fresh = [video for video in page.videos if video.id not in videos]
            videos |= {video.id: video for video in fresh}
            for video in fresh:
                newest_first &= video.created_at is not None and (last is None or video.created_at <= last)
                last = video.created_at
            if page.has_more is False:
                return _Listed(videos, None if filtered else 0, filtered)
            if newest_first and last is not None and last < since:
                return _Listed(videos, None if filtered else since, filtered)
            if not fresh:
                break
            after = fresh[-1].id
        return _Listed(videos, None, filtered)

    def _rewrites_prompts(self, videos: dict[str, Video]) -> bool:
        """Whether a listed video of ours has another prompt than it was ordered with: then any may have."""
        known = [(videos[each.video_id], each.prompt) for each in self._witnesses.latest() if each.video_id in videos]
        return any(
            prompt is not None and video.prompt is not None and not _has_prompt(video, prompt)
            for video, prompt in known
        )

    def _shows_a_witness(self, videos: dict[str, Video]) -> bool:
        """Whether a video of ours is listed that the server has: so the list is our account's, and up to date."""
        ours = [each.video_id for each in self._witnesses.latest() if each.video_id in videos]
        return any(self._has(video_id) for video_id in ours[:_ASKED])

    def _hidden_witness(self, job: Job, videos: dict[str, Video], complete_from: int) -> str | None:
        """A video of ours that the server has and the list should show, but does not: then the list proves nothing.

        Only videos ordered before the answer was lost count, because a list may lag. One that the server has lost as
        well (it was restarted, or keeps nothing for long) says nothing against the list.
        """
        since, until = complete_from + CLOCK_DIFFERENCE, (job.lost_at or 0) / 1000
        known = [each.video_id for each in self._witnesses.latest() if since <= each.ordered_at / 1000 <= until]
        missing = [video_id for video_id in known if video_id not in videos][:_ASKED]
        return next((video_id for video_id in missing if self._has(video_id)), None)

    def _has(self, video_id: str) -> bool:
        """Whether the server has the video, when asked for it by its id."""
        try:
            self._api().retrieve(video_id)
        except Rejected:
            return False
        return True


def _has_prompt(video: Video, prompt: str) -> bool:
    """Whether the listed prompt is exactly this one, apart from white space."""
    return video.prompt is not None and video.prompt.split() == prompt.split()


def _may_have_prompt(video: Video, prompt: str) -> bool:
    """Whether a listed video can have been ordered with ``prompt``: only different words say that it was not.

    Servers escape prompts, cut them short, put words around them, and drop or compose their characters.
    """
    if video.prompt is None:
        return True
    listed, ours = _letters(video.prompt), _letters(prompt)
    return listed in ours or ours in listed


def _letters(text: str) -> str:
    """The letters and digits only, because servers change the rest of a text."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", html.unescape(text)).casefold()))


def _differs(video: Video, job: Job, dialect: Dialect) -> bool:
    """Whether the list shows another prompt, model, size or length than ``job`` ordered.

    A size that was not sent says nothing. Nor does a length beside extra fields: servers derive it from a number of
    frames among them.
    """
    order = job.order
    assert order is not None
    assert isinstance(order.size, Size)
    sent = [(video.model and base_model(video.model), base_model(order.model))]
    sent += [(video.size, str(order.size))] if dialect.send_size else []
    sent += [] if dialect.extra_fields else [(video.seconds, str(order.seconds))]
    has_other_prompt = video.prompt is not None and not _has_prompt(video, order.prompt)
    return has_other_prompt or any(listed is not None and listed != ours for listed, ours in sent)
