"""Makes references from picture files of all common kinds, in worker processes.

The process that imports this never decodes a picture, and does not load Pillow.
"""

from sorawatch.edges.images.pool import Pool
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail

__all__ = ["Pool", "Reference", "ReferenceRequest", "Thumbnail"]
