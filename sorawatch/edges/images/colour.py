"""Colour: any of Pillow's modes to samples that can be averaged, and those to sRGB."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageCms, ImageOps
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TiffImageFile

_PLAIN = frozenset({"L", "RGB", "CMYK", "LAB"})
"""Modes of eight bits a channel without transparency."""

_WHITE_IS_ZERO = 0
_UNSIGNED = (1,)
"""What the tags PhotometricInterpretation and SampleFormat of a TIFF may say."""


def sampled(image: Image.Image) -> Image.Image:
    """``image`` in a mode whose samples can be averaged: 8 bits, no palette, transparency in its own channel."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _to_grey(image)
    if image.has_transparency_data:
        mode = "LA" if image.mode in {"1", "L", "LA", "La"} else "RGBA"
        return image if image.mode == mode else image.convert(mode)
    if image.mode in _PLAIN:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_grey(image: Image.Image) -> Image.Image:
    """Deep grey scaled to 8 bits. Pillow does not heed what a TIFF says of its white, so that is done here."""
    tags: Mapping[int, Any] = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    grey = _from_floats(image) if image.mode == "F" else _from_integers(image, tags)
    return ImageOps.invert(grey) if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO else grey


def _from_floats(image: Image.Image) -> Image.Image:
    """No file says what white is: the next usual maximum."""
    _, top = _extremes(image)
    white = next((usual for usual in (1.0, 255.0, 65535.0) if top <= usual), top)
    return image.point(lambda value: value * (255 / white) + 0.5).convert("L")


def _from_integers(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """White is that of 16 bits, unless the samples have fewer or there are larger ones."""
    deep = image.convert("I")
    bottom, top = _extremes(deep)
    if bottom < 0 and tags.get(SAMPLEFORMAT, _UNSIGNED) == _UNSIGNED:
        # Pillow takes unsigned samples of 32 bits for signed ones: their upper half has come to lie below zero.
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


def to_srgb(image: Image.Image, embedded: bytes | None) -> tuple[Image.Image, Image.Image | None]:
    """``image`` in sRGB, and its alpha channel if it has one.

    A profile that is broken, or meant for other channels than the image has, is ignored.
    """
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    colour = image.convert(image.mode.removesuffix("A")) if alpha is not None else image
    if embedded:
        with contextlib.suppress(OSError, ImageCms.PyCMSError):
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(embedded)),
                ImageCms.createProfile("sRGB"),
                colour.mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            return transform.apply(colour), alpha
    return colour.convert("RGB"), alpha
