"""Makes clips: real H.264 MP4s with a slow zoom into the reference, marked as simulated."""

from __future__ import annotations

import io
import math
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image, ImageDraw, ImageFont, ImageOps

if TYPE_CHECKING:
    from collections.abc import Callable

LABEL = "SIMULATED"
TITLE = "Simulated by sorawatch; not a real generation"
_ZOOM = 0.12
_WHITE, _BLACK, _NEUTRAL = 235, 16, 128
"""Luma of white and black, and chroma of grey, in limited range (ITU-R BT.709)."""


class RenderingStoppedError(Exception):
    """The server is stopping, so the clip is no longer needed."""


@dataclass(frozen=True, slots=True)
class ClipKey:
    """Everything that a clip depends on: the same key gives the same bytes. ``width`` and ``height`` are even."""

    reference_sha256: str
    width: int
    height: int
    seconds: int
    frames_per_second: int

    @property
    def etag(self) -> str:
        shape = f"{self.width}x{self.height}-{self.seconds}-{self.frames_per_second}"
        return f'"{self.reference_sha256[:24]}-{shape}"'


def blank_picture() -> bytes:
    """The picture of a clip that was ordered without one."""
    out = io.BytesIO()
    Image.new("RGB", (64, 64), (96, 96, 96)).save(out, "PNG")
    return out.getvalue()


def render(reference: bytes, key: ClipKey, cancelled: Callable[[], bool]) -> bytes:
    """The clip of ``key`` as the bytes of a progressive MP4 (``moov`` before ``mdat``).

    The planes of a frame are zoomed in YUV 4:2:0, which takes half the time of zooming RGB and converting each frame.
    A single encoder thread makes the bytes reproducible, so that a download can continue after the clip was made again.

    Raises:
        RenderingStoppedError: as soon as ``cancelled()`` is true.
    """
    planes = _planes(reference, (key.width, key.height))
    label, mask = _label(min(key.width, key.height))
    count = key.seconds * key.frames_per_second
    # The muxer opens its output again by name, to move moov to the front, so it must be a file.
    with tempfile.NamedTemporaryFile(prefix="sorawatch-", suffix=".mp4") as file:
        with av.open(file.name, "w", options={"movflags": "+faststart"}) as container:
            container.metadata.update(title=TITLE, comment=TITLE)
            stream = container.add_stream("libx264", key.frames_per_second, {"preset": "superfast", "crf": "24"})
            stream.width, stream.height, stream.pix_fmt = key.width, key.height, "yuv420p"
            context = stream.codec_context
            context.thread_count = 1
            context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
            for number in range(count):
                if cancelled():
                    raise RenderingStoppedError
                zoomed = [_zoomed(plane, _zoom_at(number, count)) for plane in planes]
                _stamp(zoomed, label, mask)
                frame = _frame(zoomed, "yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, key.frames_per_second)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return Path(file.name).read_bytes()


def _planes(reference: bytes, size: tuple[int, int]) -> list[Image.Image]:
    """The luma and chroma planes of a picture, limited range BT.709. Transparent parts become black.

    A picture of another size is scaled, and cropped to the shape of the clip.
    """
    with Image.open(io.BytesIO(reference)) as picture:
        rgba = picture.convert("RGBA")
    if rgba.size != size:
        rgba = ImageOps.fit(rgba, size)
    opaque = Image.new("RGB", size)
    opaque.paste(rgba, mask=rgba)
    red, green, blue = opaque.split()
    frame = _frame([green, blue, red], "gbrp").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.AREA,
    )
    return [
        Image.frombytes("L", (plane.width, plane.height), bytes(plane), "raw", "L", plane.line_size, 1)
        for plane in frame.planes
    ]


def _zoom_at(number: int, count: int) -> float:
    """The magnification of a frame. It starts and ends slowly."""
    return 1 + _ZOOM * (1 - math.cos(math.pi * number / max(1, count - 1))) / 2


def _zoomed(plane: Image.Image, zoom: float) -> Image.Image:
    width, height = plane.size
    across, down = width * (1 - 1 / zoom) / 2, height * (1 - 1 / zoom) / 2
    return plane.resize(plane.size, Image.Resampling.BILINEAR, box=(across, down, width - across, height - down))


def _label(short_side: int) -> tuple[Image.Image, Image.Image]:
    """The luma of the label, white letters on black, and its opacity. Width and height are even."""
    size = max(12, short_side // 28)
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(LABEL)
    margin = size // 2
    extent = (math.ceil(right - left + 2 * margin) // 2 * 2, math.ceil(bottom - top + 2 * margin) // 2 * 2)
    place = (margin - left, margin - top)
    label, mask = Image.new("L", extent, _BLACK), Image.new("L", extent, 150)
    ImageDraw.Draw(label).text(place, LABEL, _WHITE, font)
    ImageDraw.Draw(mask).text(place, LABEL, 255, font)
    return label, mask


def _stamp(planes: list[Image.Image], label: Image.Image, mask: Image.Image) -> None:
    """Draw the label near the upper left corner."""
    inset = label.height // 4 * 2
    luma, *chroma = planes
    luma.paste(label, (inset, inset), mask)
    small = mask.reduce(2)
    for plane in chroma:
        plane.paste(_NEUTRAL, (inset // 2, inset // 2, inset // 2 + small.width, inset // 2 + small.height), small)


def _frame(planes: list[Image.Image], pixel_format: str) -> av.VideoFrame:
    frame = av.VideoFrame(*planes[0].size, pixel_format)
    for target, plane in zip(frame.planes, planes, strict=True):
        # The rows of a frame are padded for alignment; cropping beyond the edge adds the same padding.
        target.update(plane.crop((0, 0, target.line_size, target.height)).tobytes())
    return frame
