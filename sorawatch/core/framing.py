"""How a picture of one shape fills a frame of another: pure geometry, in pixels, x before y, origin top left."""

from __future__ import annotations

from dataclasses import dataclass

from sorawatch.core.order import Fit, Point, Size

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; right and bottom are exclusive."""

UPRIGHT = 1
"""The EXIF orientation of a picture that is stored as it is to be seen."""

CENTRE = Point(0.5, 0.5)

_SIDEWAYS = frozenset({5, 6, 7, 8})
_COLUMNS_REVERSED = frozenset({2, 3, 7, 8})
_ROWS_REVERSED = frozenset({3, 4, 6, 7})


@dataclass(frozen=True, slots=True)
class Framing:
    """``window`` of the upright picture is resized to ``inner`` pixels, which lie ``at`` that corner of the frame."""

    window: Box
    inner: Size
    at: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the frame for each pixel of the picture, across and down."""
        left, top, right, bottom = self.window
        return self.inner.width / (right - left), self.inner.height / (bottom - top)


def frame(picture: Size, target: Size, fit: Fit, focus: Point = CENTRE) -> Framing:
    """How an upright ``picture`` is brought to ``target``.

    ``CROP`` takes the largest window of the target's shape, its centre as near to ``focus`` as the picture's edges
    allow. ``PAD`` and ``BLUR`` take the whole picture, as large as fits and centred, never thinner than one pixel;
    ``STRETCH`` takes it whole, whatever becomes of its shape.
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


def upright(stored: Size, orientation: int) -> Size:
    """The size at which a picture of this EXIF ``orientation`` is seen; and back again."""
    return Size(stored.height, stored.width) if orientation in _SIDEWAYS else stored


def unturned(box: Box, size: Size, orientation: int) -> Box:
    """Where ``box`` of an upright picture of ``size`` lies in the picture as stored.

    The orientations are those of EXIF 2.32, section 4.6.4: 6, say, is stored lying on its left side, so that its
    rows, bottom row first, are the columns of the upright picture.
    """
    left, top, right, bottom = box
    stored = upright(size, orientation)
    if orientation in _SIDEWAYS:
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
