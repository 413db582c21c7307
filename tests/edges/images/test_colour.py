from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sorawatch.core.order import Size
from tests.support.colour_profiles import (
    P3,
    SRGB,
    cmyk_profile,
    from_linear,
    gamma_profile,
    lab_to_srgb,
    p3_profile,
    to_linear,
)
from tests.support.malicious_images import png, tiff
from tests.support.pictures import (
    BLUE,
    GREEN,
    RED,
    Array,
    flat,
    made,
    near,
    save,
)


@pytest.mark.parametrize("patch", [(200, 100, 50), (90, 180, 110), (40, 90, 200), (255, 0, 0), (255, 255, 255)])
@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "tiff", "avif", "heic"])
def test_display_p3_becomes_srgb(tmp_path: Path, patch: tuple[int, int, int], kind: str) -> None:
    options = {"quality": 100, "subsampling": "4:4:4"} if kind not in {"png", "tiff"} else {}
    path = save(tmp_path, flat(patch), f"p3.{kind}", icc_profile=p3_profile(), **options)
    expected = 255 * from_linear(np.linalg.inv(SRGB) @ P3 @ to_linear(np.array(patch) / 255))
    assert near(made(path), expected, 6 if kind in {"avif", "heic"} else 4)
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


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        (steps(np.uint16, 0xFFFF, 0x7F7F, 0), {258: 16, 262: 0}),
        (steps(np.float32, 1.0, 0.5, 0), {258: 32, 262: 0, 339: 3}),
        (steps(np.uint32, 0, 0x80808080, 0xFFFFFFFF), {258: 32, 262: 1}),
        (steps(np.uint32, 0, 0x8080, 0xFFFF), {258: 32, 262: 1}),
        (steps(np.int32, -70_000, 0x8080, 0xFFFF), {258: 32, 262: 1, 339: 2}),
        (steps(np.uint16, 0, 0x808, 0xFFF), {258: 12, 262: 1}),
    ],
    ids=["white is zero", "floats, white is zero", "32 bits", "32 bits, half used", "signed", "12 bits"],
)
def test_what_a_tiff_says_of_its_white_is_heeded(tmp_path: Path, pixels: Array, tags: dict[int, int]) -> None:
    data = pixels.tobytes() if tags[258] != 12 else b"".join(map(twelve_bits, pixels))
    place = {273: len(tiff(1, 1, *[(0, 3, 1, 0)] * (len(tags) + 2))), 279: len(data)}
    entries = [(tag, 3, 1, value) for tag, value in tags.items()] + [(tag, 4, 1, value) for tag, value in place.items()]
    (tmp_path / "a.tif").write_bytes(tiff(66, 36, *entries, data=data))
    bars = made(tmp_path / "a.tif", Size(66, 36))
    assert near(bars[:, :16], 0)
    assert near(bars[:, 28:38], 128)
    assert near(bars[:, 50:], 255)


def twelve_bits(row: Array) -> bytes:
    """Two samples in three bytes, the first bits first (TIFF 6.0, FillOrder 1)."""
    return b"".join(int(first << 12 | second).to_bytes(3, "big") for first, second in row.reshape(-1, 2).tolist())


@pytest.mark.parametrize(
    ("kind", "samples", "expected"),
    [
        (2, (0xC000, 0x8000, 0x1000), (192, 128, 16)),
        (4, (0xC000, 0x8000), (96, 96, 96)),
        (6, (0xC000, 0x8000, 0x1000, 0x8000), (96, 64, 8)),
    ],
    ids=["RGB", "grey and alpha", "RGBA"],
)
def test_deep_colour_is_scaled(tmp_path: Path, kind: int, samples: tuple[int, ...], expected: Any) -> None:
    row = b"\0" + np.array(samples, ">u2").tobytes() * 64
    (tmp_path / "deep.png").write_bytes(png(64, 36, row * 36, 16, kind))
    assert near(made(tmp_path / "deep.png"), expected)


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
    for name in ("a.gif", "a.png", "a.webp", "a.tiff", "a.avif", "a.heic"):
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
