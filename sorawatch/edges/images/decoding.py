"""Opens and decodes a picture with Pillow, within limits, and translates all of Pillow's errors."""

from __future__ import annotations

import contextlib
import io
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from sorawatch.core.framing import NORMAL_ORIENTATION, Box, Framing, oriented_size, stored_box
from sorawatch.core.order import Size
from sorawatch.core.unread_kinds import kind_by_bytes
from sorawatch.edges.images import boxes, png, rare_kinds, tiff
from sorawatch.edges.images.colour import to_resizable_mode
from sorawatch.edges.images.resizing import OVERSAMPLING, resize
from sorawatch.errors import Damaged, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.edges.images.colour_space import ColourSpace

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

_BYTES_PER_PIXEL = {"WEBP": 16, "AVIF": 9, "JPEG2000": 24}
"""Measured peak memory of Pillow's decoders; all others need less than 8. For JPEG see `_check_jpeg_size`."""
_COEFFICIENT_BYTES, _PIXEL_BYTES = 2, 4

_STUB_BYTES = 1024
"""A file of this size that is no picture may stand for one that a cloud service keeps online only."""

_JPEG = b"\xff\xd8\xff"
_PLUGINS = (
    PngImagePlugin,
    WebPImagePlugin,
    AvifImagePlugin,
    GifImagePlugin,
    BmpImagePlugin,
    IcoImagePlugin,
    Jpeg2KImagePlugin,
    MpoImagePlugin,
)
"""Pillow imports them when a picture needs one, which a confined worker cannot."""
_FORMATS = tuple(
    name for name in ("PNG", "WEBP", "AVIF", "GIF", "BMP", "ICO", "JPEG2000", *_HEIF) if name in Image.OPEN
)
"""Without those that this Pillow was built without."""
_SIGNATURES = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "TIFF": tiff.SIGNATURE,
    "WebP": rb"RIFF....WEBP",
    "AVIF": rb"....ftypavi[fs]",
    "HEIC": rb"....ftyp(?:hei[cxms]|hev[cx]|mif1|msf1)",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "BMP": rb"BM",
    "icon": rb"\0\0\x01\0",
}
"""The beginning of files of each kind."""

_TRANSPOSE_OF = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_BMP_V5, _EMBEDDED = 124, b"DEBM"
"""The length of the header of a BMP of version 5, and its word for an embedded profile, the last byte first."""

_LOSSLESS_TIFF = frozenset({"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "group3", "group4"})
"""Pillow's names for lossless values of the tag Compression."""

_UNSUPPORTED = re.compile(r"unsupported|not (?:yet )?supported|unknown raw mode|cannot decode", re.IGNORECASE)
"""Words of Pillow's about a picture that is of a kind that it does not read."""

_ZERO_TAIL = 4096
"""Bytes. A complete compressed picture does not end with so many zeros."""
_JPEG_END = b"\xff\xd9"

_COPY_HINT = "Copy it again, or export it again."
_ONLINE_ONLY_HINT = "Copy it again. If a cloud service keeps it online only, make it available offline there first."
_OTHER_FORMAT_HINT = "Save it as PNG or JPEG."
_SMALLER_HINT = "Save it smaller: a few thousand pixels a side are plenty."


@dataclass(frozen=True, slots=True)
class Picture:
    """An opened picture. A JPEG is not decoded yet."""

    name: str
    image: Image.Image
    stored: Size
    orientation: int
    colours: ColourSpace | bytes | None
    """An ICC profile, or a colour space that the file names by numbers; None for sRGB, and where it says nothing."""

    @property
    def size(self) -> Size:
        """The size as displayed."""
        return oriented_size(self.stored, self.orientation)

    @classmethod
    def open(cls, name: str, data: bytes) -> Picture:
        """Read the header. Other formats than JPEG are decoded at once, since the orientation may follow the pixels.

        Raises:
            Rejected: if it is not a picture, damaged, or too large to be decoded.
        """
        with translating_errors(name, data):
            if kind := kind_by_bytes(data):
                raise Rejected(f"{name} is {kind.what}, which is not read", kind.hint)
            rare_kinds.refuse(name, data)
            _check_tail(name, data)
            simple = png.simplified(data) if data.startswith(png.SIGNATURE) else None
            file = io.BytesIO(simple.data if simple else boxes.with_size_of_alpha(data) if _is_avif(data) else data)
            if data.startswith(_JPEG):
                # Image.open would also read the index of further pictures in the file, and fail if only that is broken.
                image: Image.Image = JpegImageFile(file)
            elif re.match(tiff.SIGNATURE, data):
                image = tiff.opened(name, data)
            else:
                image = Image.open(file, formats=_FORMATS)
            if image.format != "JPEG":
                _check_size(name, image)
                image.load()
                # A picture within an icon may have another size than the icon says.
                _check_size(name, image)
            if isinstance(image, TiffImageFile):
                tiff.correct_palette(image)
            colours = simple.colours if simple else _colours(image, data)
            return cls(name, image, Size(*image.size), _orientation(image), colours)

    @property
    def is_lossless(self) -> bool:
        """Whether the format of the file is lossless, as for most screenshots and scans."""
        match self.image.format:
            case "PNG" | "GIF" | "BMP":
                return True
            case "TIFF":
                return self.image.info.get("compression") in _LOSSLESS_TIFF
            case _:
                return False

    def decode(self, framing: Framing) -> Raster:
        """Decode the picture, at the lowest resolution that is enough for the inner size of ``framing``."""
        inner = oriented_size(framing.inner, self.orientation)
        left, top, right, bottom = stored_box(framing.window, self.size, self.orientation)
        wanted = (
            math.ceil(OVERSAMPLING * inner.width * self.stored.width / (right - left)),
            math.ceil(OVERSAMPLING * inner.height * self.stored.height / (bottom - top)),
        )
        drafted = self.image.draft(None, wanted)
        if isinstance(self.image, JpegImageFile):
            _check_jpeg_size(self.name, self.image, self.stored)
        scale = drafted[1][2] / self.stored.width if drafted else 1.0
        return Raster(to_resizable_mode(self.image), self, scale)


@dataclass(frozen=True, slots=True)
class Raster:
    """The decoded pixels of ``picture`` in its own colours; ``scale`` (at most 1) is their size to the stored size."""

    image: Image.Image
    picture: Picture
    scale: float

    def window(self, framing: Framing) -> Image.Image:
        """The window of ``framing`` at its inner size, as displayed."""
        return self._displayed(stored_box(framing.window, self.picture.size, self.picture.orientation), framing.inner)

    def resized(self, size: Size) -> Image.Image:
        """The whole picture at ``size``, as displayed."""
        stored = self.picture.stored
        return self._displayed((0.0, 0.0, float(stored.width), float(stored.height)), size)

    def _displayed(self, box: Box, size: Size) -> Image.Image:
        orientation = self.picture.orientation
        left, top, right, bottom = (edge * self.scale for edge in box)
        scaled_box = (left, top, min(right, self.image.width), min(bottom, self.image.height))
        stored_size = oriented_size(size, orientation)
        image = resize(self.image, (stored_size.width, stored_size.height), scaled_box)
        return image if orientation == NORMAL_ORIENTATION else image.transpose(_TRANSPOSE_OF[orientation])


@contextlib.contextmanager
def translating_errors(name: str, data: bytes) -> Iterator[None]:
    """Turn all exceptions into ``Rejected``, since a malicious file can cause any exception in a decoder."""
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
        raise Rejected(f"{name} needs more memory than there is", _SMALLER_HINT) from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if _UNSUPPORTED.search(reason):
            raise Rejected(f"{name} is of a rare kind that is not read: {reason}", _OTHER_FORMAT_HINT) from error
        raise Damaged(f"{name} is damaged or cut off: {reason}", _COPY_HINT) from error


def _is_avif(data: bytes) -> bool:
    return re.match(_SIGNATURES["AVIF"], data, re.DOTALL) is not None


def _check_size(name: str, image: Image.Image) -> None:
    pixels = image.width * image.height
    most = min(MAX_PIXELS, MAX_DECODED // _BYTES_PER_PIXEL.get(image.format or "", 8))
    if pixels > most:
        raise _too_large(name, f"{image.width}x{image.height} pixels, which is {pixels / 1e6:.0f} million", most)


def _check_jpeg_size(name: str, image: JpegImageFile, stored: Size) -> None:
    """Raise if it needs too much memory, after `draft` has set the size of ``image`` at which it is decoded.

    Besides the pixels, libjpeg holds all coefficients if a JPEG is progressive, and of full size whatever the draft.
    """
    most_across = max((across for _, across, _, _ in image.layer), default=1)
    most_down = max((down for _, _, down, _ in image.layer), default=1)
    share = sum(across * down for _, across, down, _ in image.layer) / (most_across * most_down)
    needed = _COEFFICIENT_BYTES * share * stored.pixels + _PIXEL_BYTES * image.width * image.height
    if needed > MAX_DECODED:
        reason = f"{name} has {stored} pixels and needs {needed / 1e6:.0f} MB to be decoded"
        raise Rejected(f"{reason}; at most {MAX_DECODED / 1e6:.0f} MB are allowed", _SMALLER_HINT)


def _check_tail(name: str, data: bytes) -> None:
    """Raise if the end is missing: some tools set the length of a copy first, and the rest is zeros until then."""
    end = len(data.rstrip(b"\0"))
    if len(data) - end < _ZERO_TAIL:
        return
    if data.startswith(_JPEG):
        ends_early = not data.endswith(_JPEG_END, 0, end)
    elif data.startswith(b"RIFF"):
        ends_early = end + _ZERO_TAIL < 8 + int.from_bytes(data[4:8], "little")
    else:
        ends_early = data[4:8] == b"ftyp"
    if ends_early:
        raise Damaged(f"{name} is incomplete: its last {len(data) - end} bytes are zeros", _COPY_HINT)


def _too_large(name: str, found: str, most: int = MAX_PIXELS) -> Rejected:
    return Rejected(f"{name} has {found}; at most {most / 1e6:.0f} million are decoded", _SMALLER_HINT)


def _unidentified(name: str, data: bytes) -> Rejected:
    kind = next((kind for kind, start in _SIGNATURES.items() if re.match(start, data, re.DOTALL)), "")
    if kind == "HEIC" and not _HEIF:
        reason = f"{name} is a HEIC picture, which needs an extra package"
        return Rejected(reason, "Run: pip install 'sorawatch[heif]'. Or save the picture as a JPEG.")
    if kind:
        reason = f"{name} is damaged or cut off, or a rare kind of {kind}"
        return Damaged(reason, "Copy it again, or save it as JPEG or PNG.")
    if not data.strip(b"\0"):
        return Damaged(f"{name} has no picture in it: all its {len(data)} bytes are zeros", _ONLINE_ONLY_HINT)
    reason = f"{name} is not a picture that can be read; it begins with {data[:8].decode('latin-1')!a}"
    if len(data) < _STUB_BYTES:
        return Damaged(f"{reason} and has only {len(data)} bytes", _ONLINE_ONLY_HINT)
    return Damaged(reason, "If a viewer can show it, save it as JPEG or PNG.")


def _colours(image: Image.Image, data: bytes) -> ColourSpace | bytes | None:
    """The colours of a picture that is no PNG. In an AVIF or HEIC a profile stands above numbers, as in browsers."""
    if profile := image.info.get("icc_profile"):
        return bytes(profile)
    code_points = None
    if image.format == "JPEG2000":
        return boxes.jpeg2000_profile(data)
    if image.format == "BMP":
        return _bmp_profile(data)
    if image.format == "AVIF":
        code_points = boxes.code_points(data)
    elif nclx := image.info.get("nclx_profile"):
        code_points = int(nclx["color_primaries"]), int(nclx["transfer_characteristics"])
    return boxes.colour_space(*code_points) if code_points else None


def _bmp_profile(data: bytes) -> bytes | None:
    """The ICC profile at the end of a BMP with a header of version 5."""
    header_length, kind = int.from_bytes(data[14:18], "little"), data[70:74]
    if header_length < _BMP_V5 or kind != _EMBEDDED:
        return None
    start, length = 14 + int.from_bytes(data[126:130], "little"), int.from_bytes(data[130:134], "little")
    return data[start : start + length] or None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation. A picture with a broken EXIF block counts as not rotated."""
    with contextlib.suppress(Exception):
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        if orientation in _TRANSPOSE_OF:
            return int(orientation)
    return NORMAL_ORIENTATION
