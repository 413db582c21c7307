"""Converts images of all of Pillow's modes: first to a mode that can be resized, then to sRGB."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageCms, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TiffImageFile

from sorawatch.edges.images.colour_space import ColourSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = frozenset({"L", "RGB", "CMYK", "LAB"})
"""Modes of eight bits a channel without transparency."""

_WHITE_IS_ZERO = 0
_UNSIGNED = (1,)
"""Values of the TIFF tags PhotometricInterpretation and SampleFormat."""


def to_resizable_mode(image: Image.Image) -> Image.Image:
    """``image`` in a mode whose samples can be averaged: 8 bits, no palette, transparency as a channel."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        grey = _to_grey(image)
        transparent = image.info.get("transparency")
        return grey if transparent is None else Image.merge("LA", (grey, _all_but(image, transparent)))
    if image.has_transparency_data:
        mode = "LA" if image.mode in {"1", "L", "LA", "La"} else "RGBA"
        return image if image.mode == mode else image.convert(mode)
    if image.mode in _PLAIN:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_grey(image: Image.Image) -> Image.Image:
    """Grey with more than 8 bits, scaled to 8. Pillow ignores which value is white in a TIFF; this does not."""
    tags: Mapping[int, Any] = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    grey = _from_floats(image) if image.mode == "F" else _from_integers(image, tags)
    return ImageOps.invert(grey) if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO else grey


def _all_but(image: Image.Image, level: int) -> Image.Image:
    """A mask that leaves out the pixels of this level of 16 bits, which a PNG may declare transparent."""
    return image.convert("I").point([0 if value == level else 255 for value in range(65536)], "L")


def _from_floats(image: Image.Image) -> Image.Image:
    """Scale floats. Files do not say which value is white; it is the smallest common maximum that is not exceeded."""
    _, top = _extremes(image)
    white = next((usual for usual in (1.0, 255.0, 65535.0) if top <= usual), top)
    return image.point(lambda value: value * (255 / white) + 0.5).convert("L")


def _from_integers(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Scale integers. White is the maximum of 16 bits, or of fewer bits if the file says so, or the largest sample."""
    deep = image.convert("I")
    bottom, top = _extremes(deep)
    if bottom < 0 and tags.get(SAMPLEFORMAT, _UNSIGNED) == _UNSIGNED:
        # Pillow reads unsigned 32-bit samples as signed, so that their upper half is negative.
        halves = deep.point(lambda value: value * (1 / 65536) + 32768)
        return halves.point([(value + 32768) % 65536 >> 8 for value in range(65536)], "L")
    bits = min(tags.get(BITSPERSAMPLE, (16,)))
    white = max((1 << min(bits, 16)) - 1, top)
    if white != 65535:
        deep = deep.point(lambda value: value * (65535 / white))
    return deep.point([round(value / 257) for value in range(65536)], "L")


def _extremes(image: Image.Image) -> tuple[float, float]:
    bottom, top = image.getextrema()
    assert not isinstance(bottom, tuple)
    assert not isinstance(top, tuple)
    return bottom, top


def to_srgb(image: Image.Image, colours: ColourSpace | bytes | None) -> tuple[Image.Image, Image.Image | None]:
    """``image`` in sRGB, and its alpha channel if it has one.

    Args:
        colours: what its file says of its colours: an embedded ICC profile, or numbers. They are ignored if they make
            no sense, or are for other channels than those of the image. None for sRGB.
    """
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    colour = image.convert(image.mode.removesuffix("A")) if alpha is not None else image
    if colours is not None:
        with contextlib.suppress(OSError, ImageCms.PyCMSError, ArithmeticError, ValueError, struct.error):
            profile = colours.icc(grey=colour.mode == "L") if isinstance(colours, ColourSpace) else colours
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                colour.mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return transform.apply(colour), alpha
    return colour.convert("RGB"), alpha
