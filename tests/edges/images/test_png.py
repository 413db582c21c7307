"""Chunks of a PNG that Pillow refuses or misreads."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from sorawatch.core.order import Fit, Size
from sorawatch.errors import Damaged
from tests.edges.images.test_refusals import rejected, words
from tests.support.colour_profiles import p3_profile
from tests.support.malicious_images import png, png_chunk
from tests.support.pictures import FREE, RED, flat, made, near, prepare, save


def with_chunks(path: Path, *chunks: bytes, at_end: bool = False) -> None:
    """Put ``chunks`` after the header of the PNG at ``path``, or before its last chunk."""
    data = path.read_bytes()
    at = data.rindex(b"IEND") - 4 if at_end else data.index(b"IHDR") + 21
    path.write_bytes(data[:at] + b"".join(chunks) + data[at:])


LONG_TEXT = random.Random(1).randbytes(1_500_000).hex().encode()
"""3 MB, as in the history of an editor or the workflow of a generator."""


@pytest.mark.parametrize("at_end", [False, True])
@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"tEXt", b"workflow\0" + LONG_TEXT * 24),
        png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(LONG_TEXT, 1)),
        png_chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(LONG_TEXT, 1)),
        png_chunk(b"zTXt", b"history\0\7unknown method"),
        png_chunk(b"acTL", b"short"),
        png_chunk(b"pHYs", b"short"),
    ],
    ids=["tEXt", "zTXt", "iTXt", "unknown compression", "animation cut short", "size cut short"],
)
def test_metadata_of_any_length_does_not_matter(tmp_path: Path, chunk: bytes, at_end: bool) -> None:
    path = save(tmp_path, flat(RED), "a.png")
    with_chunks(path, chunk, at_end=at_end)
    assert near(made(path), RED)


def test_a_large_profile_is_honoured(tmp_path: Path) -> None:
    profile = p3_profile()
    large = struct.pack(">I", len(profile) + 3_000_000) + profile[4:] + LONG_TEXT[:3_000_000]
    path = save(tmp_path, flat((90, 197, 58)), "a.png")
    with_chunks(path, png_chunk(b"iCCP", b"x\0\0" + zlib.compress(large, 1)))
    assert near(made(path), (0, 200, 0), 4)


@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"pHYs", b"tIME", b"eXIf", b"tRNS", b"bKGD"])
def test_a_wrong_checksum_of_what_is_not_needed_does_not_matter(tmp_path: Path, kind: bytes) -> None:
    path = save(tmp_path, flat(RED), "a.png")
    chunk = png_chunk(kind, struct.pack(">3H", *RED))
    with_chunks(path, chunk[:-4] + b"????")
    assert near(made(path), RED)


def test_the_orientation_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = save(tmp_path, flat(RED, size=(64, 36)), "a.png", exif=exif.tobytes())
    with_chunks(path, png_chunk(b"tEXt", b"a\0b"))
    assert made(path, Size(36, 64)).shape == (64, 36, 3)
    assert prepare(path, FREE, Size(36, 64), Fit.CROP).source == Size(36, 64)


def stripes(depth: int, low: int, high: int) -> bytes:
    """Rows of 64 samples: 32 of ``low``, then 32 of ``high``."""
    bits = "".join(format(value, f"0{depth}b") for value in [low] * 32 + [high] * 32)
    return b"\0" + int(bits, 2).to_bytes(8 * depth, "big")


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_of_any_depth_has_its_transparent_level(tmp_path: Path, depth: int) -> None:
    white = (1 << depth) - 1
    for level, (left, right) in ((0, ((0, 0, 255), (255, 255, 255))), (white, ((0, 0, 0), (0, 0, 255)))):
        chunk = png_chunk(b"tRNS", struct.pack(">H", level))
        path = tmp_path / "a.png"
        path.write_bytes(png(64, 36, stripes(depth, 0, white) * 36, depth, 0, chunk))
        pixels = made(path, background=(0, 0, 255))
        assert near(pixels[:, :26], left, 6)
        assert near(pixels[:, 38:], right, 6)


@pytest.mark.parametrize("depth", [2, 4, 16])
def test_a_level_between_is_transparent_and_its_neighbours_are_not(tmp_path: Path, depth: int) -> None:
    chunk = png_chunk(b"tRNS", struct.pack(">H", 1))
    path = tmp_path / "a.png"
    path.write_bytes(png(64, 36, stripes(depth, 1, 2) * 36, depth, 0, chunk))
    pixels = made(path, background=(0, 0, 255))
    assert near(pixels[:, :26], (0, 0, 255), 6)
    assert near(pixels[:, 38:], round(2 * 255 / ((1 << depth) - 1)), 6)


def test_a_deep_colour_can_be_transparent(tmp_path: Path) -> None:
    samples = struct.pack(">3H", 0xC0FF, 0x8001, 0x1234)
    path = tmp_path / "a.png"
    path.write_bytes(png(64, 36, (b"\0" + samples * 64) * 36, 16, 2, png_chunk(b"tRNS", samples)))
    assert near(made(path, background=(0, 0, 255)), (0, 0, 255))


def test_what_is_cut_off_is_still_damaged(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 90).save(buffer, "PNG")
    data = png_chunk(b"tEXt", b"a\0b")
    whole = buffer.getvalue()
    at = whole.index(b"IHDR") + 21
    (tmp_path / "a.png").write_bytes((whole[:at] + data + whole[at:])[: len(whole) // 2])
    with pytest.raises(Damaged):
        made(tmp_path / "a.png")


def test_a_png_of_an_ios_program_is_refused_by_name(tmp_path: Path) -> None:
    whole = png(64, 36, bytes(9 * 36))
    (tmp_path / "a.png").write_bytes(whole[:8] + png_chunk(b"CgBI", b"\x50\0\x20\x06") + whole[8:])
    assert words(rejected(tmp_path / "a.png")) == (
        "a.png is a PNG as programs of iOS hold it (CgBI), which is not read",
        "Save it as PNG or JPEG.",
    )


def test_a_palette_keeps_its_transparency(tmp_path: Path) -> None:
    options: dict[str, Any] = {"transparency": b"\x80"}
    path = save(tmp_path, flat(RED).quantize(4), "a.png", **options)
    with_chunks(path, png_chunk(b"tEXt", b"a\0b"))
    assert near(made(path, background=(0, 0, 255)), (110, 15, 142))
