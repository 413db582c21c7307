"""Resizing with the Lanczos filter: with vector instructions if the extra ``fast`` is installed, else with Pillow.

Both give the same pixels except for rounding. The first needs a seventh of the time, less than decoding. So it can
afford to decode at a higher resolution, which improves hard edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageChops

if TYPE_CHECKING:
    from sorawatch.core.framing import Box

try:
    from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
    from cykooz_resizer.structs import CropBox
except ImportError:
    _IS_INSTALLED = False
else:
    _IS_INSTALLED = True

_FAST_MODES = frozenset({"L", "RGB", "CMYK"})
_MAX_SIDE = 65_535
"""Pixels, as in a JPEG. For longer sides, computing the weights of the filter takes longer than applying them."""
_REDUCING_GAP = 1.5
"""After Pillow's cheap first reduction, a side has at least so many times the pixels of the result."""
_MAX_DIFFERENCE = 3
"""Levels by which the two implementations may differ."""


def resize(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """The part ``box`` (left, top, right, bottom in pixels) of ``image``, resized to ``size`` (width, height)."""
    if IS_FAST and image.mode in _FAST_MODES and max(image.size) <= _MAX_SIDE:
        return _by_vectors(image, size, box)
    return _by_pillow(image, size, box)


def _by_pillow(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=_REDUCING_GAP)


def _by_vectors(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    left, top, right, bottom = box
    resized = Image.new(image.mode, size)
    options = ResizeOptions(
        ResizeAlg.convolution(FilterType.lanczos3), crop_box=CropBox(left, top, right - left, bottom - top)
    )
    Resizer().resize_pil(image, resized, options)
    return resized


def _agrees_with_pillow() -> bool:
    """Whether the fast resizer works. It uses internal structures of Pillow, which another version may change."""
    sample = Image.linear_gradient("L").convert("RGB")
    try:
        ways = [way(sample, (100, 50), (0.5, 1.5, 255.5, 254.5)) for way in (_by_pillow, _by_vectors)]
    except BaseException:  # noqa: BLE001 -- whatever it is, a panic of Rust's included, there is another way
        return False
    difference = ImageChops.difference(*ways)
    return difference.point(lambda value: value > _MAX_DIFFERENCE).getbbox() is None


IS_FAST = _IS_INSTALLED and _agrees_with_pillow()

OVERSAMPLING = 1.5 if IS_FAST else 1.0
"""A decoded picture should have at least so many times the pixels of the result on each side, if its file has them."""
