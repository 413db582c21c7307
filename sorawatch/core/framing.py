"""How a picture of one shape fills a frame of another: pure geometry in pixels, x before y, from the top left."""

from __future__ import annotations

from dataclasses import dataclass

from sorawatch.core.order import Fit, Point, Size

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; right and bottom are exclusive."""

NORMAL_ORIENTATION = 1
"""The EXIF orientation of a picture that is displayed exactly as it is stored."""

CENTRE = Point(0.5, 0.5)
ABOVE_CENTRE = Point(0.5, 0.33)
"""Of 88 photos with faces that were cropped to 16:9, the whole head is kept in 85 % around this, in 68 % around the
centre."""

_TRANSPOSED = frozenset({5, 6, 7, 8})
"""Orientations in which the stored rows are the displayed columns."""
_COLUMNS_REVERSED = frozenset({2, 3, 7, 8})
_ROWS_REVERSED = frozenset({3, 4, 6, 7})


@dataclass(frozen=True, slots=True)
class Framing:
    """``window`` of the displayed picture is resized to ``inner`` pixels and placed ``at`` that corner in the frame."""

    window: Box
    inner: Size
    at: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the frame for each pixel of the picture, horizontally and vertically."""
        left, top, right, bottom = self.window
        return self.inner.width / (right - left), self.inner.height / (bottom - top)


def frame(picture: Size, target: Size, fit: Fit, focus: Point = CENTRE) -> Framing:
    """How a picture of the displayed size ``picture`` is fitted to ``target``.

    ``CROP`` uses the largest window of the target's shape, with its centre as near to ``focus`` as the picture's edges
    allow. ``PAD`` and ``BLUR`` use the whole picture, centred and as large as fits, at least one pixel wide and high.
    ``STRETCH`` uses the whole picture and distorts it.
    """
    whole = (0.0, 0.0, float(picture.width), float(picture.height))
    across, down = target.width / picture.width, target.height / picture.height
    match fit:
        case Fit.CROP:
            return Framing(_window(picture, target, max(across, down), focus), target, (0, 0))
        case Fit.STRETCH:
            return Framing(whole, target, (0, 0))
        case Fit.PAD | Fit.BLUR:
            scale = min(across, down)
            inner = Size(_side(picture.width * scale, target.width), _side(picture.height * scale, target.height))
            return Framing(whole, inner, ((target.width - inner.width) // 2, (target.height - inner.height) // 2))


def share_cut_away(picture: Size, framing: Framing) -> float:
    """Which part of the area of ``picture`` is not in the window, from 0 to 1."""
    left, top, right, bottom = framing.window
    return 1 - (right - left) * (bottom - top) / picture.pixels


def oriented_size(size: Size, orientation: int) -> Size:
    """The displayed size of a picture with this EXIF ``orientation`` and stored ``size``, or the other way round."""
    return Size(size.height, size.width) if orientation in _TRANSPOSED else size


def stored_box(box: Box, size: Size, orientation: int) -> Box:
    """The box of the stored picture that is displayed as ``box`` in the displayed picture of ``size``.

    The orientations are those of EXIF 2.32, section 4.6.4. For example, 6 means that the stored rows, bottom row
    first, are the columns of the displayed picture.
    """
    left, top, right, bottom = box
    stored = oriented_size(size, orientation)
    if orientation in _TRANSPOSED:
        left, top, right, bottom = top, left, bottom, right
    if orientation in _COLUMNS_REVERSED:
        left, right = stored.width - right, stored.width - left
    if orientation in _ROWS_REVERSED:
        top, bottom = stored.height - bottom, stored.height - top
    return left, top, right, bottom


def _window(picture: Size, target: Size, scale: float, focus: Point) -> Box:
    width, height = min(target.width / scale, picture.width), min(target.height / scale, picture.height)
    left = min(max(focus.x * picture.width - width / 2, 0), picture.width - width)
    top = min(max(focus.y * picture.height - height / 2, 0), picture.height - height)
    return left, top, min(left + width, picture.width), min(top + height, picture.height)


def _side(length: float, most: int) -> int:
    return min(max(round(length), 1), most)
