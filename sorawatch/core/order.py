"""What a pair asks for: sizes, fits, models and the order itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MICROS = 1_000_000
"""Micro-dollars in a dollar: money is counted in integers."""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Pixels, width first. ``str()`` is the API's own form, ``1280x720``."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``WIDTHxHEIGHT``.

        Raises:
            ValueError: if ``text`` is not two positive integers around an ``x``.
        """
        width, separator, height = text.partition("x")
        if not (separator and width.isascii() and width.isdecimal() and height.isascii() and height.isdecimal()):
            raise ValueError(text)
        size = cls(int(width), int(height))
        if size.pixels == 0:
            raise ValueError(text)
        return size


class Aim(StrEnum):
    """A size left open until the model, or the picture, settles it."""

    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"
    AUTO = "auto"


_AIMS = frozenset(Aim)


def parse_size(text: str) -> Size | Aim:
    """Read what ``str()`` of a size or an aim gave.

    Raises:
        ValueError: if ``text`` is nothing of the kind.
    """
    return Aim(text) if text in _AIMS else Size.parse(text)


class Fit(StrEnum):
    """How a picture of another shape is brought to the size."""

    CROP = "crop"
    PAD = "pad"
    BLUR = "blur"
    STRETCH = "stretch"


class Focus(StrEnum):
    """What the window of ``CROP`` is laid around, where no point is named."""

    CENTRE = "centre"
    EDGES = "edges"
    """The part of the picture where the most happens."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in an upright picture, in fractions of its width and height from the top left.

    ``str()`` is ``0.5,0.25``, which ``parse_focus`` reads.
    """

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x},{self.y}"


def parse_focus(text: str) -> Focus | Point:
    """Read what ``str()`` of a focus gave.

    Raises:
        ValueError: if ``text`` is nothing of the kind.
    """
    if text in {*Focus}:
        return Focus(text)
    x, y = map(float, text.split(","))
    return Point(x, y)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue. ``None`` for sizes or seconds means that any will do."""

    name: str
    sizes: tuple[Size, ...] | None
    seconds: tuple[int, ...] | None
    micros_per_second: int | None = None
    """Price in micro-dollars a second of clip; None where there is none, or it is not known."""
    micros_per_second_by_size: tuple[tuple[Size, int], ...] = ()
    """Prices that differ from ``micros_per_second`` by size."""
    micros_per_video: int | None = None
    """Price in micro-dollars a clip, whatever its length, on top of that of its seconds."""
    micros_per_video_by_size: tuple[tuple[Size, int], ...] = ()
    """Prices that differ from ``micros_per_video`` by size."""

    def price(self, size: Size, seconds: int) -> int | None:
        """The price of one clip in micro-dollars, or None where the catalogue names none.

        A price that is named for other sizes only is not known for this one.
        """
        total = None
        for flat, by_size, times in (
            (self.micros_per_second, self.micros_per_second_by_size, seconds),
            (self.micros_per_video, self.micros_per_video_by_size, 1),
        ):
            if flat is None and not by_size:
                continue
            if (rate := dict(by_size).get(size, flat)) is None:
                return None
            total = (total or 0) + rate * times
        return total

    @property
    def is_free(self) -> bool:
        """Whether every clip of it costs nothing."""
        by_size = (*self.micros_per_second_by_size, *self.micros_per_video_by_size)
        prices = {self.micros_per_second, self.micros_per_video, *(price for _, price in by_size)}
        return prices - {None} == {0}

    def resolve(self, aim: Size | Aim, picture: Size) -> Size:
        """The exact size for ``aim`` and an upright ``picture``: of the sizes that lie the right way, the smallest."""
        if isinstance(aim, Size):
            return aim
        lying = picture.width >= picture.height if aim is Aim.AUTO else aim is Aim.LANDSCAPE
        sizes = self.sizes or (Size(1280, 720), Size(720, 1280))
        fitting = [size for size in sizes if (size.width >= size.height) == lying]
        return min(fitting or sizes, key=lambda size: (size.pixels, size))


@dataclass(frozen=True, slots=True)
class Order:
    """What a pair asks for once defaults are filled in; a size still open is settled by the picture."""

    prompt: str
    model: str
    size: Size | Aim
    seconds: int
    fit: Fit = Fit.CROP
    priority: int = 0
    focus: Focus | Point = Focus.CENTRE
    take: int = 1
    """2, 3 … where a person asked for one more of what was ordered before."""
