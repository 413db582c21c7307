"""The ``/videos`` API over HTTP."""

from sorawatch.edges.api.client import REFERENCE, Dialect, VideoApi
from sorawatch.edges.api.deadlines import TransferLimits

__all__ = ["REFERENCE", "Dialect", "TransferLimits", "VideoApi"]
