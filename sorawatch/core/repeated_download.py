"""Decides whether an unusual clip is what the server has: the same bytes were downloaded some minutes before."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RepeatedDownload:
    """A download that is a video, though not a whole MP4: as long as the server said, and neither cut off nor zeros.

    Times are Unix seconds.
    """

    digest: str
    """SHA-256 of its bytes, in hexadecimal."""
    length: int
    suffix: str
    """The file name extension of its kind of file, with the dot."""
    seen_at: float
    """When these bytes were downloaded for the first time."""
    watched_since: float
    """When any such download was made for the first time."""

    def after(self, before: RepeatedDownload | None) -> RepeatedDownload:
        """This new download with the times of the one ``before``, which does not count if the clock was set back."""
        if before is None or before.seen_at > self.seen_at or before.watched_since > self.seen_at:
            return self
        same = (before.digest, before.length) == (self.digest, self.length)
        seen_at = before.seen_at if same else self.seen_at
        return replace(self, seen_at=seen_at, watched_since=before.watched_since)

    def is_confirmed(self, now: float, seconds: float) -> bool:
        """Whether the bytes have been the same for ``seconds``."""
        return now - self.seen_at >= seconds

    def is_new(self, now: float, seconds: float) -> bool:
        """Whether the first such download was less than ``seconds`` ago."""
        return now - self.watched_since < seconds

    def wait(self, now: float, seconds: float) -> float:
        """Seconds until these bytes are settled, if the next download gives the same."""
        return max(0.0, self.seen_at + seconds - now)
