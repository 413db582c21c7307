"""The options for reference images: file format, background, and how far a picture may be enlarged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255 each, in sRGB."""


class Format(StrEnum):
    """The file formats that the API accepts for ``input_reference``, named as in their media types."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @property
    def mime(self) -> str:
        return f"image/{self}"

    @property
    def suffix(self) -> str:
        """The file name extension."""
        return ".jpg" if self is Format.JPEG else f".{self}"

    @classmethod
    def of(cls, data: bytes) -> Format:
        """The format of a reference that was made earlier, perhaps with another configuration."""
        starts = {b"\x89PNG": cls.PNG, b"RIFF": cls.WEBP}
        return starts.get(data[:4], cls.JPEG)


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """The section ``reference`` of the configuration."""

    format: Format = Format.JPEG
    quality: int = 95
    """From 1 to 100, for JPEG and WebP. WebP references of lossless pictures are lossless."""
    background: Colour = (0, 0, 0)
    """The colour of the bars of ``pad``, and behind transparent parts."""
    max_enlargement: float = 8.0
    """Pictures that would have to be enlarged by a larger factor are refused."""


DEFAULT = ReferenceOptions()
