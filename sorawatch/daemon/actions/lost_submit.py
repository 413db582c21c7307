"""Looks for the video of a submit whose answer was lost: by its tag, else in the server's list."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.naming import base_model
from sorawatch.core.order import Size
from sorawatch.core.purchase import tag_of
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.core.dialect import Dialect
    from sorawatch.core.job import Job
    from sorawatch.core.video_responses import Video
    from sorawatch.daemon.actions.witnesses import Witnesses
    from sorawatch.edges.api import VideoApi

CLOCK_DIFFERENCE = 120
"""Seconds by which a server's clock may differ from ours."""

_DAY = 86_400
"""Seconds. Similar videos up to so much older than the submit count too, in case the server's clock is wrong."""

_PAGES = 50
"""Maximum pages of a list that are read: 5,000 videos since the submit."""

_MOST_VIDEOS = 10_000
"""Videos of a list after which no further page is read. Servers may ignore how many we ask for."""

_ASKED = 3
"""Maximum requests for single videos of ours that verify a list."""


_CONFIRMED = 50
"""Maximum videos of a list whose own answers are asked for their prompts."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """The server's videos by their ids."""

    videos: dict[str, Video]
    complete_from: int | None
    """The list shows all videos since this time, in Unix seconds; None if it may be incomplete throughout."""
    filtered: bool
    """The list left out videos whose ids it names elsewhere."""


class LostSubmitSearch:
    """Searches one server. Called from several threads at once."""

    def __init__(self, api: Callable[[], VideoApi], witnesses: Witnesses) -> None:
        self._api = api
        self._witnesses = witnesses

    def search(self, job: Job) -> o.Searched | o.Unlisted:
        """Which listed videos may be that of ``job``'s submit.

        Raises:
            Deferred, Blocked: if the list cannot be read now.
        """
        assert job.submitted_at is not None
        assert job.order is not None
        first = job.submitted_at // 1000 - CLOCK_DIFFERENCE
        last = (job.lost_at or job.submitted_at) // 1000 + CLOCK_DIFFERENCE
        dialect = self._api().dialect
        if dialect.tag_look_ups and job.token is not None:
            return self._tagged(job, job.token)
        try:
            listed = self._videos_since(first, job.order.model)
        except Rejected as error:
            return o.Unlisted(str(error))
        videos, complete_from = listed.videos, listed.complete_from
        prompt, rewrites = job.order.prompt, self._rewrites_prompts(videos)
        if dialect.list is not None and dialect.list.confirm:
            videos = self._confirmed(videos, first, job.order.model)
        candidates = tuple(
            o.Candidate(
                video.id,
                certain=_has_prompt(video, prompt)
                and video.created_at is not None
                and first <= video.created_at <= last,
                differs=_differs(video, job, dialect),
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

    def _tagged(self, job: Job, token: str) -> o.Searched:
        """What the server has under the tag of the submit."""
        model = job.order.model if job.order else ""
        found = self._api().find_tagged(tag_of(token), model)
        candidates = tuple(o.Candidate(each, certain=True) for each in found if self._witnesses.may_be_of(each, job))
        if candidates:
            return o.Searched(candidates, complete=True, tagged=True)
        known = [each.video_id for each in self._witnesses.latest()][:_ASKED]
        return o.Searched((), complete=True, witnessed=any(map(self._has, known)), tagged=True)

    def _confirmed(self, videos: dict[str, Video], since: int, model: str) -> dict[str, Video]:
        """The videos with the prompts that their own answers show; only recent ones are asked for, and not too many."""
        unknown = [each for each in videos.values() if each.prompt is None and (each.created_at or since) >= since]
        shown = {each.id: self._api().prompt_of(each.id, model) for each in unknown[:_CONFIRMED]}
        return {name: replace(each, prompt=each.prompt or shown.get(name)) for name, each in videos.items()}

    def _videos_since(self, since: int, model: str) -> _Listed:
        """The server's videos since ``since`` (Unix seconds).

        A list can prove that a video is missing only if the server says that the last page was read, or if all pages
        are ordered from the newest video to the oldest, and the last one read is older than ``since``.
        """
        videos: dict[str, Video] = {}
        after, newest_first, last, filtered = None, True, None, False
        for _ in range(_PAGES):
            page = self._api().page(after=after, model=model)
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
            if not fresh or page.next is None or len(videos) >= _MOST_VIDEOS:
                break
            after = page.next
        return _Listed(videos, None, filtered)

    def _rewrites_prompts(self, videos: dict[str, Video]) -> bool:
        """Whether a listed video of ours has another prompt than its order, so that prompts identify no video."""
        known = [(videos[each.video_id], each.prompt) for each in self._witnesses.latest() if each.video_id in videos]
        return any(
            prompt is not None and video.prompt is not None and not _has_prompt(video, prompt)
            for video, prompt in known
        )

    def _shows_a_witness(self, videos: dict[str, Video]) -> bool:
        """Whether the list shows a video of ours that the server has, so that it is the current list of our account."""
        ours = [each.video_id for each in self._witnesses.latest() if each.video_id in videos]
        return any(self._has(video_id) for video_id in ours[:_ASKED])

    def _hidden_witness(self, job: Job, videos: dict[str, Video], complete_from: int) -> str | None:
        """The id of a video of ours that the server has, but that is missing in the list: then the list proves nothing.

        Only videos that were ordered before the answer was lost count, because a list may be delayed. A video that the
        server has deleted (after a restart, or because it is old) does not count either.
        """
        since, until = complete_from + CLOCK_DIFFERENCE, (job.lost_at or 0) / 1000
        known = [each.video_id for each in self._witnesses.latest() if since <= each.ordered_at / 1000 <= until]
        missing = [video_id for video_id in known if video_id not in videos][:_ASKED]
        return next((video_id for video_id in missing if self._has(video_id)), None)

    def _has(self, video_id: str) -> bool:
        """Whether a request for the video by its id succeeds."""
        try:
            self._api().retrieve(video_id)
        except Rejected:
            return False
        return True


def _has_prompt(video: Video, prompt: str) -> bool:
    """Whether the listed prompt is exactly this one, apart from white space."""
    return video.prompt is not None and video.prompt.split() == prompt.split()


def _may_have_prompt(video: Video, prompt: str) -> bool:
    """Whether the listed video may have been ordered with ``prompt``. Only different words prove that it was not.

    Servers escape prompts, shorten them, add words before and after them, and drop or normalize characters.
    """
    if video.prompt is None:
        return True
    listed, ours = _letters(video.prompt), _letters(prompt)
    return listed in ours or ours in listed


def _letters(text: str) -> str:
    """The letters and digits of ``text``, in a normal form: servers change its other characters."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", html.unescape(text)).casefold()))


def _differs(video: Video, job: Job, dialect: Dialect) -> bool:
    """Whether the list shows another prompt, model, size or length than ``job`` ordered.

    A size that was not sent is not compared. The length is not compared if extra fields were sent, because one of them
    may be a number of frames, from which the server computes the length.
    """
    order = job.order
    assert order is not None
    assert isinstance(order.size, Size)
    sent = [(video.model and base_model(video.model), base_model(order.model))]
    sent += [(video.size, str(order.size))] if dialect.sends_size else []
    sent += [] if dialect.sends_extra or order.fields else [(video.seconds, str(order.seconds))]
    has_other_prompt = video.prompt is not None and not _has_prompt(video, order.prompt)
    return has_other_prompt or any(listed is not None and listed != ours for listed, ours in sent)
