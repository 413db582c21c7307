"""Downloads the clips of finished videos, and decides whether what came is delivered."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.media import BOXED, MP4
from sorawatch.core.os_errors import translate
from sorawatch.core.repeated_download import RepeatedDownload
from sorawatch.edges import clip, foreign_clip, outbox
from sorawatch.edges.spool import Spool, SpoolFile
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sorawatch.edges.api import VideoApi
    from sorawatch.edges.foreign_clip import ForeignClip


@dataclass(frozen=True, slots=True)
class DownloadedClip:
    """A clip to be delivered: its path, and the extension of its name.

    ``note`` is what a person should know of it; empty for a complete MP4.
    """

    path: Path
    suffix: str
    note: str


@dataclass(frozen=True, slots=True)
class _OtherMedia:
    """A download that is no complete MP4, and why, but may be all that the server has."""

    clip: ForeignClip
    why: str


class ClipDownloads:
    """Called from several threads at once, for different jobs."""

    def __init__(self, api: Callable[[], VideoApi], spool: Spool, same_clip_seconds: float) -> None:
        """``same_clip_seconds``: bytes that are no complete MP4 are delivered if they are the same after so long."""
        self._api = api
        self._spool = spool
        self._same_clip_seconds = same_clip_seconds

    def download(self, job_id: str, video_id: str) -> DownloadedClip | o.TemporaryFailure:
        """The clip of a video, in the job's folder of the spool, where it stays.

        Raises:
            Deferred: there is none now, or what came cannot be delivered.
            Rejected, Blocked: as `VideoApi.download`.
        """
        folder = self._spool.folder(job_id)
        whole, part = folder / SpoolFile.CLIP, folder / SpoolFile.PART
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if whole.exists():
                other = _examine(whole)
            else:
                other = self._fetch(video_id, part)
                if other and (again := self._not_confirmed(job_id, other, part)):
                    return again
                os.replace(part, whole)
                outbox.fsync_folder(folder)
        except OSError as error:
            raise translate(error, str(folder)) from error
        if other is None:
            return DownloadedClip(whole, MP4.suffix, "")
        note = f"{other.why}; it is what the server has, so it was delivered as it is"
        return DownloadedClip(whole, other.clip.kind.suffix, note)

    def _fetch(self, video_id: str, part: Path) -> _OtherMedia | None:
        """Download into ``part`` and examine it. What cannot be delivered is removed."""
        part.touch()
        with open(part, "r+b") as file:
            self._api().download(video_id, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            return _examine(part)
        except Deferred:
            part.unlink()
            raise

    def _not_confirmed(self, job_id: str, other: _OtherMedia, part: Path) -> o.TemporaryFailure | None:
        """When to download again to see whether the same comes; None if it has been the same for long enough."""
        now, seconds = time.time(), self._same_clip_seconds
        before = self._spool.repeated_download(job_id)
        kind = other.clip.kind.suffix
        download = RepeatedDownload(other.clip.digest, other.clip.length, kind, now, now).after(before)
        if download.is_confirmed(now, seconds):
            return None
        # Removed first, so that the next download is one of the whole clip even after a crash in between.
        part.unlink()
        self._spool.write_repeated_download(job_id, download)
        why = f"{other.why}. It is delivered as it is if the server still sends the same after {seconds:g} s"
        wait = download.wait(now, seconds) if download.seen_at < now else None
        return o.TemporaryFailure(why, wait, counts=not download.is_new(now, seconds))


def _examine(path: Path) -> _OtherMedia | None:
    """None for a complete MP4; else what the file is instead.

    Raises:
        Deferred: it is incomplete, or no media file at all.
    """
    with open(path, "rb") as file:
        try:
            clip.check(file)
        except clip.NotWhole:
            raise
        except Deferred as objection:
            found = foreign_clip.examine(file)
            if found is None:
                raise
            is_mp4_like = found.kind in BOXED
            why = str(objection) if is_mp4_like else f"the clip is {found.kind.name} and not an MP4"
            if found.flaw:
                raise Deferred(f"{why}, and {found.flaw}") from objection
            return _OtherMedia(found, why)
    return None
