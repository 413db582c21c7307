"""Decodes the pictures that requests carry, as files or as text."""

from __future__ import annotations

import base64
import binascii
import io
import re

from PIL import Image

_DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)


class BadPictureError(Exception):
    """The bytes are no picture of an accepted format, or it is damaged."""


def size(data: bytes, formats: tuple[str, ...] | None = None) -> str:
    """The size of a picture as ``WIDTHxHEIGHT``, once all of it was decoded. ``formats`` are Pillow's names.

    Raises:
        BadPictureError: if it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(data), formats=formats) as picture:
            picture.convert("RGBA")
            return f"{picture.width}x{picture.height}"
    # A damaged file makes the decoders raise almost anything.
    except Exception as error:
        raise BadPictureError(str(error)) from error


def from_data_uri(text: str) -> bytes:
    """The bytes of a ``data:`` URI with Base64. Raises BadPictureError for any other text."""
    if (prefix := _DATA_URI.match(text)) is None:
        raise BadPictureError("no data URI with Base64")
    return from_base64(text[prefix.end() :])


def from_base64(text: str) -> bytes:
    """The bytes of Base64 without a prefix. Raises BadPictureError for any other text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPictureError(str(error)) from error


def fitted(size_of_picture: str, area: int, multiple: int = 16) -> str:
    """The size of a clip with the shape of a picture and about ``area`` pixels, in multiples of ``multiple``."""
    width, height = map(int, size_of_picture.split("x"))
    scale = (area / (width * height)) ** 0.5
    across, down = (max(multiple, round(side * scale / multiple) * multiple) for side in (width, height))
    return f"{across}x{down}"
