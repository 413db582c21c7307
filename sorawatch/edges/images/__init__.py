"""Pillow: a picture file in, the bytes of a reference out.

Decoding costs most, so a JPEG is decoded at a fraction of its size (``draft``), the window is resized straight out
of the stored picture, and everything else happens to the few pixels that are left.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFilter

from sorawatch.core.framing import Framing, frame
from sorawatch.core.order import Aim, Fit, Model, Size
from sorawatch.edges.images import source
from sorawatch.edges.images.colour import to_srgb
from sorawatch.edges.images.picture import Picture, translated
from sorawatch.errors import Rejected

__all__ = ["MAX_ENLARGEMENT", "Reference", "prepare"]

MAX_ENLARGEMENT = 8.0

_BLUR_REDUCTION = 16
_BLUR_RADIUS = 2

_pillow = threading.Lock()
"""Warning filters belong to the whole process and a decoder may need over a gigabyte: one picture at a time."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A prepared image and how it came about."""

    data: bytes
    """The very bytes to upload; the picture in them has exactly ``size``."""
    mime: str
    size: Size
    source: Size
    """Of the picture as it was found, upright."""
    digest: str
    """SHA-256 of the source file, in hexadecimal."""
    crop: tuple[float, float, float, float] | None
    """Left, top, right, bottom of the window used, in upright source pixels; None where the picture was used whole."""
    note: str
    """What a person may want to know, such as ``upscaled 2.3×``; often empty."""


def prepare(
    path: Path,
    model: Model,
    aim: Size | Aim,
    fit: Fit,
    *,
    background: tuple[int, int, int] = (0, 0, 0),
    max_enlargement: float = MAX_ENLARGEMENT,
) -> Reference:
    """Make the reference for the picture at ``path``, of the size that ``model`` has for ``aim``.

    The picture is turned upright, framed, brought to sRGB and laid on ``background`` (red, green, blue), which also
    fills the bars of ``PAD``. The result is a JPEG without any metadata. May be called from any thread; arguments,
    result and errors can be pickled.

    Raises:
        Rejected: if this file can never become a reference: no picture, damaged, too large, too small.
        Deferred: if it cannot be read now, or changed while it was.
    """
    data = source.read(path)
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = Picture.open(path.name, data)
        target = model.resolve(aim, picture.size)
        framing = frame(picture.size, target, fit)
        note = _enlargement(path.name, picture.size, target, framing, max_enlargement)
        with translated(path.name, data):
            image, alpha = to_srgb(picture.render(framing), picture.image.info.get("icc_profile"))
        canvas = _compose(image, alpha, target, framing.at, background, blur=fit is Fit.BLUR)
        uploaded = _encode(canvas)
    whole = framing.window == (0, 0, picture.size.width, picture.size.height)
    return Reference(
        data=uploaded,
        mime="image/jpeg",
        size=target,
        source=picture.size,
        digest=hashlib.sha256(data).hexdigest(),
        crop=None if whole else framing.window,
        note=note,
    )


def _enlargement(name: str, picture: Size, target: Size, framing: Framing, most: float) -> str:
    factor = max(framing.scale)
    if factor > most:
        told = f"{name} has {picture} pixels and would be enlarged {math.ceil(10 * factor) / 10:g}× to {target}"
        whole = max(frame(picture, target, Fit.PAD).scale) <= most
        mend = "Use a larger picture, or fit: pad." if whole else "Use a larger picture."
        raise Rejected(f"{told}; at most {most:g}× is allowed", mend)
    return f"upscaled {factor:.1f}×" if factor >= 1.05 else ""


def _compose(
    image: Image.Image,
    alpha: Image.Image | None,
    target: Size,
    at: tuple[int, int],
    background: tuple[int, int, int],
    *,
    blur: bool,
) -> Image.Image:
    """``image`` on a canvas of ``target`` pixels; a new image, so that nothing of the file's clings to it."""
    if alpha is not None:
        opaque = Image.new("RGB", image.size, background)
        opaque.paste(image, mask=alpha)
        image = opaque
    canvas = _blurred(image, target) if blur else Image.new("RGB", (target.width, target.height), background)
    canvas.paste(image, at)
    return canvas


def _blurred(image: Image.Image, target: Size) -> Image.Image:
    """``image`` filling the whole of ``target``, out of focus."""
    small = (math.ceil(target.width / _BLUR_REDUCTION), math.ceil(target.height / _BLUR_REDUCTION))
    window = frame(Size(*image.size), target, Fit.CROP).window
    reduced = image.resize(small, Image.Resampling.BOX, window)
    soft = reduced.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS))
    return soft.resize((target.width, target.height), Image.Resampling.BICUBIC)


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, subsampling="4:4:4")
    return buffer.getvalue()
