"""The ``/videos`` API over HTTP."""

from sorawatch.edges.api.client import REFERENCE, Dialect, VideoApi

__all__ = ["REFERENCE", "Dialect", "VideoApi"]
