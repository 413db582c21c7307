"""A picture as Pillow decodes it: the limits, the window, and a plain error for whatever a file may do to Pillow."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from sorawatch.core.framing import NORMAL_ORIENTATION, Box, Framing, oriented_size, stored_box
from sorawatch.core.order import Size
from sorawatch.edges.images.colour import sampled
from sorawatch.edges.images.resizing import FINENESS, resize
from sorawatch.errors import Damaged, Rejected

try:
    from pillow_heif import register_heif_opener
except ImportError:
    _HEIF: tuple[str, ...] = ()
else:
    register_heif_opener(thumbnails=False)
    _HEIF = ("HEIF",)

MAX_PIXELS = 128_000_000
MAX_DECODED = 1_600_000_000
"""Bytes that a decoder may need, by ``_BYTES_PER_PIXEL``."""

_BYTES_PER_PIXEL = {"JPEG": 7, "WEBP": 16, "AVIF": 9}
"""Measured peaks of Pillow's decoders; the others stay below 8."""

_JPEG = b"\xff\xd8\xff"
_FORMATS = ("PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", *_HEIF)
_STARTS = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "WebP": rb"RIFF....WEBP",
    "AVIF": rb"....ftypavi[fs]",
    "HEIC": rb"....ftyp(?:hei[cxms]|hev[cx]|mif1|msf1)",
}
"""How a file begins that means to be a picture of that kind."""

_TRANSPOSE_OF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_LOSSLESS_TIFF = frozenset({"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "group3", "group4"})
"""Names of Pillow's for what the tag Compression says."""

_HOLLOW = 4096
"""Zeros at the end of a compressed picture that cannot be its own."""
_JPEG_END = b"\xff\xd9"

_COPY = "Copy it again, or export it anew."
_SMALLER = "Save it smaller: a few thousand pixels a side are plenty."


@dataclass(frozen=True, slots=True)
class Picture:
    """An opened picture, not yet decoded where that can wait."""

    image: Image.Image
    stored: Size
    orientation: int

    @property
    def size(self) -> Size:
        """Upright."""
        return oriented_size(self.stored, self.orientation)

    @classmethod
    def open(cls, name: str, data: bytes) -> Picture:
        """Read the header. What is not a JPEG is decoded at once: its orientation may lie behind its pixels.

        Raises:
            Rejected: if it is no picture, damaged, or too large to be decoded.
        """
        with translated(name, data):
            _check_tail(name, data)
            file = io.BytesIO(data)
            if data.startswith(_JPEG):
                # Image.open would also parse the directory of further pictures, and fail where only that is broken.
                image: Image.Image = JpegImageFile(file)
            else:
                image = Image.open(file, formats=_FORMATS)
            _check_size(name, image)
            if image.format != "JPEG":
                image.load()
            return cls(image, Size(*image.size), _orientation(image))

    @property
    def is_lossless(self) -> bool:
        """Whether the file keeps every pixel as it was drawn, like screenshots and scans."""
        match self.image.format:
            case "PNG" | "GIF" | "BMP":
                return True
            case "TIFF":
                return self.image.info.get("compression") in _LOSSLESS_TIFF
            case _:
                return False

    def decode(self, framing: Framing) -> Raster:
        """The pixels, as few of them as do for the window of ``framing`` at its inner size."""
        inner = oriented_size(framing.inner, self.orientation)
        left, top, right, bottom = stored_box(framing.window, self.size, self.orientation)
        wanted = (
            math.ceil(FINENESS * inner.width * self.stored.width / (right - left)),
            math.ceil(FINENESS * inner.height * self.stored.height / (bottom - top)),
        )
        drafted = self.image.draft(None, wanted)
        shrunk = drafted[1][2] / self.stored.width if drafted else 1.0
        return Raster(sampled(self.image), self, shrunk)


@dataclass(frozen=True, slots=True)
class Raster:
    """The decoded pixels of ``picture``, ``shrunk`` (1 or less) from its stored size, in its colours."""

    image: Image.Image
    picture: Picture
    shrunk: float

    def window(self, framing: Framing) -> Image.Image:
        """The window of ``framing`` at its inner size, upright."""
        return self._displayed(stored_box(framing.window, self.picture.size, self.picture.orientation), framing.inner)

    def reduced(self, size: Size) -> Image.Image:
        """All of it at ``size``, upright."""
        stored = self.picture.stored
        return self._displayed((0.0, 0.0, float(stored.width), float(stored.height)), size)

    def _displayed(self, box: Box, size: Size) -> Image.Image:
        orientation = self.picture.orientation
        left, top, right, bottom = (edge * self.shrunk for edge in box)
        shrunk_box = (left, top, min(right, self.image.width), min(bottom, self.image.height))
        turned = oriented_size(size, orientation)
        image = resize(self.image, (turned.width, turned.height), shrunk_box)
        return image if orientation == NORMAL_ORIENTATION else image.transpose(_TRANSPOSE_OF[orientation])


@contextlib.contextmanager
def translated(name: str, data: bytes) -> Iterator[None]:
    """Any exception class may come out of a hostile file; each leaves as ``Rejected``."""
    try:
        yield
    except Rejected:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(name, data) from error
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        raise _too_large(name, f"{int(pixels[0]) / 1e6:.0f} million pixels" if pixels else str(error)) from error
    except MemoryError as error:
        raise Rejected(f"{name} needs more memory than there is", _SMALLER) from error
    except Exception as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(f"{name} is damaged or cut off: {told}", _COPY) from error


def _check_size(name: str, image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > MAX_PIXELS or pixels * _BYTES_PER_PIXEL.get(image.format or "", 8) > MAX_DECODED:
        raise _too_large(name, f"{image.width}x{image.height} pixels, which is {pixels / 1e6:.0f} million")


def _check_tail(name: str, data: bytes) -> None:
    """Some tools give a copy its length first and its bytes later; decoders take the zeros in between for pixels."""
    end = len(data.rstrip(b"\0"))
    if len(data) - end < _HOLLOW:
        return
    if data.startswith(_JPEG):
        ends_early = not data.endswith(_JPEG_END, 0, end)
    elif data.startswith(b"RIFF"):
        ends_early = end + _HOLLOW < 8 + int.from_bytes(data[4:8], "little")
    else:
        ends_early = data[4:8] == b"ftyp"
    if ends_early:
        raise Damaged(f"{name} is only there in part: its last {len(data) - end} bytes are zeros", _COPY)


def _too_large(name: str, found: str) -> Rejected:
    most = f"{MAX_PIXELS / 1e6:.0f} million ({MAX_DECODED / 16 / 1e6:.0f} million in a WebP)"
    return Rejected(f"{name} has {found}; at most {most} are decoded", _SMALLER)


def _unidentified(name: str, data: bytes) -> Rejected:
    kind = next((kind for kind, start in _STARTS.items() if re.match(start, data, re.DOTALL)), "")
    if kind == "HEIC" and not _HEIF:
        told = f"{name} is a HEIC picture, which needs an extra package"
        return Rejected(told, "Run: pip install 'sorawatch[heif]'. Or save the picture as a JPEG.")
    if kind:
        told = f"{name} is damaged or cut off, or a rare kind of {kind}"
        return Damaged(told, "Copy it again, or save it anew as JPEG or PNG.")
    told = f"{name} is not a picture that can be read; it begins with {data[:8].decode('latin-1')!a}"
    return Damaged(told, "If a viewer shows it, save it anew as JPEG or PNG.")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; a broken EXIF block is no reason to refuse a sound picture."""
    with contextlib.suppress(Exception):
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        if orientation in _TRANSPOSE_OF:
            return int(orientation)
    return NORMAL_ORIENTATION
