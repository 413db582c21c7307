"""Colour: any of Pillow's modes to samples that can be averaged, and those to sRGB."""

from __future__ import annotations

import contextlib
import io

from PIL import Image, ImageCms

_PLAIN = frozenset({"L", "RGB", "CMYK", "LAB"})
"""Modes of eight bits a channel without transparency."""


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
    """Deep grey scaled to 8 bits. No file says what white is: 16 bits for integers, else the next usual maximum."""
    if image.mode == "F":
        top = _maximum(image)
        white = next((usual for usual in (1.0, 255.0, 65535.0) if top <= usual), top)
        return image.point(lambda value: value * (255 / white) + 0.5).convert("L")
    deep = image.convert("I")
    top = _maximum(deep)
    if top > 65535:
        deep = deep.point(lambda value: value * (65535 / top))
    return deep.point([round(value / 257) for value in range(65536)], "L")


def _maximum(image: Image.Image) -> float:
    top = image.getextrema()[1]
    assert not isinstance(top, tuple)
    return float(top)


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
