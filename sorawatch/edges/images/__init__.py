"""Pictures: a file of any usual kind in, the bytes of a reference out, decoded in processes of their own.

No picture is ever decoded in the process that imports this, and Pillow is not loaded there.
"""

from sorawatch.edges.images.pool import Pool
from sorawatch.edges.images.process import ProcessLimits
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail

__all__ = ["Pool", "ProcessLimits", "Reference", "ReferenceRequest", "Thumbnail"]
