"""Finds the part of a picture with the most detail."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from sorawatch.core.order import Point, Size

if TYPE_CHECKING:
    from PIL import Image

    from sorawatch.core.framing import Framing

SIDE = 256
"""Pixels of the longer side of the copy that is analysed: enough to distinguish a face from a wall."""


def thumbnail_size(picture: Size) -> Size:
    """The size of the copy that is analysed. It is not larger than the picture."""
    scale = min(1.0, SIDE / max(picture.width, picture.height))
    return Size(max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))


def most_detailed_point(grey: Image.Image, picture: Size, framing: Framing) -> Point:
    """The centre of the window with the most edge energy, among windows of the size of that in ``framing``.

    The energy is the sum of the squared differences between neighbouring pixels. If windows have the same energy, the
    one nearest to the centre is used. A window can move in one direction at most.

    Args:
        grey: the whole picture as displayed, in mode ``L``, reduced to ``thumbnail_size``.
        picture: the full size as displayed; the window is in pixels of it.
    """
    left, top, right, bottom = framing.window
    columns, rows = _energies(grey)
    x = _best_window(columns, (right - left) / picture.width)
    y = _best_window(rows, (bottom - top) / picture.height)
    return Point(x, y)


def _energies(grey: Image.Image) -> tuple[list[int], list[int]]:
    """The energy in each column and each row."""
    width, height = grey.size
    pixels = grey.tobytes()
    lines = [pixels[start : start + width] for start in range(0, len(pixels), width)]
    columns, rows = [0] * width, [0] * height
    for y, line in enumerate(lines):
        below = lines[min(y + 1, height - 1)]
        for x, (here, beside) in enumerate(pairwise(line + line[-1:])):
            energy = (here - beside) ** 2 + (here - below[x]) ** 2
            columns[x] += energy
            rows[y] += energy
    return columns, rows


def _best_window(energies: list[int], share: float) -> float:
    """The centre, as a fraction of the length, of the section with the most energy; it has ``share`` of the length."""
    whole = len(energies)
    length = min(max(1, round(share * whole)), whole)
    sums = [0, *accumulate(energies)]
    starts = range(whole - length + 1)
    best = max(starts, key=lambda start: (sums[start + length] - sums[start], -abs(2 * start + length - whole)))
    return (best + length / 2) / whole
