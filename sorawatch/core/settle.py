"""Decides when a file has stopped changing. Times are seconds of a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

SCANS_TO_SETTLE = 2

MAX_OPEN_SECONDS = 3600.0
"""Seconds after which a file that has not changed counts as complete although a program still has it open."""


class FileStatus(NamedTuple):
    """The result of one ``stat`` of a file. All fields are compared, since some tools reset some of them."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Observation:
    """The status of one or more files, since when it has been the same, and how often it was seen."""

    statuses: tuple[FileStatus, ...]
    since: float
    count: int


def observe(before: Observation | None, statuses: tuple[FileStatus, ...], now: float) -> Observation:
    """Add the result of one scan. Any difference starts the wait again."""
    if before is None or before.statuses != statuses:
        return Observation(statuses, now, 1)
    return Observation(statuses, before.since, before.count + 1)


def none_empty(seen: Observation) -> bool:
    """Whether no file is empty: somebody is probably about to write an empty file."""
    return all(status.size > 0 for status in seen.statuses)


def seconds_to_settle(settle_seconds: float, *, is_open: bool) -> float:
    """How many seconds files must stay the same: longer if one of them is open for writing."""
    return max(settle_seconds, MAX_OPEN_SECONDS) if is_open else settle_seconds


def settled(seen: Observation, now: float, settle_seconds: float) -> bool:
    """Whether the files were not empty and the same for long enough, in at least two scans."""
    return seen.count >= SCANS_TO_SETTLE and now - seen.since >= settle_seconds and none_empty(seen)


def settles_in(seen: Observation, now: float, settle_seconds: float) -> float:
    """Seconds until another scan can find the files settled."""
    return max(seen.since + settle_seconds - now, 0.0)
