"""Downloads the clips of finished videos, and decides whether a download can be delivered."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core import outcome as o
from sorawatch.core.os_errors import translate
from sorawatch.core.repeated_download import RepeatedDownload
from sorawatch.core.video_kinds import BOXED, MP4
from sorawatch.edges import mp4, other_containers, outbox
from sorawatch.edges.confined import NoWorker
from sorawatch.edges.spool import Spool, SpoolFile
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sorawatch.edges.api import VideoApi
    from sorawatch.edges.other_containers import ForeignClip


@dataclass(frozen=True, slots=True)
class DownloadedClip:
    """A clip to be delivered: its path, and its file name extension with the dot.

    ``note`` tells the user what is unusual about it; empty for a complete MP4.
    """

    path: Path
    suffix: str
    note: str


@dataclass(frozen=True, slots=True)
class _OtherMedia:
    """A download that is not a complete MP4, but may be the only form in which the server has the clip."""

    clip: ForeignClip
    why: str


class ClipDownloads:
    """Downloads clips to the spool. Called from several threads at once, for different jobs."""

    def __init__(
        self, api: Callable[[], VideoApi], spool: Spool, checks: mp4.ClipChecks, same_clip_seconds: float
    ) -> None:
        """A file that is not a complete MP4 is delivered if the server still sends it after ``same_clip_seconds``."""
        self._api = api
        self._spool = spool
        self._checks = checks
        self._same_clip_seconds = same_clip_seconds

    def download(self, job_id: str, video_id: str, model: str) -> DownloadedClip | o.TemporaryFailure:
        """Download the clip of a video to the job's folder in the spool. It is kept there.

        Raises:
            Deferred: if there is no clip now, or the download cannot be delivered.
            Rejected, Blocked: as `VideoApi.download`.
        """
        folder = self._spool.make_folder(job_id)
        complete, part = folder / SpoolFile.CLIP, folder / SpoolFile.PART
        try:
            if complete.exists():
                other = self._examine(complete)
            else:
                other = self._fetch(video_id, model, part)
                if other and (again := self._not_confirmed(job_id, other, part)):
                    return again
                os.replace(part, complete)
                outbox.fsync_folder(folder)
        except OSError as error:
            raise translate(error, str(folder)) from error
        if other is None:
            return DownloadedClip(complete, MP4.suffix, "")
        note = f"{other.why}; it is what the server has, so it was delivered as it is"
        return DownloadedClip(complete, other.clip.kind.suffix, note)

    def _fetch(self, video_id: str, model: str, part: Path) -> _OtherMedia | None:
        """Download to ``part`` and examine it. A file that cannot be delivered is removed, one not examined is kept."""
        part.touch()
        # Without a buffer, so that a full disk is noticed at once, and the file can then be emptied.
        with open(part, "r+b", buffering=0) as file:
            self._api().download(video_id, file, self._spool.room, model)
            os.fsync(file.fileno())
        try:
            return self._examine(part)
        except NoWorker:
            raise
        except Deferred:
            part.unlink()
            raise

    def _examine(self, path: Path) -> _OtherMedia | None:
        """None for a complete MP4, otherwise the kind of the file.

        A file on which the check crashes or takes too long is treated as one that is not: it may be what was paid for.

        Raises:
            Deferred: if it is incomplete, or not a media file, or cannot be examined now.
        """
        try:
            with open(path, "rb") as file:
                self._checks.check(file)
        except (mp4.NotWhole, NoWorker):
            raise
        except Deferred as objection:
            with open(path, "rb") as file:
                found = other_containers.examine(file)
            if found is None:
                raise
            is_mp4_like = found.kind in BOXED
            why = str(objection) if is_mp4_like else f"the clip is {found.kind.name} and not an MP4"
            if found.flaw:
                raise Deferred(f"{why}, and {found.flaw}") from objection
            return _OtherMedia(found, why)
        return None

    def _not_confirmed(self, job_id: str, other: _OtherMedia, part: Path) -> o.TemporaryFailure | None:
        """The outcome that repeats the download later; None if the file has been the same for long enough."""
        now, seconds = time.time(), self._same_clip_seconds
        before = self._spool.repeated_download(job_id)
        kind = other.clip.kind.suffix
        download = RepeatedDownload(other.clip.digest, other.clip.length, kind, now, now).after(before)
        if download.is_confirmed(now, seconds):
            return None
        # Remove it first, so that the next download starts at the beginning even after a crash at this point.
        part.unlink()
        self._spool.write_repeated_download(job_id, download)
        why = f"{other.why}. It is delivered as it is if the server still sends the same after {seconds:g} s"
        wait = download.wait(now, seconds) if download.seen_at < now else None
        return o.TemporaryFailure(why, wait, counts=not download.is_new(now, seconds))
