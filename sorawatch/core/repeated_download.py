"""Whether a clip that is no whole MP4 is what the server has: the same bytes came before, some minutes ago."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RepeatedDownload:
    """A download that was media, as long as the server said, and neither cut off nor zeros. Times are Unix seconds."""

    digest: str
    """SHA-256 of its bytes, in hexadecimal."""
    length: int
    suffix: str
    """What its kind of file has for an extension, with the dot."""
    seen_at: float
    """When these bytes came first."""
    watched_since: float
    """When any such download came first."""

    def after(self, before: RepeatedDownload | None) -> RepeatedDownload:
        """This one, just made, with what the one ``before`` tells. A clock that was set back makes it tell nothing."""
        if before is None or before.seen_at > self.seen_at or before.watched_since > self.seen_at:
            return self
        same = (before.digest, before.length) == (self.digest, self.length)
        seen_at = before.seen_at if same else self.seen_at
        return replace(self, seen_at=seen_at, watched_since=before.watched_since)

    def is_settled(self, now: float, patience: float) -> bool:
        """Whether the same bytes have come for ``patience`` seconds."""
        return now - self.seen_at >= patience

    def is_new(self, now: float, patience: float) -> bool:
        """Whether there was no time yet for the same bytes to come for ``patience`` seconds."""
        return now - self.watched_since < patience

    def wait(self, now: float, patience: float) -> float:
        """Seconds until these bytes are settled, should they come again."""
        return max(0.0, self.seen_at + patience - now)
