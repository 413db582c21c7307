"""TIFFs that Pillow misreads are corrected, or refused by name. They are built by the TIFF 6.0 specification."""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sorawatch.errors import Damaged
from tests.edges.images.test_refusals import rejected, words
from tests.support.pictures import made, near

Array = np.ndarray[Any, np.dtype[Any]]

WIDTH, HEIGHT = 66, 36
BITS, COMPRESSION, PHOTOMETRIC, MAKE, STRIPS, SAMPLES, ROWS, COUNTS = 258, 259, 262, 271, 273, 277, 278, 279
PLANAR, COLOUR_MAP, SUB_IFDS, EXTRA, SIGN, SUBFILE, DNG_VERSION = 284, 320, 330, 338, 339, 254, 50706
DEFLATE = 8
_FORMATS = {2: "B", 3: "H", 4: "I"}


def tiff(strips: list[bytes], tags: dict[int, int | list[int] | bytes], order: str = "<") -> bytes:
    """A TIFF whose pixels are ``strips``; a value of bytes becomes text, any other is a short."""
    fixed: dict[int, int | list[int] | bytes] = {256: WIDTH, 257: HEIGHT, ROWS: HEIGHT}
    fields = {
        tag: (3, value if isinstance(value, list) else [value])
        for tag, value in (fixed | tags).items()
        if not isinstance(value, bytes)
    }
    fields[COUNTS] = 4, [len(strip) for strip in strips]
    fields[STRIPS] = 4, [0] * len(strips)
    texts = {tag: value for tag, value in tags.items() if isinstance(value, bytes)}
    body_start = 8 + 2 + 12 * (len(fields) + len(texts)) + 4
    body, starts = b"", []
    for strip in strips:
        starts.append(body_start + len(body))
        body += strip + b"\0" * (len(strip) % 2)
    fields[STRIPS] = 4, starts
    entries = []
    for tag in sorted({*fields, *texts}):
        if tag in texts:
            kind, count, packed = 2, len(texts[tag]), texts[tag]
        else:
            kind, values = fields[tag]
            count, packed = len(values), struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values)
        if len(packed) > 4:
            place = body_start + len(body)
            body += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(f"{order}I", place)
        entries.append(struct.pack(f"{order}HHI", tag, kind, count) + packed.ljust(4, b"\0"))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return head + b"".join(entries) + bytes(4) + body


def bars(*levels: Any, kind: str) -> bytes:
    """Three bars of equal width."""
    return np.tile(np.repeat(np.array(levels, kind), WIDTH // 3, axis=0), (HEIGHT, *[1] * np.ndim(levels[0]))).tobytes()


def grey(level: int, kind: str = "u1") -> bytes:
    return np.full((HEIGHT, WIDTH), level, kind).tobytes()


def picture(folder: Path, data: bytes) -> Path:
    (folder / "a.tif").write_bytes(data)
    return folder / "a.tif"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_compressed", [False, True], ids=["raw", "deflate"])
@pytest.mark.parametrize(("kind", "sign", "white"), [("f4", 3, 1.0), ("i4", 2, 65535)])
def test_deep_grey_of_both_byte_orders(
    tmp_path: Path, order: str, is_compressed: bool, kind: str, sign: int, white: float
) -> None:
    pixels = bars(0, white / 2, white, kind=order + kind)
    strip = zlib.compress(pixels) if is_compressed else pixels
    tags: dict[int, Any] = {BITS: 32, SIGN: sign, PHOTOMETRIC: 1, COMPRESSION: DEFLATE if is_compressed else 1}
    found = made(picture(tmp_path, tiff([strip], tags, order)))
    for left, level in ((4, 0), (26, 128), (50, 255)):
        assert near(found[:, left : left + 10], level, 4)


@pytest.mark.parametrize("factor", [1, 257], ids=["8-bit colour map", "16-bit colour map"])
def test_a_palette_of_either_depth(tmp_path: Path, factor: int) -> None:
    colours = [[0] * 256, [0] * 256, [0] * 256]
    for band, level in zip(colours, (220, 120, 30), strict=True):
        band[7] = level * factor
    tags: dict[int, Any] = {BITS: 8, PHOTOMETRIC: 3, COLOUR_MAP: [*itertools.chain(*colours)]}
    assert near(made(picture(tmp_path, tiff([grey(7)], tags))), (220, 120, 30))


RGB: dict[int, Any] = {PHOTOMETRIC: 2, SAMPLES: 3, PLANAR: 2}
DEEP = RGB | {BITS: [16, 16, 16]}
LEVELS = (0xC000, 0x8000, 0x1000)


def test_deep_planar_colours_are_refused_where_they_would_be_misread(tmp_path: Path) -> None:
    """Uncompressed, Pillow makes one colour of each of them."""
    planes = [grey(level, "<u2") for level in LEVELS]
    error = rejected(picture(tmp_path, tiff(planes, DEEP)))
    assert words(error) == (
        "a.tif is a TIFF of a kind that is not read: 16-bit RGB, channels one after the other",
        "Save it with 8 bits for each channel and LZW compression, or as PNG or JPEG.",
    )
    assert not isinstance(error, Damaged)
    packed = [zlib.compress(plane) for plane in planes]
    assert near(made(picture(tmp_path, tiff(packed, DEEP | {COMPRESSION: DEFLATE}))), (192, 128, 16))


def test_planar_colours_of_8_bits_are_read(tmp_path: Path) -> None:
    planes = [grey(level) for level in (192, 128, 16)]
    assert near(made(picture(tmp_path, tiff(planes, RGB | {BITS: [8, 8, 8]}))), (192, 128, 16))


GREY_ALPHA: dict[int, Any] = {SAMPLES: 2, BITS: [8, 8], PHOTOMETRIC: 1, PLANAR: 2, COMPRESSION: DEFLATE, EXTRA: 2}


@pytest.mark.parametrize(
    ("strips", "tags", "what"),
    [
        ([zlib.compress(grey(90))] * 2, GREY_ALPHA, "8-bit grey, 2 channels, channels one after the other"),
        ([zlib.compress(grey(90))] * 3, {SAMPLES: 3, BITS: [8] * 3, PHOTOMETRIC: 8, PLANAR: 2, COMPRESSION: DEFLATE}, "8-bit Lab, channels one after the other"),
        ([grey(90, "<i1")], {BITS: 8, SIGN: 2, PHOTOMETRIC: 1}, "8-bit signed grey"),
        ([grey(90, "<i2")], {BITS: 16, SIGN: 2, PHOTOMETRIC: 1}, "16-bit signed grey"),
        ([grey(90, "<f8")], {BITS: 64, SIGN: 3, PHOTOMETRIC: 1}, "64-bit floating-point grey"),
        ([grey(1, "<f4") * 3], {SAMPLES: 3, BITS: [32] * 3, SIGN: [3] * 3, PHOTOMETRIC: 2}, "32-bit floating-point RGB"),
        ([grey(1, "<u2") * 3], {SAMPLES: 3, BITS: [16] * 3, PHOTOMETRIC: 8}, "16-bit Lab"),
        ([grey(90)], {BITS: 8, PHOTOMETRIC: 1, COMPRESSION: 34712}, "8-bit grey, compression 34712"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_rare_kinds_are_refused_by_name(tmp_path: Path, strips: list[bytes], tags: dict[int, Any], what: str) -> None:
    error = rejected(picture(tmp_path, tiff(strips, tags)))
    assert str(error) == f"a.tif is a TIFF of a kind that is not read: {what}"
    assert not isinstance(error, Damaged)


PREVIEW: dict[int, Any] = {BITS: [8, 8, 8], PHOTOMETRIC: 2, SAMPLES: 3, SUBFILE: 1, SUB_IFDS: 8}


@pytest.mark.parametrize(
    ("tags", "what"),
    [
        ({MAKE: b"NIKON CORPORATION\0"}, "a raw photo of a Nikon camera (NEF)"),
        ({MAKE: b"SONY\0"}, "a raw photo of a Sony camera (ARW)"),
        ({MAKE: b"Somebody\0"}, "a raw photo"),
        ({DNG_VERSION: [1, 4]}, "a raw photo (DNG)"),
        ({PHOTOMETRIC: 32803}, "a raw photo"),
    ],
)
def test_a_raw_photo_is_refused_even_if_it_is_called_a_tiff(tmp_path: Path, tags: dict[int, Any], what: str) -> None:
    """Its first picture is a small preview, for which nobody wants to pay."""
    error = rejected(picture(tmp_path, tiff([grey(90) * 3], PREVIEW | tags)))
    assert words(error) == (
        f"a.tif is {what}, which is not read",
        "Export it as a JPEG from a raw converter, such as darktable, or from the program of the camera.",
    )


def test_a_finished_tiff_of_a_camera_is_read(tmp_path: Path) -> None:
    tags: dict[int, Any] = {BITS: [8, 8, 8], PHOTOMETRIC: 2, SAMPLES: 3, MAKE: b"NIKON CORPORATION\0"}
    pixels = np.full((HEIGHT, WIDTH, 3), (192, 128, 16), "u1").tobytes()
    assert near(made(picture(tmp_path, tiff([pixels], tags))), (192, 128, 16))
