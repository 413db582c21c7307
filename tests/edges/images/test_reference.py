from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from sorawatch.core.order import Aim, Fit, Size
from sorawatch.core.reference_format import Format
from sorawatch.edges.images import Reference, ReferenceRequest
from tests.support.colour_profiles import p3_profile
from tests.support.pictures import BLUE, FREE, GREEN, RED, SMALL, SORA, Array, flat, near, pool, prepare, save


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of every segment of a JPEG up to its scan (ITU T.81, annex B)."""
    at = 2
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        yield data[at + 1], data[at + 4 : at + 2 + length]
        at += 2 + length


def test_the_upload_has_quality_95_full_colour_and_no_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Secret camera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    noise = Image.effect_noise((64, 36), 60).convert("RGB")
    paths = [
        save(tmp_path, noise, "a.jpg", exif=exif, icc_profile=p3_profile(), comment=b"Secret comment", dpi=(300, 300)),
        save(tmp_path, noise, "a.png", exif=exif, icc_profile=p3_profile(), pnginfo=text("Secret text")),
        save(tmp_path, noise, "a.webp", exif=exif, xmp=b"<x:xmpmeta>Secret</x:xmpmeta>"),
    ]
    for path in paths:
        assert b"Secret" in path.read_bytes()
        data = prepare(path, FREE, SMALL, Fit.CROP).data
        found = list(segments(data))
        assert {marker for marker, _ in found} == {0xE0, 0xDB, 0xC0, 0xC4}
        assert dict(found)[0xE0] == b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
        # Components 1 to 3, each sampled 1x1: 4:4:4.
        assert dict(found)[0xC0][6::3] == bytes([1, 2, 3])
        assert dict(found)[0xC0][7::3] == b"\x11\x11\x11"
        # The last luminance step of annex K, 99, at quality 95: (99 * 10 + 50) // 100.
        assert next(content for marker, content in found if marker == 0xDB)[64] == 10
        assert b"Secret" not in data


def text(secret: str) -> PngInfo:
    info = PngInfo()
    info.add_text("Comment", secret)
    return info


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("fit", Fit)
def test_nothing_of_the_file_but_its_pixels_gets_into_any_reference(tmp_path: Path, fit: Fit, form: Format) -> None:
    noise = Image.effect_noise((64, 64), 60).convert("RGB")
    comment = save(tmp_path, noise, "a.jpg", icc_profile=p3_profile(), comment=b"Secret comment")
    animation = save(tmp_path, noise, "a.gif", comment=b"Secret comment")
    plain = save(tmp_path, noise, "plain.png")
    for path in (comment, animation):
        assert b"Secret" in path.read_bytes()
        image = Image.open(io.BytesIO(prepare(path, FREE, SMALL, fit, format=form).data))
        of_none = Image.open(io.BytesIO(prepare(plain, FREE, SMALL, fit, format=form).data))
        assert image.info == of_none.info


def test_the_digest_is_that_of_the_source_file(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED), "a.png")
    assert prepare(path, FREE, SMALL, Fit.CROP).digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("width", "note"), [(1280, ""), (1250, ""), (1000, "upscaled 1.3×"), (557, "upscaled 2.3×")])
def test_enlarging_is_noted(tmp_path: Path, width: int, note: str) -> None:
    path = save(tmp_path, flat(RED, size=(width, width * 9 // 16)), "a.png")
    assert prepare(path, SORA, Aim.AUTO, Fit.PAD).note == note


# --- Formats


def decoded(reference: Reference) -> Array:
    return np.asarray(Image.open(io.BytesIO(reference.data)).convert("RGB")).astype(int)


def chunks(data: bytes, start: int, size_first: bool) -> list[bytes]:
    """The names of the chunks of a PNG (size first) or a WebP."""
    names, at = [], start
    while at < len(data):
        if size_first:
            names.append(data[at + 4 : at + 8])
            at += 12 + int.from_bytes(data[at : at + 4])
        else:
            names.append(data[at : at + 4])
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            at += 8 + size + size % 2
    return names


def rough(folder: Path, name: str, **options: Any) -> tuple[Path, Array]:
    """Random pixels of the very size that is ordered, full of metadata, and what they are."""
    pixels = np.random.default_rng(3).integers(0, 256, (36, 64, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Secret camera"
    path = save(folder, Image.fromarray(pixels), name, exif=exif, **options)
    return path, pixels.astype(int)


def test_a_png_keeps_every_pixel_and_no_metadata(tmp_path: Path) -> None:
    path, pixels = rough(tmp_path, "a.png", pnginfo=text("Secret"), dpi=(300, 300))
    reference = prepare(path, FREE, SMALL, Fit.CROP, format=Format.PNG)
    assert reference.mime == "image/png"
    assert np.array_equal(decoded(reference), pixels)
    assert set(chunks(reference.data, 8, size_first=True)) == {b"IHDR", b"IDAT", b"IEND"}
    assert b"Secret" not in reference.data


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tiff", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.tiff", {"compression": "tiff_adobe_deflate"}),
        ("a.tiff", {"compression": "packbits"}),
    ],
)
def test_a_lossless_picture_is_a_lossless_webp(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path, pixels = rough(tmp_path, name, **options)
    reference = prepare(path, FREE, SMALL, Fit.CROP, format=Format.WEBP)
    assert reference.mime == "image/webp"
    assert np.array_equal(decoded(reference), pixels)
    assert chunks(reference.data, 12, size_first=False) == [b"VP8L"]


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jpg", {"quality": 95}), ("a.tiff", {"compression": "jpeg"}), ("a.webp", {}), ("a.heic", {})],
)
def test_a_lossy_picture_is_a_lossy_webp(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    path, _ = rough(tmp_path, name, **options)
    fine = prepare(path, FREE, SMALL, Fit.CROP, format=Format.WEBP)
    assert chunks(fine.data, 12, size_first=False) == [b"VP8 "]
    assert b"Secret" not in fine.data
    coarse = prepare(path, FREE, SMALL, Fit.CROP, format=Format.WEBP, quality=20)
    assert len(coarse.data) < len(fine.data) / 2


def test_a_webp_of_a_plain_colour_has_that_colour(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED), "a.jpg", quality=95)
    assert near(decoded(prepare(path, FREE, SMALL, Fit.CROP, format=Format.WEBP)), RED, 4)


def test_the_quality_of_a_jpeg_is_what_is_set(tmp_path: Path) -> None:
    path, _ = rough(tmp_path, "a.png")
    for quality, last in ((95, 10), (90, 20), (50, 99), (100, 1)):
        data = prepare(path, FREE, SMALL, Fit.CROP, quality=quality).data
        # The last luminance step of ITU T.81, annex K, 99, scaled as libjpeg does: by 200 - 2q, or 5000 / q below 50.
        assert next(content for marker, content in segments(data) if marker == 0xDB)[64] == last


@pytest.mark.parametrize("form", Format)
def test_a_reference_tells_its_own_format(tmp_path: Path, form: Format) -> None:
    path = save(tmp_path, flat(RED), "a.jpg")
    reference = prepare(path, FREE, SMALL, Fit.CROP, format=form)
    assert Format.of(reference.data) is form
    assert reference.mime == form.mime


def test_a_thumbnail_shows_the_reference(tmp_path: Path) -> None:
    chart = np.full((900, 1600, 3), GREEN, np.uint8)
    chart[:, :800] = BLUE
    path = save(tmp_path, Image.fromarray(chart), "a.png")
    wish = ReferenceRequest(SORA, Aim.AUTO, Fit.CROP, thumbnail=Size(40, 40))
    thumbnail = pool.prepare(path, wish).thumbnail
    assert thumbnail is not None
    assert thumbnail.size == Size(40, 23)
    pixels = np.frombuffer(thumbnail.pixels, np.uint8).reshape(23, 40, 3).astype(int)
    assert near(pixels[:, :19], BLUE)
    assert near(pixels[:, 21:], GREEN)
    assert prepare(path, SORA, Aim.AUTO, Fit.CROP).thumbnail is None
