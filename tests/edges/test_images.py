from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import os
import pickle
import random
import socket
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, features
from PIL.PngImagePlugin import PngInfo

from sorawatch.core.order import Aim, Fit, Model, Size
from sorawatch.edges.images import Reference, prepare
from sorawatch.errors import Deferred, Rejected

Array = np.ndarray[Any, np.dtype[Any]]

SORA = Model("sora-2", (Size(720, 1280), Size(1280, 720)), (4, 8, 12))
FREE = Model("free", None, None)
SMALL = Size(64, 36)
RED, GREEN, BLUE, GREY = (220, 30, 30), (20, 190, 60), (40, 60, 210), (128, 128, 128)


def save(folder: Path, image: Image.Image, name: str, **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def flat(colour: Any, mode: str = "RGB", size: tuple[int, int] = (64, 36)) -> Image.Image:
    return Image.new(mode, size, colour)


def made(path: Path, aim: Size | Aim = SMALL, fit: Fit = Fit.STRETCH, **options: Any) -> Array:
    """The pixels of the reference, rows first, as integers; their number is checked on the way."""
    reference = prepare(path, FREE, aim, fit, **options)
    image = Image.open(io.BytesIO(reference.data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (reference.size.width, reference.size.height))
    return np.asarray(image).astype(int)


def near(pixels: Array, expected: Any, tolerance: int = 3) -> bool:
    """Whether every pixel is ``expected``, give or take what a JPEG of quality 95 changes."""
    return bool(np.abs(pixels - np.asarray(expected)).max() <= tolerance)


# --- Which size, which window


@pytest.mark.parametrize(
    ("source", "aim", "size"),
    [
        ((1600, 900), Aim.AUTO, Size(1280, 720)),
        ((900, 1600), Aim.AUTO, Size(720, 1280)),
        ((1000, 1000), Aim.AUTO, Size(1280, 720)),
        ((900, 1600), Aim.LANDSCAPE, Size(1280, 720)),
        ((1600, 900), Aim.PORTRAIT, Size(720, 1280)),
        ((1600, 900), Size(1024, 1792), Size(1024, 1792)),
    ],
)
def test_the_size_is_the_ordered_one_or_follows_the_picture(
    tmp_path: Path, source: tuple[int, int], aim: Size | Aim, size: Size
) -> None:
    reference = prepare(save(tmp_path, flat(RED, size=source), "a.jpg"), SORA, aim, Fit.CROP)
    assert reference.size == size
    assert Image.open(io.BytesIO(reference.data)).size == (size.width, size.height)
    assert reference.source == Size(*source)
    assert reference.mime == "image/jpeg"


def test_auto_follows_the_picture_as_it_is_seen(tmp_path: Path) -> None:
    reference = prepare(turned(tmp_path, flat(RED, size=(900, 1600)), 6), SORA, Aim.AUTO, Fit.CROP)
    assert (reference.size, reference.source, reference.crop) == (Size(720, 1280), Size(900, 1600), None)


@pytest.mark.parametrize("fit", list(Fit))
@pytest.mark.parametrize("target", [Size(720, 1280), Size(1280, 720), Size(1024, 1024), Size(333, 777)])
def test_every_shape_comes_out_at_exactly_the_size(tmp_path: Path, fit: Fit, target: Size) -> None:
    for width, height in ((640, 480), (480, 641), (1, 1), (3000, 10), (7, 2000), (1280, 720), (2559, 1441)):
        path = save(tmp_path, flat(GREY, size=(width, height)), "a.png")
        assert near(made(path, target, fit, max_enlargement=10_000, background=GREY), GREY), (width, height)


def test_crop_keeps_the_centre_to_the_pixel(tmp_path: Path) -> None:
    chart = np.full((1000, 2000, 3), RED, np.uint8)
    chart[:, 719:1281] = GREY
    chart[:, 990:1010] = BLUE
    path = save(tmp_path, Image.fromarray(chart), "chart.png")
    reference = prepare(path, SORA, Aim.PORTRAIT, Fit.CROP)
    assert reference.crop == (718.75, 0, 1281.25, 1000)
    assert reference.note == "upscaled 1.3×"
    row = np.asarray(Image.open(io.BytesIO(reference.data))).astype(int)[640]
    # Source column c lies at (c - 718.75) * 1.28 of the result.
    assert near(row[4:340], GREY, 6)
    assert near(row[351:369], BLUE, 6)
    assert near(row[380:716], GREY, 6)


def test_a_draft_of_a_large_jpeg_shows_the_same_window(tmp_path: Path) -> None:
    y, x = np.mgrid[0:2161, 0:3843]
    ramp = np.stack([x / 3843 * 255, y / 2161 * 255, 0 * x + 90], axis=-1)
    path = save(tmp_path, Image.fromarray(np.round(ramp).astype(np.uint8)), "ramp.jpg", quality=95, subsampling=0)
    for target in (Size(160, 90), Size(90, 160), Size(500, 500)):
        reference = prepare(path, FREE, target, Fit.CROP)
        left, top, right, bottom = reference.crop or (0, 0, 3843, 2161)
        row, column = np.mgrid[0 : target.height, 0 : target.width]
        u = left + (column + 0.5) * (right - left) / target.width - 0.5
        v = top + (row + 0.5) * (bottom - top) / target.height - 0.5
        expected = np.stack([u / 3843 * 255, v / 2161 * 255, 0 * u + 90], axis=-1)
        difference = np.asarray(Image.open(io.BytesIO(reference.data))) - expected
        # A window beside the right one by a pixel of the result would show as a mean of 0.9 or more.
        assert np.abs(difference[3:-3, 3:-3].mean(axis=(0, 1))).max() < 0.5
        assert np.abs(difference[3:-3, 3:-3]).max() < 6


def test_pad_lays_bars_of_the_background(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(900, 900)), "square.jpg", quality=95)
    pixels = made(path, Size(1280, 720), Fit.PAD, background=(10, 100, 200))
    assert near(pixels[:, :276], (10, 100, 200))
    assert near(pixels[:, 284:996], RED)
    assert near(pixels[:, 1004:], (10, 100, 200))
    assert near(made(path, Size(720, 1280), Fit.PAD)[:276], (0, 0, 0))


def test_blur_fills_the_bars_with_the_picture_out_of_focus(tmp_path: Path) -> None:
    stripes = np.zeros((720, 720, 3), np.uint8)
    stripes[::2] = 200
    stripes[:360, :, 2] = 90
    path = save(tmp_path, Image.fromarray(stripes), "stripes.png")
    pixels = made(path, Size(1280, 720), Fit.BLUR)
    assert near(pixels[0, 300:980, :2], 200, 8)
    for bar in (pixels[:, :270], pixels[:, 1010:]):
        assert near(bar[..., :2], 100, 8)
        steps = np.abs(np.diff(bar, axis=0)).max()
        assert 0 < steps <= 3
        assert near(bar[:200, :, 2], 90, 8)
        assert near(bar[-200:, :, 2], 100, 8)


def test_stretch_uses_everything(tmp_path: Path) -> None:
    chart = np.full((600, 400, 3), GREEN, np.uint8)
    chart[:, :200] = BLUE
    reference = prepare(save(tmp_path, Image.fromarray(chart), "a.png"), FREE, Size(800, 300), Fit.STRETCH)
    assert reference.crop is None
    pixels = np.asarray(Image.open(io.BytesIO(reference.data))).astype(int)
    assert near(pixels[:, :392], BLUE)
    assert near(pixels[:, 408:], GREEN)


# --- Which way up

SIDES = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip
"""EXIF 2.32, 4.6.4: the visual sides on which row 0 and column 0 of the stored picture lie."""


def arrow() -> Image.Image:
    """Upright 320x180, every corner of another colour, the upper left one larger."""
    chart = np.full((180, 320, 3), GREY, np.uint8)
    chart[:100, :100] = RED
    chart[:60, -60:] = GREEN
    chart[-60:, :60] = BLUE
    return Image.fromarray(chart)


def is_upright(pixels: Array) -> bool:
    return (
        near(pixels[8:90, 8:90], RED, 6)
        and near(pixels[8:50, -50:-8], GREEN, 6)
        and near(pixels[-50:-8, 8:50], BLUE, 6)
        and near(pixels[-50:-8, -50:-8], GREY, 6)
    )


def turned(folder: Path, image: Image.Image, orientation: int, kind: str = "jpg", **options: Any) -> Path:
    """``image`` stored so that ``orientation`` turns it upright again; worked out from the table of sides alone."""
    first_row, first_column = SIDES[orientation]
    pixels = np.asarray(image)
    if first_row in {"left", "right"}:
        pixels = pixels.transpose(1, 0, 2)
    if first_row in {"bottom", "right"}:
        pixels = pixels[::-1]
    if first_column in {"bottom", "right"}:
        pixels = pixels[:, ::-1]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(np.ascontiguousarray(pixels))
    return save(folder, stored, f"turned-{orientation}.{kind}", exif=exif.tobytes(), **options)


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "avif"])
def test_every_exif_orientation_ends_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    path = turned(tmp_path, arrow(), orientation, kind, **({"quality": 95} if kind not in {"png", "tiff"} else {}))
    assert is_upright(made(path, Size(320, 180), Fit.CROP))


@pytest.mark.parametrize("orientation", SIDES)
def test_a_turned_jpeg_is_cropped_and_drafted_the_right_way(tmp_path: Path, orientation: int) -> None:
    large = np.full((1440, 3840, 3), (250, 250, 0), np.uint8)
    large[:, 640:3200] = np.asarray(arrow().resize((2560, 1440), Image.Resampling.NEAREST))
    path = turned(tmp_path, Image.fromarray(large), orientation, quality=95, subsampling=0)
    assert is_upright(made(path, Size(320, 180), Fit.CROP))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_senseless_orientation_is_ignored(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = value
    assert is_upright(made(save(tmp_path, arrow(), "a.jpg", quality=95, exif=exif), Size(320, 180)))


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    "block", [b"MM\0*\0\0\0\x08\xff\xff", b"nonsense", b"II*\0\xff\xff\xff\xff", b"II+\0\x08\0\0\0"]
)
def test_a_broken_exif_block_is_ignored(tmp_path: Path, kind: str, block: bytes) -> None:
    options = {"quality": 95} if kind != "png" else {}
    path = save(tmp_path, arrow(), f"a.{kind}", exif=b"Exif\0\0" + block, **options)
    assert is_upright(made(path, Size(320, 180)))


# --- Colours and modes


def to_linear(encoded: Array) -> Array:
    """IEC 61966-2-1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def from_linear(linear: Array) -> Array:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""Linear RGB to XYZ under D50: the colorants in the published profiles of Display P3 and sRGB."""
D50 = np.array([0.9642, 1.0, 0.8249])


def icc(space: bytes, connection: bytes, **tags: bytes) -> bytes:
    """A minimal ICC version 2 profile: header, table of tags, tags."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(tag))
        body += tag + b"\0" * (-len(tag) % 4)
    kind = b"mntr" if connection == b"XYZ " else b"prtr"
    header = struct.pack(">I4sI4s4s4s12x4s", start + len(body), b"test", 0x02400000, kind, space, connection, b"acsp")
    header += bytes(28) + b"".join(fixed(number) for number in D50)
    return header.ljust(128, b"\0") + table + body


def fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def xyz(numbers: Array) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(fixed(number) for number in numbers)


def curve(samples: Array) -> bytes:
    return struct.pack(f">4sII{len(samples)}H", b"curv", 0, len(samples), *np.round(samples * 65535).astype(int))


def p3_profile() -> bytes:
    tone = curve(to_linear(np.linspace(0, 1, 1024)))
    red, green, blue = (xyz(column) for column in P3.T)
    return icc(b"RGB ", b"XYZ ", wtpt=xyz(D50), rXYZ=red, gXYZ=green, bXYZ=blue, rTRC=tone, gTRC=tone, bTRC=tone)


def gamma_profile(gamma: float) -> bytes:
    return icc(b"GRAY", b"XYZ ", wtpt=xyz(D50), kTRC=curve(np.linspace(0, 1, 1024) ** gamma))


def cmyk_profile(inks: dict[tuple[int, int, int, int], tuple[float, float, float]]) -> bytes:
    """A press whose solid overprints have these Lab colours; those not named are black."""
    corners = b"".join(
        bytes([round(lightness * 2.55), a + 128, b + 128])
        for corner in itertools.product((0, 1), repeat=4)
        for lightness, a, b in [inks.get(corner, (0, 0, 0))]
    )
    straight = bytes(range(256))
    matrix = b"".join(fixed(number) for number in np.eye(3).flat)
    lut = struct.pack(">4sI4B", b"mft1", 0, 4, 3, 2, 0) + matrix + straight * 4 + corners + straight * 3
    return icc(b"CMYK", b"Lab ", wtpt=xyz(D50), A2B0=lut)


def lab_to_srgb(lightness: float, a: float, b: float) -> Array:
    """CIE 15 from Lab to XYZ under D50, then to sRGB, 0 to 255."""
    y = (lightness + 16) / 116
    f = np.array([y + a / 500, y, y - b / 200])
    xyz_ = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return 255 * from_linear(np.linalg.inv(SRGB) @ xyz_)


@pytest.mark.parametrize("patch", [(200, 100, 50), (90, 180, 110), (40, 90, 200), (255, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "avif"])
def test_display_p3_becomes_srgb(tmp_path: Path, patch: tuple[int, int, int], kind: str) -> None:
    options = {"quality": 100, "subsampling": "4:4:4"} if kind not in {"png", "tiff"} else {}
    path = save(tmp_path, flat(patch), f"p3.{kind}", icc_profile=p3_profile(), **options)
    expected = 255 * from_linear(np.linalg.inv(SRGB) @ P3 @ to_linear(np.array(patch) / 255))
    assert near(made(path), expected, 6 if kind == "avif" else 4)
    assert patch in {(255, 255, 255), (255, 0, 0)} or not near(made(path), patch, 4)


def test_p3_under_alpha_is_converted_before_it_is_laid_on_the_background(tmp_path: Path) -> None:
    path = save(tmp_path, flat((200, 100, 50, 128), "RGBA"), "p3.png", icc_profile=p3_profile())
    over = 255 * from_linear(np.linalg.inv(SRGB) @ P3 @ to_linear(np.array((200, 100, 50)) / 255))
    expected = over * 128 / 255 + np.array((0, 0, 240)) * 127 / 255
    assert near(made(path, background=(0, 0, 240)), expected, 4)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_honoured(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path, flat(100 if mode == "L" else (100, 255), mode), "grey.png", icc_profile=gamma_profile(1.0))
    assert near(made(path), 255 * from_linear(np.array(100 / 255)))


def test_a_profile_for_other_channels_or_a_broken_one_is_ignored(tmp_path: Path) -> None:
    for number, profile in enumerate((gamma_profile(1.0), b"nonsense", p3_profile()[:200], bytes(400))):
        assert near(made(save(tmp_path, flat(RED), f"{number}.png", icc_profile=profile)), RED)


@pytest.mark.parametrize("kind", ["jpg", "tiff"])
def test_cmyk_goes_through_its_profile(tmp_path: Path, kind: str) -> None:
    cyan, paper = (55.0, -30, -40), (96.0, 0, 0)
    profile = cmyk_profile({(0, 0, 0, 0): paper, (1, 0, 0, 0): cyan})
    options = {"quality": 100} if kind == "jpg" else {}
    path = save(tmp_path, flat((255, 0, 0, 0), "CMYK"), f"press.{kind}", icc_profile=profile, **options)
    assert near(made(path), lab_to_srgb(*cyan), 4)
    path = save(tmp_path, flat((255, 0, 0, 0), "CMYK"), f"press.{kind}", **options)
    assert near(made(path), (0, 255, 255), 4)


@pytest.mark.parametrize("lab", [(60.0, 20, 40), (50.0, -30, 10), (100.0, 0, 0), (30.0, 10, -30)])
def test_lab_scans_become_srgb(tmp_path: Path, lab: tuple[float, int, int]) -> None:
    image = Image.frombytes("LAB", (64, 36), bytes([round(lab[0] * 2.55), lab[1] % 256, lab[2] % 256]) * 64 * 36)
    assert near(made(save(tmp_path, image, "scan.tiff")), lab_to_srgb(*lab), 4)
    assert near(made(save(tmp_path, image, "scan.tiff", icc_profile=p3_profile())), lab_to_srgb(*lab), 4)


def steps(kind: Any, *values: float) -> Array:
    """Three bars, each a third of 66x36."""
    return np.tile(np.repeat(np.array(values, kind), 22), (36, 1))


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("deep.png", steps(np.uint16, 0, 0x8080, 0xFFFF)),
        ("little-endian.tiff", steps(np.uint16, 0, 0x8080, 0xFFFF)),
        ("big-endian.tiff", steps(">u2", 0, 0x8080, 0xFFFF)),
        ("integers.tiff", steps(np.int32, 0, 0x8080, 0xFFFF)),
        ("large-integers.tiff", steps(np.int32, 0, 1 << 29, 1 << 30)),
        ("floats.tiff", steps(np.float32, 0, 0.5, 1.0)),
        ("floats-of-bytes.tiff", steps(np.float32, 0, 128, 255)),
        ("floats-of-words.tiff", steps(np.float32, 0, 0x8080, 65535)),
    ],
)
def test_deep_grey_is_scaled_not_clipped(tmp_path: Path, name: str, pixels: Array) -> None:
    bars = made(save(tmp_path, Image.fromarray(pixels), name), Size(66, 36))
    assert near(bars[:, :16], 0)
    assert near(bars[:, 28:38], 128)
    assert near(bars[:, 50:], 255)


def test_alpha_is_laid_on_the_background(tmp_path: Path) -> None:
    ramp = np.zeros((64, 256, 4), np.uint8)
    ramp[..., :3] = (240, 120, 20)
    ramp[..., 3] = np.arange(256)
    path = save(tmp_path, Image.fromarray(ramp), "ramp.png")
    cover = np.arange(256)[None, :, None] / 255
    for background in ((0, 0, 0), (255, 255, 255), (30, 60, 200)):
        expected = np.array((240, 120, 20)) * cover + np.array(background) * (1 - cover)
        assert near(made(path, Size(256, 64), background=background)[:, 2:-2], expected[:, 2:-2])


def test_what_lies_hidden_under_transparency_does_not_bleed(tmp_path: Path) -> None:
    board = np.zeros((360, 640, 4), np.uint8)
    board[..., 1] = 255
    board[::2] = (255, 0, 0, 255)
    path = save(tmp_path, Image.fromarray(board), "board.png")
    pixels = made(path)
    assert near(pixels[4:-4, 4:-4], (128, 0, 0), 4)


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (flat((100, 128), "LA"), {}, (50, 50, 178)),
        (flat(1, "1"), {}, (255, 255, 255)),
        (flat(0, "1"), {"transparency": 0}, (0, 0, 255)),
        (flat(90, "L"), {"transparency": 90}, (0, 0, 255)),
        (flat(RED), {"transparency": RED}, (0, 0, 255)),
        (flat(RED).quantize(4), {}, RED),
        (flat((220, 30, 30, 0), "RGBA").quantize(4), {}, (0, 0, 255)),
        (flat(RED).quantize(4), {"transparency": 0}, (0, 0, 255)),
        (flat(RED).quantize(4), {"transparency": b"\x80"}, (110, 15, 142)),
    ],
    ids=["LA", "1", "1+", "L+", "RGB+", "P", "PA", "P+", "P+ partly"],
)
def test_every_mode_of_png(tmp_path: Path, image: Image.Image, options: dict[str, Any], expected: Any) -> None:
    assert near(made(save(tmp_path, image, "a.png", **options), background=(0, 0, 255)), expected)


def test_the_first_picture_of_several_is_used(tmp_path: Path) -> None:
    more = {"save_all": True, "append_images": [flat(BLUE), flat(GREEN)]}
    for name in ("a.gif", "a.png", "a.webp", "a.tiff", "a.avif"):
        assert near(made(save(tmp_path, flat(RED), name, **more)), RED, 6), name
    assert near(made(save(tmp_path, flat(RED), "a.mpo", format="MPO", quality=95, **more)), RED)


def test_a_jpeg_is_used_even_if_its_list_of_further_pictures_is_broken(tmp_path: Path) -> None:
    more = {"save_all": True, "append_images": [flat(BLUE)]}
    data = save(tmp_path, flat(RED), "a.mpo", format="MPO", quality=95, **more).read_bytes()
    start = data.index(b"MPF\0") + 8
    for broken in (bytes(40), b"\xff" * 40, data[start + 8 : start + 48]):
        (tmp_path / "a.jpg").write_bytes(data[:start] + broken + data[start + 40 :])
        assert near(made(tmp_path / "a.jpg"), RED)


def test_the_name_does_not_decide_the_format(tmp_path: Path) -> None:
    assert near(made(save(tmp_path, flat(RED), "a.jpg", format="PNG")), RED)
    assert near(made(save(tmp_path, flat(RED), "a.bmp")), RED)


@pytest.mark.parametrize("orientation", SIDES)
def test_heic_with_the_extra(tmp_path: Path, orientation: int) -> None:
    pytest.importorskip("pillow_heif")
    assert is_upright(made(turned(tmp_path, arrow(), orientation, "heic", quality=95), Size(320, 180)))


# --- What is uploaded


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


def test_the_digest_is_that_of_the_source_file(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED), "a.png")
    assert prepare(path, FREE, SMALL, Fit.CROP).digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("width", "note"), [(1280, ""), (1250, ""), (1000, "upscaled 1.3×"), (557, "upscaled 2.3×")])
def test_enlarging_is_noted(tmp_path: Path, width: int, note: str) -> None:
    path = save(tmp_path, flat(RED, size=(width, width * 9 // 16)), "a.png")
    assert prepare(path, SORA, Aim.AUTO, Fit.PAD).note == note



# --- What is refused, and in which words


def rejected(
    path: Path,
    kind: type[Rejected] | type[Deferred] = Rejected,
    aim: Size | Aim = SMALL,
    fit: Fit = Fit.CROP,
    **options: Any,
) -> Rejected | Deferred:
    with pytest.raises(kind) as caught:
        prepare(path, FREE, aim, fit, **options)
    return caught.value


def words(error: Rejected | Deferred) -> tuple[str, str]:
    assert isinstance(error, Rejected)
    return str(error), error.mend


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert words(rejected(tmp_path / "a.jpg")) == ("a.jpg is empty: it has 0 bytes", "Copy the picture again.")


def test_something_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%PDF-1.7\n...")
    assert words(rejected(tmp_path / "a.jpg")) == (
        "a.jpg is not a picture that can be read; it begins with '%PDF-1.7'",
        "If a viewer shows it, save it anew as JPEG or PNG.",
    )


def test_formats_that_run_programs_or_are_never_wanted_stay_closed(tmp_path: Path) -> None:
    for kind in ("EPS", "PCX", "TGA", "PPM", "ICO", "SGI"):
        path = save(tmp_path, flat(RED), "a.jpg", format=kind)
        assert "is not a picture that can be read" in str(rejected(path)), kind


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"heix"])
def test_heic_without_the_extra(tmp_path: Path, brand: bytes) -> None:
    with contextlib.suppress(ImportError):
        import pillow_heif  # noqa: F401

        pytest.skip("the extra is installed")
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
    assert words(rejected(tmp_path / "IMG_1.HEIC")) == (
        "IMG_1.HEIC is a HEIC picture, which needs an extra package",
        "Run: pip install 'sorawatch[heif]'. Or save the picture as a JPEG.",
    )


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "gif", "bmp", "avif"])
def test_a_picture_cut_off(tmp_path: Path, kind: str) -> None:
    data = save(tmp_path, Image.effect_noise((200, 200), 90).convert("RGB"), f"whole.{kind}").read_bytes()
    (tmp_path / f"a.{kind}").write_bytes(data[: len(data) * 2 // 3])
    reason, mend = words(rejected(tmp_path / f"a.{kind}"))
    assert reason.startswith((f"a.{kind} is damaged or cut off: ", f"a.{kind} is not a picture that can be read; "))
    assert mend


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A grey PNG of one bit a pixel."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(pixels, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height", "found"),
    [
        (13_000, 10_000, "13000x10000 pixels, which is 130 million"),
        (100_000, 100_000, "10000 million pixels"),
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(
    tmp_path: Path, width: int, height: int, found: str
) -> None:
    (tmp_path / "a.png").write_bytes(png(width, height))
    assert words(rejected(tmp_path / "a.png")) == (
        f"a.png has {found}; at most 128 million (100 million in a WebP) are decoded",
        "Save it smaller: a few thousand pixels a side are plenty.",
    )


def test_what_pillow_only_warns_of_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(30_000, 3_000, (b"\0" + b"\xff" * 3750) * 3_000))
    assert near(made(tmp_path / "a.png"), 255)


def test_a_webp_needs_more_memory_and_may_be_smaller(tmp_path: Path) -> None:
    lossless = b"\x2f" + struct.pack("<I", (11_000 - 1) | (10_000 - 1) << 14) + bytes(64)
    body = b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless + bytes(len(lossless) % 2)
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert str(rejected(tmp_path / "a.webp")).startswith("a.webp has 11000x10000 pixels, which is 110 million; at most")


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    with open(tmp_path / "a.tif", "wb") as file:
        file.truncate(513 << 20)
    assert words(rejected(tmp_path / "a.tif")) == (
        "a.tif has 513 MiB, which is more than 512 MiB",
        "Save it as a JPEG, or smaller.",
    )


def test_too_small_a_picture(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(150, 90)), "tiny.png")
    assert words(rejected(path, aim=Size(1280, 720))) == (
        "tiny.png has 150x90 pixels and would be enlarged 8.6× to 1280x720; at most 8× is allowed",
        "Use a larger picture, or fit: pad.",
    )
    assert rejected(path, aim=Size(1290, 774), fit=Fit.PAD).args[0].endswith("at most 8× is allowed")
    assert prepare(path, FREE, Size(1280, 720), Fit.PAD).note == "upscaled 8.0×"
    assert prepare(path, FREE, Size(1280, 720), Fit.CROP, max_enlargement=9).note == "upscaled 8.5×"
    assert words(rejected(save(tmp_path, flat(RED, size=(1, 1)), "dot.png"), aim=Size(1280, 720), fit=Fit.PAD)) == (
        "dot.png has 1x1 pixels and would be enlarged 720× to 1280x720; at most 8× is allowed",
        "Use a larger picture.",
    )


def test_a_panorama_is_padded_but_not_cropped(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(30_000, 10)), "panorama.png")
    assert prepare(path, SORA, Aim.AUTO, Fit.PAD).note == ""
    assert words(rejected(path, aim=Size(1280, 720)))[1] == "Use a larger picture, or fit: pad."


def link(path: Path) -> None:
    path.symlink_to(save(path.parent, flat(RED), "target.png"))


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (link, "a symbolic link"),
        (os.mkfifo, "a pipe or device"),
        (Path.mkdir, "a folder"),
        (listener, "a socket"),
    ],
    ids=["link", "pipe", "folder", "socket"],
)
def test_only_files_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("a.png"))
    assert words(rejected(Path("a.png"))) == (f"a.png is {kind}, not a file", "Put the picture itself there.")


def test_a_file_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    assert str(rejected(tmp_path / "a.png", Deferred)) == "a.png is gone: it was moved or deleted"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_tried_again(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED), "a.png")
    path.chmod(0)
    assert str(rejected(path, Deferred)) == "a.png cannot be read: Permission denied. Let sorawatch's user read it"


def touch(path: Path) -> None:
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def replace(path: Path) -> None:
    other = path.with_name("b.png")
    other.write_bytes(b"not the same")
    os.replace(other, path)


@pytest.mark.parametrize("disturb", [touch, replace])
def test_a_file_that_changes_while_it_is_read_is_tried_again(tmp_path: Path, disturb: Callable[[Path], None]) -> None:
    path = tmp_path / "a.png"
    content = png(640, 360, (b"\0" + bytes(80)) * 360) + bytes(8 << 20)
    done = threading.Event()

    def keep_disturbing() -> None:
        while not done.is_set():
            disturb(path)

    path.write_bytes(content)
    disturber = threading.Thread(target=keep_disturbing)
    disturber.start()
    try:
        # A disturbance between two readings proves nothing: on until one falls into a reading.
        told = ""
        while not told:
            try:
                prepare(path, FREE, SMALL, Fit.CROP)
            except Deferred as error:
                told = str(error)
            except Rejected:
                path.write_bytes(content)
    finally:
        done.set()
        disturber.join()
    assert told == "a.png changed while it was read"
