"""The way of a picture from the bytes of its file to those of a reference. Runs in a worker process.

Decoding costs most, so a JPEG is decoded at a fraction of its size (``draft``), the window is resized straight out
of the stored picture, and everything else happens to the few pixels that are left.
"""

from __future__ import annotations

import hashlib
import io
import math

from PIL import Image, ImageFilter

from sorawatch.core.framing import CENTRE, Framing, frame
from sorawatch.core.order import Fit, Focus, Point, Size
from sorawatch.core.reference_format import Colour, Format, ReferenceOptions
from sorawatch.edges.images import focus
from sorawatch.edges.images.colour import to_srgb
from sorawatch.edges.images.picture import Picture, Raster, translated
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail
from sorawatch.errors import Rejected

_BLUR_REDUCTION = 16
_BLUR_RADIUS = 2


def make(name: str, data: bytes, wish: ReferenceRequest) -> Reference:
    """Make the reference for the picture file ``name``, whose bytes are ``data``.

    The picture is turned upright, framed, brought to sRGB and laid on the background. Nothing of the file but its
    pixels gets into the result.

    Raises:
        Rejected: if it can never become a reference: no picture, damaged, too large, too small.
    """
    picture = Picture.open(name, data)
    finish = wish.finish
    target = wish.model.resolve(wish.aim, picture.size)
    framing = frame(picture.size, target, wish.fit)
    note = _enlargement(name, picture.size, target, framing, finish.max_enlargement)
    with translated(name, data):
        raster = picture.decode(framing)
        framing = frame(picture.size, target, wish.fit, _point(raster, framing, wish))
        image = _opaque(raster.window(framing), picture, finish.background)
        canvas = _compose(image, target, framing.at, finish.background, blur=wish.fit is Fit.BLUR)
        uploaded = _encode(canvas, finish, lossless=picture.is_lossless)
    whole = framing.window == (0, 0, picture.size.width, picture.size.height)
    return Reference(
        data=uploaded,
        mime=finish.format.mime,
        size=target,
        source=picture.size,
        digest=hashlib.sha256(data).hexdigest(),
        crop=None if whole else framing.window,
        note=note,
        thumbnail=_thumbnail(canvas, wish.thumbnail) if wish.thumbnail else None,
    )


def _enlargement(name: str, picture: Size, target: Size, framing: Framing, most: float) -> str:
    factor = max(framing.scale)
    if factor > most:
        told = f"{name} has {picture} pixels and would be enlarged {math.ceil(10 * factor) / 10:g}× to {target}"
        whole = max(frame(picture, target, Fit.PAD).scale) <= most
        hint = "Use a larger picture, or fit: pad." if whole else "Use a larger picture."
        raise Rejected(f"{told}; at most {most:g}× is allowed (reference.max_enlargement)", hint)
    return f"upscaled {factor:.1f}×" if factor >= 1.05 else ""


def _point(raster: Raster, framing: Framing, wish: ReferenceRequest) -> Point:
    """What the window shall be laid around; it has the same size wherever it lies."""
    if isinstance(wish.focus, Point):
        return wish.focus
    if wish.focus is Focus.CENTRE or wish.fit is not Fit.CROP:
        return CENTRE
    picture = raster.picture
    small = _opaque(raster.reduced(focus.thumbnail_size(picture.size)), picture, wish.finish.background)
    return focus.busiest(small.convert("L"), picture.size, framing)


def _opaque(image: Image.Image, picture: Picture, background: Colour) -> Image.Image:
    """``image``, a part or a copy of ``picture``, in sRGB on the background."""
    image, alpha = to_srgb(image, picture.image.info.get("icc_profile"))
    if alpha is None:
        return image
    opaque = Image.new("RGB", image.size, background)
    opaque.paste(image, mask=alpha)
    return opaque


def _compose(image: Image.Image, target: Size, at: tuple[int, int], background: Colour, *, blur: bool) -> Image.Image:
    """``image`` on a canvas of ``target`` pixels; a new image, so that nothing of the file's clings to it."""
    canvas = Image.new("RGB", (target.width, target.height), background)
    if blur:
        canvas.paste(_blurred(image, target))
    canvas.paste(image, at)
    return canvas


def _blurred(image: Image.Image, target: Size) -> Image.Image:
    """``image`` filling the whole of ``target``, out of focus."""
    small = (math.ceil(target.width / _BLUR_REDUCTION), math.ceil(target.height / _BLUR_REDUCTION))
    window = frame(Size(*image.size), target, Fit.CROP).window
    reduced = image.resize(small, Image.Resampling.BOX, window)
    soft = reduced.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS))
    return soft.resize((target.width, target.height), Image.Resampling.BICUBIC)


def _encode(image: Image.Image, finish: ReferenceOptions, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    match finish.format:
        case Format.JPEG:
            image.save(buffer, "JPEG", quality=finish.quality, subsampling="4:4:4")
        case Format.PNG:
            image.save(buffer, "PNG")
        case Format.WEBP if lossless:
            image.save(buffer, "WEBP", lossless=True)
        case Format.WEBP:
            image.save(buffer, "WEBP", quality=finish.quality, use_sharp_yuv=True)
    return buffer.getvalue()


def _thumbnail(canvas: Image.Image, most: Size) -> Thumbnail:
    small = canvas.copy()
    small.thumbnail((most.width, most.height), Image.Resampling.BOX)
    return Thumbnail(Size(*small.size), small.tobytes())
