"""The request for a reference, and the reference itself."""

from __future__ import annotations

from dataclasses import dataclass

from sorawatch.core.order import Aim, Fit, Focus, Model, Point, Size
from sorawatch.core.reference_format import DEFAULT, ReferenceOptions


@dataclass(frozen=True, slots=True)
class ReferenceRequest:
    """How to make a reference: a size for ``aim`` among those of ``model``, filled as ``fit`` says."""

    model: Model
    aim: Size | Aim
    fit: Fit
    focus: Focus | Point = Focus.CENTRE
    options: ReferenceOptions = DEFAULT
    thumbnail: Size | None = None
    """The maximum size of a small copy of the reference; None for no copy."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy: three bytes for each pixel (red, green, blue), row by row from the top."""

    size: Size
    pixels: bytes


@dataclass(frozen=True, slots=True)
class Reference:
    """A prepared picture, and how it was made."""

    data: bytes
    """The exact bytes to upload, a picture of ``size``."""
    mime: str
    size: Size
    source: Size
    """The size of the source picture as displayed."""
    digest: str
    """SHA-256 of the source file, in hexadecimal."""
    crop: tuple[float, float, float, float] | None
    """Left, top, right, bottom of the window in pixels of the source as displayed; None if all of it was used."""
    note: str
    """A remark for people, such as ``upscaled 2.3×``; often empty."""
    thumbnail: Thumbnail | None = None
