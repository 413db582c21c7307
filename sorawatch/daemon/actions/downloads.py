"""Fetches the clips of finished videos, and settles which of what came is delivered."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
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

    from sorawatch.edges.api import VideoApi
    from sorawatch.edges.foreign_clip import ForeignClip


@dataclass(frozen=True, slots=True)
class DownloadedClip:
    """A clip to be delivered: where it is, and how its name shall end.

    ``note`` is what a person should know of it; empty for a whole MP4.
    """

    path: Path
    suffix: str
    note: str


@dataclass(frozen=True, slots=True)
class _Odd:
    """A download that is no whole MP4, and why, but may be all that the server has."""

    clip: ForeignClip
    why: str


class ClipDownloads:
    """Called from several threads at once, for different jobs."""

    def __init__(self, api: Callable[[], VideoApi], work: Spool, same_again_seconds: float) -> None:
        """``same_again_seconds``: bytes that are no whole MP4 and come again after so long are what the server has."""
        self._api = api
        self._work = work
        self._patience = same_again_seconds

    def fetch(self, job_id: str, video_id: str) -> DownloadedClip | o.FailedForNow:
        """The clip of a video, in the work folder of a job, where it stays.

        Raises:
            Deferred: there is none to be had now, or what came is nothing to be delivered.
            Rejected, Blocked: as `VideoApi.download` has them.
        """
        folder = self._work.folder(job_id)
        whole, part = folder / SpoolFile.CLIP, folder / SpoolFile.PART
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if whole.exists():
                odd = _judged(whole)
            else:
                odd = self._downloaded(video_id, part)
                if odd and (later := self._unsettled(job_id, odd, part)):
                    return later
                os.replace(part, whole)
                outbox.fsync_folder(folder)
        except OSError as error:
            raise translate(error, str(folder)) from error
        if odd is None:
            return DownloadedClip(whole, MP4.suffix, "")
        return DownloadedClip(
            whole, odd.clip.kind.suffix, f"{odd.why}; it is what the server has, so it was delivered as it is"
        )

    def _downloaded(self, video_id: str, part: Path) -> _Odd | None:
        """Download into ``part``, and see what came. What is nothing to be delivered is removed."""
        part.touch()
        with open(part, "r+b") as file:
            self._api().download(video_id, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            return _judged(part)
        except Deferred:
            part.unlink()
            raise

    def _unsettled(self, job_id: str, odd: _Odd, part: Path) -> o.FailedForNow | None:
        """When to download again to see whether the same comes; None if it has come for long enough."""
        now = time.time()
        before = self._work.repeated_download(job_id)
        sighting = RepeatedDownload(odd.clip.digest, odd.clip.length, odd.clip.kind.suffix, now, now).after(before)
        if sighting.is_settled(now, self._patience):
            return None
        # First of all, so that the next download is one of the whole clip even after a crash in between.
        part.unlink()
        self._work.write_repeated_download(job_id, sighting)
        told = f"{odd.why}. It is delivered as it is if the server still sends the same after {self._patience:g} s"
        wait = sighting.wait(now, self._patience) if sighting.seen_at < now else None
        return o.FailedForNow(told, wait, counts=not sighting.is_new(now, self._patience))


def _judged(path: Path) -> _Odd | None:
    """What speaks against a download's being a whole MP4.

    Raises:
        Deferred: it is not whole, or no video file at all.
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
            boxed = found.kind in BOXED
            why = str(objection) if boxed else f"the clip is {found.kind.name} and not an MP4"
            if found.flaw:
                raise Deferred(f"{why}, and {found.flaw}") from objection
            return _Odd(found, why)
    return None
