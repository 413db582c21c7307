"""BMP, JPEG 2000 and icons: what is read, and what is refused by name since Pillow would misread it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sorawatch.errors import Damaged
from tests.edges.images.test_refusals import rejected, words
from tests.support.colour_profiles import p3_profile
from tests.support.malicious_images import box, segment
from tests.support.pictures import RED, flat, made, near, save

HINT = "Save it as PNG or JPEG."
BITFIELDS = 3


def bmp(bits: int, pixel: int, compression: int, *masks: int, header: int = 40, profile: bytes = b"") -> bytes:
    """A BMP whose pixels are all ``pixel``."""
    data = pixel.to_bytes(bits // 8, "little") * 64 * 36
    info = struct.pack("<IiiHHIIiiII", header, 64, 36, 1, bits, compression, len(data), 0, 0, 0, 0)
    packed = struct.pack(f"<{len(masks)}I", *masks)
    if header > 40:
        info, packed = (info + packed).ljust(header, b"\0"), b""
    if profile:
        place = struct.pack("<II", header + len(data), len(profile))
        info = info[:56] + b"DEBM" + info[60:112] + place + info[120:]
    start = 14 + len(info) + len(packed)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + packed + data + profile


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bmp(16, 0xF800, BITFIELDS, 0xF800, 0x07E0, 0x001F), (255, 0, 0)),
        (bmp(16, 0x7C00, 0), (255, 0, 0)),
        (bmp(32, 0x00C08010, 0), (192, 128, 16)),
        (bmp(32, 0x80C08010, 0), (192, 128, 16)),
        (bmp(32, 0x80C08010, BITFIELDS, 0xFF0000, 0xFF00, 0xFF, 0xFF000000, header=108), (96, 64, 135)),
        (bmp(32, 0x801080C0, BITFIELDS, 0xFF, 0xFF00, 0xFF0000, 0xFF000000, header=124), (96, 64, 135)),
    ],
    ids=["565", "555", "32 bits", "32 bits, the last unused", "with transparency", "another order"],
)
def test_a_bmp(tmp_path: Path, data: bytes, expected: Any) -> None:
    (tmp_path / "a.bmp").write_bytes(data)
    assert near(made(tmp_path / "a.bmp", background=(0, 0, 255)), expected, 4)


def test_the_profile_of_a_bmp_is_honoured(tmp_path: Path) -> None:
    stored = 90 << 16 | 197 << 8 | 58
    masks = (0xFF0000, 0xFF00, 0xFF)
    (tmp_path / "a.bmp").write_bytes(bmp(32, stored, BITFIELDS, *masks, header=124, profile=p3_profile()))
    assert near(made(tmp_path / "a.bmp"), (0, 200, 0), 4)
    (tmp_path / "a.bmp").write_bytes(bmp(32, stored, BITFIELDS, *masks, header=124, profile=b"nonsense"))
    assert near(made(tmp_path / "a.bmp"), (90, 197, 58), 4)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bmp(16, 0xF00F, BITFIELDS, 0xF00, 0xF0, 0xF, 0xF000, header=108), "is a 16-bit BMP with transparency, which is not read"),
        (bmp(32, 0, BITFIELDS, 0x3FF00000, 0xFFC00, 0x3FF), "is of a rare kind that is not read: Unsupported BMP bitfields layout"),
        (bmp(16, 0, BITFIELDS, 0x1F, 0x7E0, 0xF800), "is of a rare kind that is not read: Unsupported BMP bitfields layout"),
        (bmp(24, 0, 4), "is of a rare kind that is not read: Unsupported BMP compression (4)"),
    ],
    ids=["16 bits with transparency", "10 bits a channel", "blue first", "a JPEG within"],
)  # fmt: skip
def test_a_rare_bmp_is_refused_by_name(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.bmp").write_bytes(data)
    error = rejected(tmp_path / "a.bmp")
    assert words(error) == (f"a.bmp {reason}", HINT)
    assert not isinstance(error, Damaged)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flat(RED), RED),
        (flat((*RED, 128), "RGBA"), (110, 15, 142)),
        (flat(90, "L"), (90, 90, 90)),
        (flat((100, 128), "LA"), (50, 50, 178)),
        (Image.fromarray(np.full((36, 64), 0xFFFF, np.uint16)), (255, 255, 255)),
    ],
    ids=["RGB", "RGBA", "L", "LA", "grey of 16 bits"],
)
def test_a_jpeg_2000(tmp_path: Path, image: Image.Image, expected: Any) -> None:
    for name in ("a.jp2", "a.j2k"):
        assert near(made(save(tmp_path, image, name), background=(0, 0, 255)), expected, 4)


def test_the_profile_of_a_jpeg_2000_is_honoured(tmp_path: Path) -> None:
    path = save(tmp_path, flat((90, 197, 58)), "a.jp2")
    data = path.read_bytes()
    at = data.index(b"colr") - 4
    old = struct.unpack_from(">I", data, at)[0]
    new = box(b"colr", b"\2\0\0", p3_profile())
    jp2h = data.index(b"jp2h") - 4
    length = struct.unpack_from(">I", data, jp2h)[0] + len(new) - old
    path.write_bytes(data[:jp2h] + struct.pack(">I", length) + data[jp2h + 4 : at] + new + data[at + old :])
    assert near(made(path), (0, 200, 0), 4)


@pytest.mark.parametrize("name", ["a.jp2", "a.j2k"])
def test_a_jpeg_2000_of_deep_colours_is_refused(tmp_path: Path, name: str) -> None:
    """Pillow makes its white black."""
    path = save(tmp_path, flat(RED), name)
    data = path.read_bytes()
    at = data.index(b"\xff\x4f\xff\x51") + 42
    path.write_bytes(data[:at] + b"\x0f" + data[at + 1 :])
    assert words(rejected(path)) == (f"{name} is a JPEG 2000 with 16 bits a channel, which is not read", HINT)


def test_an_icon_is_read_in_its_largest_size(tmp_path: Path) -> None:
    icon = Image.new("RGBA", (128, 128), (*RED, 255))
    path = save(tmp_path, icon, "a.ico", sizes=[(16, 16), (128, 128)])
    assert near(made(path), RED)


def test_an_avif_whose_transparency_has_no_size_is_read(tmp_path: Path) -> None:
    """As older versions of cavif wrote it. Its property ``ispe`` is taken away here by naming ``pixi`` twice."""
    path = save(tmp_path, flat((*RED, 128), "RGBA"), "a.avif", quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    kinds = []
    at = data.index(b"ipco") + 4
    end = at - 8 + struct.unpack_from(">I", data, at - 8)[0]
    while at < end:
        kinds.append(bytes(data[at + 4 : at + 8]))
        at += struct.unpack_from(">I", data, at)[0]
    table = data.index(b"ipma") + 4
    assert data[table : table + 8] == b"\0\0\0\0\0\0\0\2"
    alpha = table + 8 + 3 + data[table + 10]
    places = range(alpha + 3, alpha + 3 + data[alpha + 2])
    by_kind = {kinds[(data[place] & 0x7F) - 1]: place for place in places}
    assert {b"ispe", b"pixi", b"auxC"} <= {*by_kind}
    data[by_kind[b"ispe"]] = data[by_kind[b"pixi"]]
    path.write_bytes(data)
    assert near(made(path, background=(0, 0, 255)), (110, 15, 142), 6)


def test_a_jpeg_with_empty_segments_is_read(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED), "a.jpg", quality=95)
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"".join(segment(marker, b"") for marker in range(0xE0, 0xF0)) + data[2:])
    assert near(made(path), RED)
