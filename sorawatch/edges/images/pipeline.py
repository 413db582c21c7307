"""Makes a reference from the bytes of a picture file. Runs in a worker process.

Decoding takes the most time. So a JPEG is decoded at a fraction of its size (``draft``), the window is resized directly
from the stored picture, and all other steps work on the few pixels of the result.
"""

from __future__ import annotations

import hashlib
import io
import math

from PIL import Image, ImageFilter

from sorawatch.core.framing import ABOVE_CENTRE, CENTRE, Framing, frame, share_cut_away
from sorawatch.core.order import Fit, Focus, Point, Size
from sorawatch.core.reference_format import Colour, Format, ReferenceOptions
from sorawatch.edges.images import focus
from sorawatch.edges.images.colour import to_srgb
from sorawatch.edges.images.decoding import Picture, Raster, translating_errors
from sorawatch.edges.images.reference import Reference, ReferenceRequest, Thumbnail
from sorawatch.errors import Rejected

_BLUR_REDUCTION = 16
_BLUR_RADIUS = 2
_TOLERATED_LOSS = 1 / 3
"""The part of a picture that may be cut away without a word."""


def make(name: str, data: bytes, request: ReferenceRequest) -> Reference:
    """Make the reference for the picture file ``name``, whose bytes are ``data``.

    The picture is rotated as it is displayed, fitted to the size, converted to sRGB and put on the background. Only its
    pixels get into the result, no metadata.

    Raises:
        Rejected: if it can never become a reference: not a picture, damaged, too large, too small.
    """
    picture = Picture.open(name, data)
    options = request.options
    target = request.model.resolve(request.aim, picture.size)
    framing = frame(picture.size, target, request.fit)
    notes = (
        _enlargement(name, picture.size, target, framing, options.max_enlargement),
        _loss(share_cut_away(picture.size, framing)),
    )
    with translating_errors(name, data):
        raster = picture.decode(framing)
        framing = frame(picture.size, target, request.fit, _point(raster, framing, request))
        image = _opaque(raster.window(framing), picture, options.background)
        canvas = _compose(image, target, framing.at, options.background, blur=request.fit is Fit.BLUR)
        uploaded = _encode(canvas, options, lossless=picture.is_lossless)
    whole = framing.window == (0, 0, picture.size.width, picture.size.height)
    return Reference(
        data=uploaded,
        mime=options.format.mime,
        size=target,
        source=picture.size,
        digest=hashlib.sha256(data).hexdigest(),
        crop=None if whole else framing.window,
        note="; ".join(filter(None, notes)),
        thumbnail=_thumbnail(canvas, request.thumbnail) if request.thumbnail else None,
    )


def _enlargement(name: str, picture: Size, target: Size, framing: Framing, most: float) -> str:
    factor = max(framing.scale)
    if factor > most:
        reason = f"{name} has {picture} pixels and would be enlarged {math.ceil(10 * factor) / 10:g}× to {target}"
        whole = max(frame(picture, target, Fit.PAD).scale) <= most
        hint = "Use a larger picture, or fit: pad." if whole else "Use a larger picture."
        raise Rejected(f"{reason}; at most {most:g}× is allowed (reference.max_enlargement)", hint)
    return f"upscaled {factor:.1f}×" if factor >= 1.05 else ""


def _loss(share: float) -> str:
    if share <= _TOLERATED_LOSS:
        return ""
    return f"{100 * share:.0f} % of the picture is cut away (fit: pad or blur keeps all of it)"


def _point(raster: Raster, framing: Framing, request: ReferenceRequest) -> Point:
    """The point on which the window is centred. Its size does not depend on the point."""
    if isinstance(request.focus, Point):
        return request.focus
    if request.focus is Focus.CENTRE or request.fit is not Fit.CROP:
        return CENTRE
    if request.focus is Focus.AUTO:
        return ABOVE_CENTRE
    picture = raster.picture
    small = _opaque(raster.resized(focus.thumbnail_size(picture.size)), picture, request.options.background)
    return focus.most_detailed_point(small.convert("L"), picture.size, framing)


def _opaque(image: Image.Image, picture: Picture, background: Colour) -> Image.Image:
    """``image``, a part or a copy of ``picture``, in sRGB on the background."""
    image, alpha = to_srgb(image, picture.colours)
    if alpha is None:
        return image
    opaque = Image.new("RGB", image.size, background)
    opaque.paste(image, mask=alpha)
    return opaque


def _compose(image: Image.Image, target: Size, at: tuple[int, int], background: Colour, *, blur: bool) -> Image.Image:
    """``image`` on a new canvas of ``target`` pixels, which has no metadata of the file."""
    canvas = Image.new("RGB", (target.width, target.height), background)
    if blur:
        canvas.paste(_blurred(image, target))
    canvas.paste(image, at)
    return canvas


def _blurred(image: Image.Image, target: Size) -> Image.Image:
    """A blurred copy of ``image`` that fills ``target``."""
    small = (math.ceil(target.width / _BLUR_REDUCTION), math.ceil(target.height / _BLUR_REDUCTION))
    window = frame(Size(*image.size), target, Fit.CROP).window
    resized = image.resize(small, Image.Resampling.BOX, window)
    soft = resized.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS))
    return soft.resize((target.width, target.height), Image.Resampling.BICUBIC)


def _encode(image: Image.Image, options: ReferenceOptions, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    match options.format:
        case Format.JPEG:
            image.save(buffer, "JPEG", quality=options.quality, subsampling="4:4:4")
        case Format.PNG:
            image.save(buffer, "PNG")
        case Format.WEBP if lossless:
            image.save(buffer, "WEBP", lossless=True)
        case Format.WEBP:
            image.save(buffer, "WEBP", quality=options.quality, use_sharp_yuv=True)
    return buffer.getvalue()


def _thumbnail(canvas: Image.Image, most: Size) -> Thumbnail:
    small = canvas.copy()
    small.thumbnail((most.width, most.height), Image.Resampling.BOX)
    return Thumbnail(Size(*small.size), small.tobytes())
