from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorawatch.core.framing import Framing, frame, oriented_size, share_cut_away, stored_box
from sorawatch.core.order import Fit, Size

sides = st.integers(1, 40_000)
pictures = st.builds(Size, sides, sides)
targets = st.builds(Size, st.integers(1, 8192), st.integers(1, 8192))
orientations = st.integers(1, 8)


def test_crop_takes_the_centre_of_a_wide_picture() -> None:
    framing = frame(Size(2000, 1000), Size(720, 1280), Fit.CROP)
    assert framing == Framing((718.75, 0, 1281.25, 1000), Size(720, 1280), (0, 0))
    assert framing.scale == (1.28, 1.28)


def test_crop_takes_the_middle_of_a_tall_picture() -> None:
    assert frame(Size(900, 1600), Size(1280, 720), Fit.CROP).window == (0, 546.875, 900, 1053.125)


@pytest.mark.parametrize("fit", [Fit.PAD, Fit.BLUR])
def test_pad_and_blur_centre_the_whole_picture(fit: Fit) -> None:
    assert frame(Size(1200, 900), Size(1280, 720), fit) == Framing((0, 0, 1200, 900), Size(960, 720), (160, 0))
    assert frame(Size(500, 100), Size(720, 1280), fit) == Framing((0, 0, 500, 100), Size(720, 144), (0, 568))


def test_pad_leaves_a_line_of_a_picture_that_would_vanish() -> None:
    assert frame(Size(30_000, 10), Size(1280, 720), Fit.PAD) == Framing((0, 0, 30_000, 10), Size(1280, 1), (0, 359))


def test_stretch_scales_each_direction_for_itself() -> None:
    framing = frame(Size(640, 720), Size(1280, 720), Fit.STRETCH)
    assert framing.window == (0, 0, 640, 720)
    assert framing.scale == (2.0, 1.0)


@given(pictures, targets)
@example(Size(1, 1), Size(1280, 720))
@example(Size(30_000, 10), Size(1280, 720))
def test_crop_keeps_the_shape_and_leaves_out_as_little_as_it_can(picture: Size, target: Size) -> None:
    framing = frame(picture, target, Fit.CROP)
    left, top, right, bottom = framing.window
    assert 0 <= left < right <= picture.width
    assert 0 <= top < bottom <= picture.height
    assert framing.inner == target
    assert framing.at == (0, 0)
    across, down = framing.scale
    assert across == pytest.approx(down, rel=1e-6)
    assert right - left == pytest.approx(picture.width) or bottom - top == pytest.approx(picture.height)
    assert left == pytest.approx(picture.width - right, abs=1e-6)
    assert top == pytest.approx(picture.height - bottom, abs=1e-6)


@given(pictures, targets, st.sampled_from([Fit.PAD, Fit.BLUR, Fit.STRETCH]))
def test_the_others_use_every_pixel_and_stay_in_the_frame(picture: Size, target: Size, fit: Fit) -> None:
    framing = frame(picture, target, fit)
    x, y = framing.at
    assert framing.window == (0, 0, picture.width, picture.height)
    assert 0 <= x <= target.width - framing.inner.width
    assert 0 <= y <= target.height - framing.inner.height
    assert framing.inner.width == target.width or framing.inner.height == target.height
    if fit is not Fit.STRETCH:
        exact = min(target.width / picture.width, target.height / picture.height)
        assert abs(framing.inner.width - max(1, picture.width * exact)) <= 0.5 + 1e-6
        assert abs(framing.inner.height - max(1, picture.height * exact)) <= 0.5 + 1e-6


@given(pictures, orientations)
def test_turning_a_size_twice_changes_nothing(stored: Size, orientation: int) -> None:
    assert oriented_size(oriented_size(stored, orientation), orientation) == stored


CORNERS = {
    1: (0, 0, 1, 2), 2: (3, 0, 4, 2), 3: (3, 4, 4, 6), 4: (0, 4, 1, 6),
    5: (0, 0, 2, 1), 6: (0, 3, 2, 4), 7: (4, 3, 6, 4), 8: (4, 0, 6, 1),
}  # fmt: skip
"""Where the left upper box, 1 wide and 2 high, of an upright picture of 4x6 is stored; worked out on squared paper."""


@pytest.mark.parametrize(("orientation", "stored"), CORNERS.items())
def test_a_corner_is_found_again_in_the_picture_as_stored(orientation: int, stored: tuple[int, ...]) -> None:
    assert stored_box((0, 0, 1, 2), Size(4, 6), orientation) == stored


@given(pictures, targets, orientations)
def test_a_turned_window_stays_in_the_picture_and_keeps_its_area(picture: Size, target: Size, orientation: int) -> None:
    box = frame(picture, target, Fit.CROP).window
    left, top, right, bottom = stored_box(box, picture, orientation)
    stored = oriented_size(picture, orientation)
    assert 0 <= left < right <= stored.width
    assert 0 <= top < bottom <= stored.height
    assert math.isclose((right - left) * (bottom - top), (box[2] - box[0]) * (box[3] - box[1]), rel_tol=1e-6)


@given(pictures, targets)
def test_only_a_crop_cuts_something_away(picture: Size, target: Size) -> None:
    assert 0 <= share_cut_away(picture, frame(picture, target, Fit.CROP)) < 1
    for fit in (Fit.PAD, Fit.BLUR, Fit.STRETCH):
        assert share_cut_away(picture, frame(picture, target, fit)) == 0


def test_how_much_is_cut_away() -> None:
    assert share_cut_away(Size(1200, 2000), frame(Size(1200, 2000), Size(1280, 720), Fit.CROP)) == pytest.approx(0.6625)
