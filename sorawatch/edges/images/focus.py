"""Where in a picture the most happens."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from sorawatch.core.order import Point, Size

if TYPE_CHECKING:
    from PIL import Image

    from sorawatch.core.framing import Framing

SIDE = 256
"""Pixels of the longer side of the copy that is looked at: enough to tell a face from a wall."""


def thumbnail_size(picture: Size) -> Size:
    """Of the copy to look at; a picture that is smaller is looked at as it is."""
    scale = min(1.0, SIDE / max(picture.width, picture.height))
    return Size(max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))


def busiest(grey: Image.Image, picture: Size, framing: Framing) -> Point:
    """The centre of the window, of the size of that in ``framing``, with the greatest edge energy.

    The energy is the sum of the squared differences between neighbours. Of windows that are equal in it, the one
    nearest to the centre is taken: a window of its shape can move in one direction at most.

    Args:
        grey: the whole upright picture in mode ``L``, reduced to ``thumbnail_size``.
        picture: its full size, in whose pixels the window is given.
    """
    left, top, right, bottom = framing.window
    columns, rows = _energies(grey)
    x = _best(columns, (right - left) / picture.width)
    y = _best(rows, (bottom - top) / picture.height)
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


def _best(energies: list[int], share: float) -> float:
    """The centre, as a fraction of the whole, of the stretch with that ``share`` of the length and the most energy."""
    whole = len(energies)
    length = min(max(1, round(share * whole)), whole)
    sums = [0, *accumulate(energies)]
    starts = range(whole - length + 1)
    best = max(starts, key=lambda start: (sums[start + length] - sums[start], -abs(2 * start + length - whole)))
    return (best + length / 2) / whole
