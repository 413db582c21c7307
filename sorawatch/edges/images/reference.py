"""What is wanted of a picture, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass

from sorawatch.core.order import Aim, Fit, Focus, Model, Point, Size
from sorawatch.core.reference_format import DEFAULT, ReferenceOptions


@dataclass(frozen=True, slots=True)
class ReferenceRequest:
    """What a picture shall become: ``aim`` in the sizes of ``model``, by ``fit``."""

    model: Model
    aim: Size | Aim
    fit: Fit
    focus: Focus | Point = Focus.CENTRE
    finish: ReferenceOptions = DEFAULT
    thumbnail: Size | None = None
    """The pixels that a small copy of the reference may have; None for no copy."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy, as large as was allowed: three bytes a pixel (red, green, blue), row by row from the top."""

    size: Size
    pixels: bytes


@dataclass(frozen=True, slots=True)
class Reference:
    """A prepared picture and how it came about."""

    data: bytes
    """The very bytes to upload; the picture in them has exactly ``size``."""
    mime: str
    size: Size
    source: Size
    """Of the picture as it was found, upright."""
    digest: str
    """SHA-256 of the source file, in hexadecimal."""
    crop: tuple[float, float, float, float] | None
    """Left, top, right, bottom of the window used, in upright source pixels; None where the picture was used whole."""
    note: str
    """What a person may want to know, such as ``upscaled 2.3×``; often empty."""
    thumbnail: Thumbnail | None = None
