"""When clips are expected, judged by how long past renders took."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorawatch.core.estimates import Capacity, QueuedOrder, ends_of_queue, left_of_render, usual

MINUTE = 60_000


def capacity(
    free: int = 1, ends: tuple[int, ...] = (), paced_in: int = 0, interval: int = 0, micros_left: int | None = None
) -> Capacity:
    return Capacity(free, ends, paced_in, interval, micros_left)


def orders(*durations: int | None, price: int = 1, due_in: int = 0) -> list[QueuedOrder]:
    return [QueuedOrder(str(number), duration, price, due_in) for number, duration in enumerate(durations)]


def ends(queue: list[QueuedOrder], shared: Capacity) -> list[int]:
    return list(ends_of_queue(queue, shared).values())


def test_the_usual_duration_is_the_median() -> None:
    assert usual(()) is None
    assert usual((5,)) == 5
    assert usual((1, 2, 90)) == 2


@pytest.mark.parametrize(
    ("age", "left"), [(0, 30), (9, 21), (10, 20), (30, 10), (39, 1), (40, None), (99, None)]
)  # fmt: skip
def test_what_is_left_of_a_render_is_judged_by_those_that_took_longer(age: int, left: int | None) -> None:
    assert left_of_render(age, (10, 20, 30, 40)) == left


def test_nothing_is_known_without_past_renders() -> None:
    assert left_of_render(0, ()) is None


def test_with_one_place_one_follows_the_other() -> None:
    assert ends(orders(10, 10, 5), capacity()) == [10, 20, 25]


def test_orders_begin_where_a_place_is_free_first() -> None:
    assert ends(orders(10, 10, 10), capacity(free=1, ends=(4,))) == [10, 14, 20]


def test_where_too_many_are_taken_the_first_ends_free_nothing() -> None:
    assert ends(orders(10), capacity(free=-1, ends=(3, 7))) == [17]


def test_a_place_whose_end_is_unknown_frees_nothing() -> None:
    assert ends(orders(10), capacity(free=0)) == []


def test_the_pace_spreads_them() -> None:
    assert ends(orders(10, 10, 10), capacity(free=9, paced_in=5, interval=20)) == [15, 35, 55]


def test_one_that_is_due_later_begins_later() -> None:
    assert ends(orders(10, due_in=50), capacity()) == [60]


def test_after_an_unknown_duration_nothing_is_known() -> None:
    assert ends(orders(10, None, 10), capacity(free=9)) == [10]


def test_what_the_caps_do_not_allow_is_not_promised() -> None:
    assert ends(orders(10, 10, 10, price=4), capacity(free=9, micros_left=8)) == [10, 10]
    assert ends(orders(10, price=0), capacity(micros_left=0)) == [10]


@given(
    st.lists(st.integers(1, 10 * MINUTE), max_size=30),
    st.integers(1, 5),
    st.lists(st.integers(0, MINUTE), max_size=5),
    st.integers(0, MINUTE),
)
def test_no_order_ends_before_its_own_duration_nor_shares_a_place(
    durations: list[int], free: int, taken: list[int], interval: int
) -> None:
    shared = capacity(free=free, ends=tuple(taken), interval=interval)
    found = ends(orders(*durations), shared)
    spans = [(end - duration, end) for end, duration in zip(found, durations, strict=True)]
    assert all(begin >= 0 for begin, _ in spans)
    assert all(later[0] - earlier[0] >= interval for earlier, later in pairwise(spans))
    for moment, _ in spans:
        running = sum(begin <= moment < end for begin, end in spans) + sum(moment < end for end in taken)
        assert running <= free + len(taken)
