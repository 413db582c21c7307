"""Sizes, models and prices."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.order import Aim, Fit, Model, Size

WIDE, TALL, WIDER, TALLER, SQUARE = (
    Size(*s) for s in [(1280, 720), (720, 1280), (1792, 1024), (1024, 1792), (512, 512)]
)
MODEL = Model("sora-2-pro", (TALLER, WIDER, TALL, WIDE), (4, 8, 12), 300_000, ((WIDER, 500_000), (TALLER, 500_000)))


class TestSize:
    @given(st.integers(1, 10**6), st.integers(1, 10**6))
    def test_reads_what_it_writes(self, width: int, height: int) -> None:
        assert Size.parse(str(Size(width, height))) == Size(width, height)

    @pytest.mark.parametrize(
        "text",
        ["", "x", "1280", "1280x", "x720", "0x720", "1280x0", "-1280x720", "1280X720", "1280 x 720", " 1280x720",
         "1280x720x3", "1280.0x720", "1_280x720", "+1280x720", "１２８０x720", "²x720", "1280x720\n"],
    )  # fmt: skip
    def test_refuses_all_else(self, text: str) -> None:
        with pytest.raises(ValueError, match=rf"^{re.escape(text)}\Z"):
            Size.parse(text)

    def test_refuses_numbers_that_python_refuses(self) -> None:
        with pytest.raises(ValueError, match="limit"):
            Size.parse("9" * 5000 + "x720")

    def test_counts_its_pixels(self) -> None:
        assert WIDE.pixels == 921_600


class TestResolve:
    @pytest.mark.parametrize(
        ("aim", "picture", "size"),
        [
            (Aim.LANDSCAPE, Size(10, 20), WIDE),
            (Aim.PORTRAIT, Size(20, 10), TALL),
            (Aim.AUTO, Size(4000, 3000), WIDE),
            (Aim.AUTO, Size(3000, 4000), TALL),
            (Aim.AUTO, Size(500, 500), WIDE),
            (WIDER, Size(10, 20), WIDER),
            (Size(3, 3), Size(10, 20), Size(3, 3)),
        ],
    )
    def test_takes_the_smallest_size_that_lies_the_right_way(self, aim: Size | Aim, picture: Size, size: Size) -> None:
        assert MODEL.resolve(aim, picture) == size

    def test_takes_the_smallest_of_all_where_none_lies_the_right_way(self) -> None:
        assert Model("tall", (TALLER, TALL), None).resolve(Aim.LANDSCAPE, WIDE) == TALL

    def test_counts_a_square_as_lying(self) -> None:
        model = Model("square", (SQUARE, TALL), None)
        assert model.resolve(Aim.AUTO, WIDE) == SQUARE
        assert model.resolve(Aim.PORTRAIT, WIDE) == TALL

    @pytest.mark.parametrize(("aim", "size"), [(Aim.LANDSCAPE, WIDE), (Aim.PORTRAIT, TALL)])
    def test_takes_the_usual_sizes_where_any_will_do(self, aim: Aim, size: Size) -> None:
        assert Model("any", None, None).resolve(aim, SQUARE) == size


class TestPrice:
    def test_is_the_rate_for_the_size_times_the_seconds(self) -> None:
        assert MODEL.price(WIDE, 8) == 2_400_000
        assert MODEL.price(WIDER, 8) == 4_000_000

    def test_is_unknown_where_the_catalogue_names_none(self) -> None:
        assert Model("mine", None, None).price(WIDE, 8) is None
        by_size = Model("mine", None, None, None, ((WIDE, 7),))
        assert (by_size.price(WIDE, 8), by_size.price(TALL, 8)) == (56, None)

    def test_is_that_of_the_clip_and_of_its_seconds(self) -> None:
        assert Model("m", None, None, None, (), 250_000).price(WIDE, 8) == 250_000
        assert Model("m", None, None, 10_000, (), 250_000).price(WIDE, 8) == 330_000
        assert Model("m", None, None, None, (), None, ((WIDE, 7),)).price(WIDE, 8) == 7
        assert Model("m", None, None, 0, (), 0).price(WIDE, 8) == 0

    @pytest.mark.parametrize(
        "model",
        [
            Model("m", None, None, 10_000, (), None, ((WIDE, 7),)),
            Model("m", None, None, None, ((WIDE, 7),), 250_000),
        ],
    )
    def test_is_unknown_where_a_part_of_it_is(self, model: Model) -> None:
        assert model.price(WIDE, 8) is not None
        assert model.price(TALL, 8) is None

    def test_may_be_nothing(self) -> None:
        assert Model("own", None, None, 0).price(WIDE, 8) == 0


def test_words_in_files_are_those_of_the_documentation() -> None:
    assert [*Aim] == ["landscape", "portrait", "auto"]
    assert [*Fit] == ["crop", "pad", "blur", "stretch"]


class TestPrices:
    @pytest.mark.parametrize(
        ("size", "prices"),
        [
            (WIDE, (2_400_000, 2_400_000)),
            (TALLER, (4_000_000, 4_000_000)),
            (Aim.AUTO, (2_400_000, 2_400_000)),
            (Aim.PORTRAIT, (2_400_000, 2_400_000)),
        ],
    )
    def test_a_size_that_decides_the_price_has_one(self, size: Size | Aim, prices: tuple[int, int]) -> None:
        assert MODEL.prices(size, 8) == prices

    def test_a_size_that_the_picture_decides_may_have_two(self) -> None:
        model = Model("m", (WIDE, TALL), None, 10, ((TALL, 30),))
        assert model.prices(Aim.AUTO, 2) == (20, 60)
        assert model.prices(Aim.LANDSCAPE, 2) == (20, 20)

    def test_there_is_none_where_one_of_them_is_unknown(self) -> None:
        model = Model("m", (WIDE, TALL), None, None, ((TALL, 30),))
        assert model.prices(Aim.AUTO, 2) is None
        assert model.prices(TALL, 2) == (60, 60)
