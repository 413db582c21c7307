"""Finds the part of a picture with the most detail."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from sorawatch.core.framing import ABOVE_CENTRE
from sorawatch.core.order import Point, Size

if TYPE_CHECKING:
    from PIL import Image

    from sorawatch.core.framing import Framing

SIDE = 256
"""Pixels of the longer side of the copy that is analysed: enough to distinguish a face from a wall."""
_PRIOR = 1.5
"""See `_best_window`. With it, most heads are kept that ``ABOVE_CENTRE`` keeps."""


def thumbnail_size(picture: Size) -> Size:
    """The size of the copy that is analysed. It is not larger than the picture."""
    scale = min(1.0, SIDE / max(picture.width, picture.height))
    return Size(max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))


def most_detailed_point(grey: Image.Image, picture: Size, framing: Framing) -> Point:
    """The centre of the window with the most edge energy, among windows of the size of that in ``framing``.

    The energy is the sum of the squared differences between neighbouring pixels. Where height is cut, a window far from
    ``ABOVE_CENTRE`` needs more of it: clothes have more edges than the face above them. If windows are equal, the one
    nearest to the middle, or to that place, is used. A window can move in one direction at most.

    Args:
        grey: the whole picture as displayed, in mode ``L``, reduced to ``thumbnail_size``.
        picture: the full size as displayed; the window is in pixels of it.
    """
    left, top, right, bottom = framing.window
    columns, rows = _energies(grey)
    x = _best_window(columns, (right - left) / picture.width, ABOVE_CENTRE.x)
    y = _best_window(rows, (bottom - top) / picture.height, ABOVE_CENTRE.y, _PRIOR)
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


def _best_window(energies: list[int], share: float, usual: float, prior: float = 0.0) -> float:
    """The centre, as a fraction of the length, of the section with the most energy; it has ``share`` of the length.

    Args:
        usual: the centre that is preferred, as far as a section there fits.
        prior: which share of the whole energy a section must have more to lie at the other end of the length.
    """
    whole = len(energies)
    length = min(max(1, round(share * whole)), whole)
    sums = [0, *accumulate(energies)]
    all_energy = sums[-1] or 1

    def rank(start: int) -> tuple[float, float]:
        distance = abs((start + length / 2) / whole - usual)
        return (sums[start + length] - sums[start]) / all_energy - prior * distance, -distance

    best = max(range(whole - length + 1), key=rank)
    return (best + length / 2) / whole
