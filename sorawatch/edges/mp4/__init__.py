"""Checks whether a downloaded file is a whole MP4, in a worker process."""

from sorawatch.edges.mp4.check import NotWhole, check
from sorawatch.edges.mp4.checks import ClipChecks

__all__ = ["ClipChecks", "NotWhole", "check"]
