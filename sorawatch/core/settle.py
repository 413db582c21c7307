"""When a file has stopped changing. Times are seconds of a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

SCANS_TO_SETTLE = 2


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What one ``stat`` of a file showed; every field takes part, for tools reset some of them."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The looks at one or more files together, and since when they have been the same."""

    statuses: tuple[FileStatus, ...]
    since: float
    count: int


def observe(before: Observation | None, statuses: tuple[FileStatus, ...], now: float) -> Observation:
    """Add one look. Any difference starts the wait again."""
    if before is None or before.statuses != statuses:
        return Observation(statuses, now, 1)
    return Observation(statuses, before.since, before.count + 1)


def is_whole(seen: Observation) -> bool:
    """Whether no file is empty: an empty file is one that somebody is about to write."""
    return all(look.size > 0 for look in seen.statuses)


def settled(seen: Observation, now: float, settle_seconds: float) -> bool:
    """Whether the files were whole and the same for long enough, seen at least twice."""
    return seen.count >= SCANS_TO_SETTLE and now - seen.since >= settle_seconds and is_whole(seen)


def settles_in(seen: Observation, now: float, settle_seconds: float) -> float:
    """Seconds until a further look can settle it."""
    return max(seen.since + settle_seconds - now, 0.0)
