"""Refuses TIFFs that Pillow cannot read, or reads wrongly, by what their tags say; and corrects what can be corrected.

Found by a comparison with tifffile of every combination of colours, depth, sign, layout, byte order and compression
that it writes, with Pillow 13.
"""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import TiffImagePlugin as Tiff
from PIL.TiffImagePlugin import TiffImageFile

from sorawatch.core.unread_kinds import kind_by_name, raw_kind
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", int, None)

SIGNATURE = rb"II[*+]\0|MM\0[*+]"

_NEW_SUBFILE_TYPE, _MAKE, _SUB_IFDS, _DNG_VERSION, _CFA = 254, 271, 330, 50706, 32803
_REDUCED = 1
"""A bit of NewSubfileType: this is a smaller version of another picture in the file."""

_COLOURS = {
    0: "grey", 1: "grey", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab",
    32844: "LogL", 32845: "LogLuv",
}  # fmt: skip
_LAB, _ONE_CHANNEL = frozenset({8, 9, 10}), frozenset({0, 1, 3})
"""Values of PhotometricInterpretation."""
_STRAIGHT_ALPHA = 2
_ALPHA = frozenset({1, _STRAIGHT_ALPHA})
"""Values of ExtraSamples."""
_WEBP = 50001
_COMPRESSIONS = frozenset(Tiff.COMPRESSION_INFO) - {_WEBP}
"""Without one for which Pillow's libtiff has no decoder."""
_UNKNOWN = frozenset({"unknown pixel mode", "unknown data organization"})
"""Pillow's words for a kind of TIFF that it does not read."""
_SIGN = {1: "", 2: "signed ", 3: "floating-point ", 4: "undefined ", 5: "complex ", 6: "complex "}
_SIGNED, _PLANAR, _UNCOMPRESSED = 2, 2, 1
"""Values of SampleFormat, PlanarConfiguration and Compression."""

_NATIVE = {"F;32BF": "F;32NF", "I;32BS": "I;32NS"}
"""Libtiff hands samples over in the byte order of the machine. Pillow takes these for those of the file."""
_PALETTE_MAX = 256


def opened(name: str, data: bytes) -> TiffImageFile:
    """Open the TIFF ``data``.

    Raises:
        Rejected: if it is a raw photo, or a kind of TIFF that Pillow does not read, or not correctly.
        Exception: whatever Pillow raises if it is damaged.
    """
    tags = _tags(data)
    _refuse_raw(name, tags)
    if _is_misread(tags) or _number(tags, Tiff.COMPRESSION, 1) not in _COMPRESSIONS:
        raise _unread(name, tags)
    try:
        image = TiffImageFile(io.BytesIO(data))
    except SyntaxError as error:
        if str(error) in _UNKNOWN:
            raise _unread(name, tags) from error
        raise
    image.tile = [
        tile._replace(args=(_NATIVE.get(tile.args[0], tile.args[0]), *tile.args[1:]))
        if tile.codec_name == "libtiff" and isinstance(tile.args, tuple)
        else tile
        for tile in image.tile
    ]
    return image


def correct_palette(image: TiffImageFile) -> None:
    """Use the lower halves of the colours of a palette if the upper ones are empty, as some programs write it."""
    colours = image.tag_v2.get(Tiff.COLORMAP)
    if image.mode == "P" and colours and max(colours) < _PALETTE_MAX:
        third = len(colours) // 3
        bands = (colours[start : start + third] for start in range(0, 3 * third, third))
        image.putpalette(bytes(itertools.chain.from_iterable(zip(*bands, strict=True))))


def _tags(data: bytes) -> Mapping[int, Any]:
    """The tags of the first picture."""
    is_big = 43 in data[2:4]
    directory = Tiff.ImageFileDirectory_v2(data[: 16 if is_big else 8])
    file = io.BytesIO(data)
    file.seek(directory.next)
    directory.load(file)
    return directory


def _refuse_raw(name: str, tags: Mapping[int, Any]) -> None:
    """Raw photos are TIFFs whose first picture is a small preview. Raises: Rejected."""
    is_preview = _number(tags, _NEW_SUBFILE_TYPE, 0) & _REDUCED and _SUB_IFDS in tags
    if is_preview or _DNG_VERSION in tags or _number(tags, Tiff.PHOTOMETRIC_INTERPRETATION, 0) == _CFA:
        kind = kind_by_name(".dng") if _DNG_VERSION in tags else raw_kind(str(tags.get(_MAKE, "")))
        assert kind is not None
        raise Rejected(f"{name} is {kind.what}, which is not read", kind.hint)


def _is_misread(tags: Mapping[int, Any]) -> bool:
    """Whether Pillow would make another picture of it."""
    photometric = _number(tags, Tiff.PHOTOMETRIC_INTERPRETATION, 0)
    bits = _number(tags, Tiff.BITSPERSAMPLE, 1)
    if _number(tags, Tiff.SAMPLEFORMAT, 1) == _SIGNED and bits < 32:
        return True
    if _number(tags, Tiff.SAMPLESPERPIXEL, 1) == 1 or _number(tags, Tiff.PLANAR_CONFIGURATION, 1) != _PLANAR:
        return False
    extra = _number(tags, Tiff.EXTRASAMPLES, None)
    if _number(tags, Tiff.COMPRESSION, 1) == _UNCOMPRESSED and (bits != 8 or extra not in {None, _STRAIGHT_ALPHA}):
        return True
    return photometric in _LAB or (photometric in _ONE_CHANNEL and extra in _ALPHA)


def _unread(name: str, tags: Mapping[int, Any]) -> Rejected:
    """The refusal of a TIFF by what is rare about it."""
    photometric = _number(tags, Tiff.PHOTOMETRIC_INTERPRETATION, 0)
    bits, sign = _number(tags, Tiff.BITSPERSAMPLE, 1), _SIGN.get(_number(tags, Tiff.SAMPLEFORMAT, 1), "")
    channels = _number(tags, Tiff.SAMPLESPERPIXEL, 1)
    words = [f"{bits}-bit {sign}{_COLOURS.get(photometric, f'colours of kind {photometric}')}"]
    if channels not in {1, 3}:
        words.append(f"{channels} channels")
    if channels > 1 and _number(tags, Tiff.PLANAR_CONFIGURATION, 1) == _PLANAR:
        words.append("channels one after the other")
    if (compression := _number(tags, Tiff.COMPRESSION, 1)) not in _COMPRESSIONS:
        words.append(f"compression {compression}")
    reason = f"{name} is a TIFF of a kind that is not read: {', '.join(words)}"
    return Rejected(reason, "Save it with 8 bits for each channel and LZW compression, or as PNG or JPEG.")


def _number(tags: Mapping[int, Any], tag: int, default: T) -> int | T:
    """The first value of a tag; ``default`` if it has none, or no number."""
    value = tags.get(tag, default)
    first = value[0] if isinstance(value, tuple) and value else value
    return first if isinstance(first, int) else default
