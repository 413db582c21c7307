"""The formats of references, and what is used where nothing is configured."""

from __future__ import annotations

import pytest

from sorawatch.core.reference_format import DEFAULT, Format, ReferenceOptions


@pytest.mark.parametrize(
    ("data", "form", "mime", "suffix"),
    [
        (b"\xff\xd8\xff\xe0JFIF", Format.JPEG, "image/jpeg", ".jpg"),
        (b"\x89PNG\r\n\x1a\n", Format.PNG, "image/png", ".png"),
        (b"RIFF\x00\x00\x00\x00WEBP", Format.WEBP, "image/webp", ".webp"),
        (b"", Format.JPEG, "image/jpeg", ".jpg"),
    ],
)
def test_a_format_is_known_by_its_first_bytes(data: bytes, form: Format, mime: str, suffix: str) -> None:
    found = Format.of(data)
    assert (found, found.mime, found.suffix) == (form, mime, suffix)


def test_nothing_configured_means_a_fine_jpeg_on_black() -> None:
    assert ReferenceOptions(Format.JPEG, quality=95, background=(0, 0, 0), max_enlargement=8) == DEFAULT
