"""What a pair asks for: sizes, fits, models and the order itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MICROS = 1_000_000
"""Micro-dollars in a dollar: money is counted in integers."""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Pixels, width first. ``str()`` is the form of the API, ``1280x720``."""

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
    """A size that is not fixed yet: the model and the shape of the picture decide it."""

    LANDSCAPE = "landscape"
    PORTRAIT = "portrait"
    AUTO = "auto"


_AIMS = frozenset(Aim)


def parse_size(text: str) -> Size | Aim:
    """Read a size or an aim as ``str()`` writes it.

    Raises:
        ValueError: if ``text`` is neither.
    """
    return Aim(text) if text in _AIMS else Size.parse(text)


class Fit(StrEnum):
    """How a picture of another shape is fitted to the size of the clip."""

    CROP = "crop"
    PAD = "pad"
    BLUR = "blur"
    STRETCH = "stretch"


class Focus(StrEnum):
    """What the window of ``CROP`` is centred on, if the order names no point."""

    AUTO = "auto"
    """The middle sideways, and above the middle where height is cut: most heads are there."""
    CENTRE = "centre"
    EDGES = "edges"
    """The part of the picture with the most detail."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a picture as displayed, in fractions of its width and height from the top left.

    ``str()`` is ``0.5,0.25``, which ``parse_focus`` reads.
    """

    x: float
    y: float

    def __str__(self) -> str:
        return f"{self.x},{self.y}"


def parse_focus(text: str) -> Focus | Point:
    """Read a focus or a point as ``str()`` writes it.

    Raises:
        ValueError: if ``text`` is neither.
    """
    if text in {*Focus}:
        return Focus(text)
    x, y = map(float, text.split(","))
    return Point(x, y)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue. ``None`` for sizes or seconds means that any is allowed."""

    name: str
    sizes: tuple[Size, ...] | None
    seconds: tuple[int, ...] | None
    micros_per_second: int | None = None
    """Price in micro-dollars for each second of a clip; None if there is none, or it is not known."""
    micros_per_second_by_size: tuple[tuple[Size, int], ...] = ()
    """The sizes with another price than ``micros_per_second``, and that price."""
    micros_per_video: int | None = None
    """Price in micro-dollars for each clip of any length, in addition to the price of its seconds."""
    micros_per_video_by_size: tuple[tuple[Size, int], ...] = ()
    """The sizes with another price than ``micros_per_video``, and that price."""
    fps: int | None = None
    """Frames a second, for servers that are told a number of frames."""
    fields: str = ""
    """The server's own parameters for every order of the model, as JSON; empty for none."""

    def price(self, size: Size, seconds: int) -> int | None:
        """The price of one clip in micro-dollars, or None if the catalogue has none for this size."""
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

    def prices(self, aim: Size | Aim, seconds: int) -> tuple[int, int] | None:
        """The lowest and the highest price in micro-dollars of a clip of any picture; None if one is not known."""
        sizes = [self.resolve(aim, picture) for picture in (Size(16, 9), Size(9, 16))]
        prices = [price for size in sizes if (price := self.price(size, seconds)) is not None]
        return (min(prices), max(prices)) if len(prices) == len(sizes) else None

    @property
    def is_free(self) -> bool:
        """Whether every clip of this model costs nothing."""
        by_size = (*self.micros_per_second_by_size, *self.micros_per_video_by_size)
        prices = {self.micros_per_second, self.micros_per_video, *(price for _, price in by_size)}
        return prices - {None} == {0}

    def resolve(self, aim: Size | Aim, picture: Size) -> Size:
        """The size for ``aim`` and a picture that is displayed in the size ``picture``.

        It is the smallest landscape or portrait size of the model; a square picture counts as landscape.
        """
        if isinstance(aim, Size):
            return aim
        landscape = picture.width >= picture.height if aim is Aim.AUTO else aim is Aim.LANDSCAPE
        sizes = self.sizes or (Size(1280, 720), Size(720, 1280))
        matching = [size for size in sizes if (size.width >= size.height) == landscape]
        return min(matching or sizes, key=lambda size: (size.pixels, size))


@dataclass(frozen=True, slots=True)
class Order:
    """What a pair asks for, with the defaults filled in. An `Aim` becomes a size once the picture is read."""

    prompt: str
    model: str
    size: Size | Aim
    seconds: int
    fit: Fit = Fit.CROP
    priority: int = 0
    focus: Focus | Point = Focus.CENTRE
    take: int = 1
    """2, 3 … if a person asked for another clip of the same order."""
    fields: str = ""
    """The server's own parameters, as JSON with sorted keys; empty for none."""
