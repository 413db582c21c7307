"""How a reference is finished: its file format, what shows through, how far it may be enlarged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255 each, in sRGB."""


class Format(StrEnum):
    """The file formats that the API takes for ``input_reference``, by the names they have in media types."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"

    @property
    def mime(self) -> str:
        return f"image/{self}"

    @property
    def suffix(self) -> str:
        """Of file names."""
        return ".jpg" if self is Format.JPEG else f".{self}"

    @classmethod
    def of(cls, data: bytes) -> Format:
        """The format of a reference that was made earlier, perhaps under another configuration."""
        starts = {b"\x89PNG": cls.PNG, b"RIFF": cls.WEBP}
        return starts.get(data[:4], cls.JPEG)


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """The configuration's section ``reference``."""

    format: Format = Format.JPEG
    quality: int = 95
    """From 1 to 100, for JPEG and WebP. Pictures from lossless files are lossless as WebP, too."""
    background: Colour = (0, 0, 0)
    """The bars of ``pad``, and what shows through transparent parts."""
    max_enlargement: float = 8.0
    """Pictures that would have to be enlarged more than so many times are refused."""


DEFAULT = ReferenceOptions()
