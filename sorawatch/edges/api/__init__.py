"""Any server whose contract is described by a dialect, over HTTP."""

from sorawatch.edges.api.client import VideoApi
from sorawatch.edges.api.deadlines import TransferLimits
from sorawatch.edges.api.request_body import OrderTerms, Picture

__all__ = ["OrderTerms", "Picture", "TransferLimits", "VideoApi"]
