"""Pictures to drop, and the pool through which the tests prepare them, as the daemon does."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from pillow_heif import register_heif_opener

from sorawatch.core.order import Aim, Fit, Focus, Model, Point, Size
from sorawatch.core.reference_format import ReferenceOptions
from sorawatch.edges.images import Pool, Reference, ReferenceRequest

Array = np.ndarray[Any, np.dtype[Any]]

SORA = Model("sora-2", (Size(720, 1280), Size(1280, 720)), (4, 8, 12))
FREE = Model("free", None, None)
SMALL = Size(64, 36)
RED, GREEN, BLUE, GREY = (220, 30, 30), (20, 190, 60), (40, 60, 210), (128, 128, 128)

register_heif_opener()

pool = Pool()


def prepare(
    path: Path, model: Model, aim: Size | Aim, fit: Fit, focus: Focus | Point = Focus.CENTRE, **finish: Any
) -> Reference:
    return pool.prepare(path, ReferenceRequest(model, aim, fit, focus, ReferenceOptions(**finish)))


def save(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def flat(colour: Any, mode: str = "RGB", size: tuple[int, int] = (64, 36)) -> Image.Image:
    return Image.new(mode, size, colour)


def made(path: Path, aim: Size | Aim = SMALL, fit: Fit = Fit.STRETCH, **options: Any) -> Array:
    """The pixels of the reference, rows first, as integers; their number is checked on the way."""
    reference = prepare(path, FREE, aim, fit, **options)
    image = Image.open(io.BytesIO(reference.data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (reference.size.width, reference.size.height))
    return np.asarray(image).astype(int)


def near(pixels: Array, expected: Any, tolerance: int = 3) -> bool:
    """Whether every pixel is ``expected``, give or take what a JPEG of quality 95 changes."""
    return bool(np.abs(pixels - np.asarray(expected)).max() <= tolerance)


SIDES = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip
"""EXIF 2.32, 4.6.4: the visual sides on which row 0 and column 0 of the stored picture lie."""


def arrow() -> Image.Image:
    """Upright 320x180, every corner of another colour, the upper left one larger."""
    chart = np.full((180, 320, 3), GREY, np.uint8)
    chart[:100, :100] = RED
    chart[:60, -60:] = GREEN
    chart[-60:, :60] = BLUE
    return Image.fromarray(chart)


def is_upright(pixels: Array) -> bool:
    return (
        near(pixels[8:90, 8:90], RED, 6)
        and near(pixels[8:50, -50:-8], GREEN, 6)
        and near(pixels[-50:-8, 8:50], BLUE, 6)
        and near(pixels[-50:-8, -50:-8], GREY, 6)
    )


def turned(folder: Path, image: Image.Image, orientation: int, kind: str = "jpg", **options: Any) -> Path:
    """``image`` stored so that ``orientation`` turns it upright again; worked out from the table of sides alone."""
    first_row, first_column = SIDES[orientation]
    pixels = np.asarray(image)
    if first_row in {"left", "right"}:
        pixels = pixels.transpose(1, 0, 2)
    if first_row in {"bottom", "right"}:
        pixels = pixels[::-1]
    if first_column in {"bottom", "right"}:
        pixels = pixels[:, ::-1]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(np.ascontiguousarray(pixels))
    return save(folder, stored, f"turned-{orientation}.{kind}", exif=exif.tobytes(), **options)
