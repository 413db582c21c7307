from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sorawatch.core.order import Aim, Fit, Focus, Point, Size
from tests.support.pictures import (
    BLUE,
    FREE,
    GREEN,
    GREY,
    RED,
    SIDES,
    SMALL,
    SORA,
    flat,
    made,
    near,
    prepare,
    save,
    turned,
)


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
@pytest.mark.parametrize("target", [Size(180, 320), Size(320, 180), Size(256, 256), Size(333, 777)])
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
    assert reference.note == "upscaled 1.3×; 72 % of the picture is cut away (fit: pad or blur keeps all of it)"
    row = np.asarray(Image.open(io.BytesIO(reference.data))).astype(int)[640]
    # Source column c lies at (c - 718.75) * 1.28 of the result.
    assert near(row[4:340], GREY, 6)
    assert near(row[351:369], BLUE, 6)
    assert near(row[380:716], GREY, 6)


def test_a_draft_of_a_large_jpeg_shows_the_same_window(tmp_path: Path) -> None:
    y, x = np.mgrid[0:1081, 0:1923]
    ramp = np.stack([x / 1923 * 255, y / 1081 * 255, 0 * x + 90], axis=-1)
    path = save(tmp_path, Image.fromarray(np.round(ramp).astype(np.uint8)), "ramp.jpg", quality=95, subsampling=0)
    for target in (Size(160, 90), Size(90, 160), Size(500, 500)):
        reference = prepare(path, FREE, target, Fit.CROP)
        left, top, right, bottom = reference.crop or (0, 0, 1923, 1081)
        row, column = np.mgrid[0 : target.height, 0 : target.width]
        u = left + (column + 0.5) * (right - left) / target.width - 0.5
        v = top + (row + 0.5) * (bottom - top) / target.height - 0.5
        expected = np.stack([u / 1923 * 255, v / 1081 * 255, 0 * u + 90], axis=-1)
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


# --- What a crop is laid around


def test_a_point_is_laid_in_the_middle_as_far_as_the_edges_allow(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(2000, 1000)), "wide.png")
    for x, left in ((0.0, 0), (0.1, 0), (0.25, 218.75), (0.5, 718.75), (0.75, 1218.75), (0.9, 1437.5), (1.0, 1437.5)):
        crop = prepare(path, SORA, Aim.PORTRAIT, Fit.CROP, Point(x, 0.9)).crop
        assert crop == pytest.approx((left, 0, left + 562.5, 1000))
    path = save(tmp_path, flat(RED, size=(900, 1600)), "tall.png")
    for y, top in ((0.0, 0), (0.25, 146.875), (1.0, 1093.75)):
        crop = prepare(path, SORA, Aim.LANDSCAPE, Fit.CROP, Point(0.9, y)).crop
        assert crop == pytest.approx((0, top, 900, top + 506.25))


def test_a_point_shows_what_lies_there(tmp_path: Path) -> None:
    chart = np.full((1000, 3000, 3), GREY, np.uint8)
    chart[:, 1980:] = BLUE
    path = save(tmp_path, Image.fromarray(chart), "chart.png")
    assert near(made(path, Size(720, 720), Fit.CROP, focus=Point(0.95, 0.5)), BLUE)
    assert near(made(path, Size(720, 720), Fit.CROP, focus=Point(0.1, 0.5)), GREY)


def board(size: tuple[int, int], box: tuple[int, int, int, int], seed: int = 1) -> Image.Image:
    """A soft slope of grey with noise in ``box`` (left, top, right, bottom)."""
    width, height = size
    slope = np.linspace(60, 190, width)[None, :] + np.linspace(0, 30, height)[:, None]
    chart = np.repeat(slope[..., None], 3, axis=2)
    left, top, right, bottom = box
    chart[top:bottom, left:right] = np.random.default_rng(seed).integers(0, 256, (bottom - top, right - left, 3))
    return Image.fromarray(chart.astype(np.uint8))


@pytest.mark.parametrize(
    ("picture", "target", "crop"),
    [
        ((1000, 1000), Size(1280, 720), (0, 48.75, 1000, 611.25)),
        ((900, 1600), Size(1280, 720), (0, 274.875, 900, 781.125)),
        ((1000, 600), Size(1280, 720), (0, 0, 1000, 562.5)),
        ((2000, 1000), Size(720, 1280), (718.75, 0, 1281.25, 1000)),
    ],
    ids=["a square", "a portrait", "as high as the edges allow", "only the width is cut"],
)
def test_auto_keeps_the_middle_sideways_and_the_upper_part(
    tmp_path: Path, picture: tuple[int, int], target: Size, crop: tuple[float, ...]
) -> None:
    path = save(tmp_path, flat(RED, size=picture), "a.png")
    assert prepare(path, FREE, target, Fit.CROP, Focus.AUTO).crop == pytest.approx(crop)


@pytest.mark.parametrize(
    ("picture", "fit", "note"),
    [
        ((1300, 2167), Fit.CROP, "66 % of the picture is cut away (fit: pad or blur keeps all of it)"),
        ((1300, 2167), Fit.BLUR, ""),
        ((1600, 1333), Fit.CROP, ""),
        ((1600, 1351), Fit.CROP, "33 % of the picture is cut away (fit: pad or blur keeps all of it)"),
        ((1600, 1200), Fit.CROP, ""),
    ],
    ids=["a photo of a phone", "nothing is cut", "just less than a third", "just more", "another photo"],
)
def test_it_is_told_if_more_than_a_third_is_cut_away(
    tmp_path: Path, picture: tuple[int, int], fit: Fit, note: str
) -> None:
    path = save(tmp_path, flat(RED, size=picture), "a.png")
    assert prepare(path, FREE, Size(1280, 720), fit).note == note


@pytest.mark.parametrize("start", [0, 300, 900, 1500, 1700])
def test_edges_finds_the_busiest_window(tmp_path: Path, start: int) -> None:
    path = save(tmp_path, board((2000, 500), (start, 100, start + 300, 400)), "board.png")
    crop = prepare(path, FREE, Size(500, 500), Fit.CROP, Focus.EDGES).crop
    assert crop is not None
    left, top, right, bottom = crop
    assert (top, bottom, right - left) == (0, 500, 500)
    assert left <= start + 8
    assert right >= start + 292


@pytest.mark.parametrize("orientation", SIDES)
def test_edges_looks_at_the_picture_as_it_is_seen(tmp_path: Path, orientation: int) -> None:
    upright = board((600, 2400), (100, 1900, 500, 2300))
    path = turned(tmp_path, upright, orientation, quality=90)
    crop = prepare(path, FREE, Size(300, 300), Fit.CROP, Focus.EDGES).crop
    assert crop is not None
    left, top, right, bottom = crop
    assert (left, right) == (0, 600)
    assert 1680 <= top <= 1910
    assert bottom - top == 600


def test_edges_prefers_the_upper_part_to_a_little_more_detail_below(tmp_path: Path) -> None:
    """As of a person whose clothes have more edges than the face."""
    chart = np.full((1000, 1000, 3), 128, np.uint8)
    random = np.random.default_rng(3)
    chart[150:400, 300:700] = random.integers(100, 156, (250, 400, 3))
    chart[600:950, 300:700] = random.integers(98, 158, (350, 400, 3))
    path = save(tmp_path, Image.fromarray(chart), "person.png")
    crop = prepare(path, FREE, Size(1280, 480), Fit.CROP, Focus.EDGES).crop
    assert crop is not None
    assert crop[1] <= 175
    assert crop[3] >= 400


def test_edges_without_any_is_the_centre(tmp_path: Path) -> None:
    path = save(tmp_path, flat(RED, size=(2000, 1000)), "flat.png")
    assert prepare(path, SORA, Aim.PORTRAIT, Fit.CROP, Focus.EDGES).crop == pytest.approx((718.75, 0, 1281.25, 1000))
    for size in ((1, 1), (30_000, 10), (3, 900)):
        path = save(tmp_path, flat(RED, size=size), "odd.png")
        assert near(made(path, SMALL, Fit.CROP, focus=Focus.EDGES, max_enlargement=1000), RED)


def test_edges_under_full_transparency_do_not_count(tmp_path: Path) -> None:
    pixels = np.zeros((400, 1600, 4), np.uint8)
    pixels[:, :400, :3] = np.random.default_rng(2).integers(0, 256, (400, 400, 3))
    pixels[:, 1200:] = (90, 90, 90, 255)
    pixels[::40, 1200:] = (160, 160, 160, 255)
    path = save(tmp_path, Image.fromarray(pixels), "hidden.png")
    crop = prepare(path, FREE, Size(400, 400), Fit.CROP, Focus.EDGES).crop
    assert crop is not None
    assert crop[0] > 1150


@pytest.mark.parametrize("fit", [Fit.PAD, Fit.BLUR, Fit.STRETCH])
def test_only_a_crop_has_a_focus(tmp_path: Path, fit: Fit) -> None:
    path = save(tmp_path, board((800, 300), (0, 0, 300, 300)), "board.png")
    plain = prepare(path, FREE, SMALL, fit)
    assert prepare(path, FREE, SMALL, fit, Focus.EDGES) == prepare(path, FREE, SMALL, fit, Point(0, 0)) == plain
