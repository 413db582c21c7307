"""Looks in the server's list for a submit whose answer was lost."""

from __future__ import annotations

import html
import unicodedata

from sorawatch.core import outcome as o
from sorawatch.core.answers import Video
from sorawatch.core.job import Job
from sorawatch.core.naming import bare_model
from sorawatch.core.order import Size
from sorawatch.edges.api import Dialect, VideoApi
from sorawatch.errors import Rejected

LIST_SLACK = 120
"""Seconds by which a server's clock may differ from ours when a lost submit is looked for."""

_DAY = 86_400
"""Seconds: a video like ours that is not older keeps us from ordering again, whatever the server's clock says."""

_PAGES = 50
"""Pages of a list read at the most: 5,000 videos since the submit are no picture folder any more."""

_WITNESSES = 64
"""Videos of ours that are remembered, to check lists against: the latest are those that a list ought to show."""

_ASKED = 3
"""How many of those that a list does not show are asked for one by one, at the most."""


class Search:
    """One server's list. Called from several threads at once."""

    def __init__(self, api: VideoApi) -> None:
        self._api = api
        self._known: dict[str, tuple[float, str]] = {}
        """Videos that the server has told of by their id: when they were ordered, in Unix seconds, and the prompt."""

    def know(self, video_id: str, job: Job) -> None:
        """The server has just told of ``job``'s video, which its list ought to show then."""
        assert job.order is not None
        self._known[video_id] = (job.submitted_at or 0) / 1000, job.order.prompt
        while len(self._known) > _WITNESSES:
            self._known.pop(next(iter([*self._known])), None)

    def look(self, job: Job) -> o.Searched | o.Unlisted:
        """What the list shows of ``job``'s submit.

        Raises:
            Deferred, Blocked: it cannot be had now.
        """
        assert job.submitted_at is not None
        assert job.order is not None
        begun, ended = job.submitted_at // 1000 - LIST_SLACK, (job.lost_at or job.submitted_at) // 1000 + LIST_SLACK
        try:
            videos, complete_from = self._videos_since(begun)
        except Rejected as error:
            return o.Unlisted(str(error))
        prompt, rewritten = job.order.prompt, self._rewrites(videos)
        candidates = tuple(
            o.Candidate(
                video.id,
                certain=_reads(video, prompt) and video.created_at is not None and begun <= video.created_at <= ended,
                differs=_differs(video, job, self._api.dialect),
            )
            for video in videos.values()
            if (rewritten or _resembles(video, prompt))
            and (video.created_at is None or video.created_at >= begun - _DAY)
        )
        proving = complete_from is not None and not candidates and job.misses > 0
        if proving and (hidden := self._hidden(job, videos, complete_from or 0)) is not None:
            return o.Unlisted(f"its list does not show {hidden}, which it has")
        return o.Searched(candidates, complete_from is not None)

    def _videos_since(self, since: int) -> tuple[dict[str, Video], int | None]:
        """The server's videos from ``since`` (Unix seconds) on, and from when on they are surely all; None: never.

        A list proves that a video is missing only if the server says that it ends, or if it goes back, newest
        first all the way, to before ``since``.
        """
        videos: dict[str, Video] = {}
        after, newest_first, last = None, True, None
        for _ in range(_PAGES):
            page = self._api.page(after=after)
            fresh = [video for video in page.videos if video.id not in videos]
            videos |= {video.id: video for video in fresh}
            for video in fresh:
                newest_first &= video.created_at is not None and (last is None or video.created_at <= last)
                last = video.created_at
            if page.has_more is False:
                return videos, 0
            if newest_first and last is not None and last < since:
                return videos, since
            if not fresh:
                break
            after = fresh[-1].id
        return videos, None

    def _rewrites(self, listed: dict[str, Video]) -> bool:
        """Whether the list tells other words of a video of ours than it was ordered with: then it may of any."""
        known = [(listed[video_id], prompt) for video_id, (_, prompt) in [*self._known.items()] if video_id in listed]
        return any(video.prompt is not None and not _reads(video, prompt) for video, prompt in known)

    def _hidden(self, job: Job, listed: dict[str, Video], complete_from: int) -> str | None:
        """A video of ours that the server has and the list should show, but does not: then it cannot prove anything.

        Only videos ordered before the answer was lost count, for a list may lag. One that the server has forgotten
        as well (it was started anew, or keeps nothing for long) says nothing against the list.
        """
        since, until = complete_from + LIST_SLACK, (job.lost_at or 0) / 1000
        known = [video_id for video_id, (ordered, _) in [*self._known.items()] if since <= ordered <= until]
        for video_id in [video_id for video_id in reversed(known) if video_id not in listed][:_ASKED]:
            try:
                self._api.retrieve(video_id)
            except Rejected:
                continue
            return video_id
        return None


def _reads(video: Video, prompt: str) -> bool:
    """Whether the list tells this very prompt, spaces aside."""
    return video.prompt is not None and video.prompt.split() == prompt.split()


def _resembles(video: Video, prompt: str) -> bool:
    """Whether a listed video can be what was ordered with ``prompt``: only other words say that it is not.

    Servers escape prompts, cut them short, put words around them, and drop or compose their characters.
    """
    if video.prompt is None:
        return True
    listed, ours = _letters(video.prompt), _letters(prompt)
    return listed in ours or ours in listed


def _letters(text: str) -> str:
    """The letters and digits alone, which outlast what servers do to a text."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", html.unescape(text)).casefold()))


def _differs(video: Video, job: Job, dialect: Dialect) -> bool:
    """Whether the list tells another prompt, model, size or length than ``job`` ordered.

    A size that was not sent tells nothing. Nor does a length beside extra fields: servers derive it from a number
    of frames among them.
    """
    order = job.order
    assert order is not None
    assert isinstance(order.size, Size)
    sent = [(video.model and bare_model(video.model), bare_model(order.model))]
    sent += [(video.size, str(order.size))] if dialect.send_size else []
    sent += [] if dialect.extra_fields else [(video.seconds, str(order.seconds))]
    reworded = video.prompt is not None and not _reads(video, order.prompt)
    return reworded or any(listed is not None and listed != ours for listed, ours in sent)
