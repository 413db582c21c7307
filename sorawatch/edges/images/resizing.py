"""Resizing with the Lanczos filter: by vector instructions with the extra ``fast``, else by Pillow.

Both give the same pixels but for rounding, the former in a seventh of the time, which is less than decoding takes.
So with it a picture is decoded finer, which shows where edges are hard.
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

_VECTORED = frozenset({"L", "RGB", "CMYK"})
_LONGEST = 65_535
"""Pixels a side, as in a JPEG: beyond, computing the filter's weights takes longer than using them."""
_REDUCING_GAP = 1.5
"""How much finer than the result Pillow's cheap first reduction leaves a picture."""
_ROUNDING = 3
"""Levels by which the two ways may differ."""


def resize(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    """What ``box`` (left, top, right, bottom in pixels, within ``image``) shows, at ``size`` (width, height)."""
    if IS_FAST and image.mode in _VECTORED and max(image.size) <= _LONGEST:
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


def _is_sound() -> bool:
    """It reaches into Pillow's own structures, and one day a Pillow may have laid them out otherwise."""
    sample = Image.linear_gradient("L").convert("RGB")
    try:
        ways = [way(sample, (100, 50), (0.5, 1.5, 255.5, 254.5)) for way in (_by_pillow, _by_vectors)]
    except BaseException:  # noqa: BLE001 -- whatever it is, a panic of Rust's included, there is another way
        return False
    difference = ImageChops.difference(*ways)
    return difference.point(lambda value: value > _ROUNDING).getbbox() is None


IS_FAST = _IS_INSTALLED and _is_sound()

FINENESS = 1.5 if IS_FAST else 1.0
"""How many times as many pixels a side as the result a decoded picture should have at least, if its file has them."""
