"""The names that sorawatch gives."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sorawatch.core.naming import (
    JOB_ID_ALPHABET,
    LONGEST_NAME,
    clip_name,
    current_key,
    error_name,
    first_free,
    fitted,
    full_name,
    job_id,
    likeness,
    order_key,
    stem_of,
    with_number,
)
from sorawatch.core.order import Fit, Focus, Order, Point, Size
from sorawatch.core.pairing import IMAGE_SUFFIXES, Match, is_junk, pair

ORDER = Order("waves", "sora-2", Size(1280, 720), 8)


def second(*names: str) -> tuple[str, ...]:
    return with_number(names, 2)


def length(name: str) -> int:
    return len(os.fsencode(name))


@pytest.mark.parametrize(
    ("image", "stem"),
    [
        ("beach.jpg", "beach"),
        ("my.beach.jpg", "my.beach"),
        ("beach.", "beach"),
        ("beach", "beach"),
        (".jpg", ".jpg"),
        ("a\nb.jpg", "a\nb"),
    ],
)
def test_stem(image: str, stem: str) -> None:
    assert stem_of(image) == stem


def test_what_is_named_after_an_image() -> None:
    assert clip_name("my.beach.JPG") == "my.beach.mp4"
    assert clip_name("my.beach.JPG", ".webm") == "my.beach.webm"
    assert error_name("my.beach.JPG") == "my.beach.error.txt"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("beach.png", "beach.png"),
        ("beach.yaml", "beach.png.yaml"),
        ("Beach.YML.txt", "beach.png.YML.txt"),
        ("beach.png.yaml", "beach.png.yaml"),
        ("beach.error.txt", "beach.png.error.txt"),
        ("beach.returned.txt", "beach.png.returned.txt"),
    ],
)
def test_the_name_that_no_other_picture_of_the_stem_has(name: str, full: str) -> None:
    assert full_name(name, "beach.png") == full


@pytest.mark.parametrize(
    "stem", ["x" * 300, "\N{BEACH WITH UMBRELLA}" * 100, "\N{EURO SIGN}" * 100, os.fsdecode(b"\xff" * 300)]
)
def test_names_that_are_too_long_are_cut_at_a_characters_end(stem: str) -> None:
    name = fitted(stem, ".mp4")
    assert LONGEST_NAME - 4 < length(name) <= LONGEST_NAME
    assert name == stem[: len(name) - 4] + ".mp4"


def test_a_name_that_just_fits_is_left_alone() -> None:
    assert fitted("x" * 251, ".mp4") == "x" * 251 + ".mp4"
    assert fitted("x" * 252, ".mp4") == "x" * 251 + ".mp4"


def test_a_suffix_without_room_for_any_stem_stands_alone() -> None:
    assert fitted("beach", "." + "x" * 300) == "." + "x" * 300


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["beach.mp4"], ["beach (2).mp4"]),
        (["beach.error.txt"], ["beach (2).error.txt"]),
        (["beach"], ["beach (2)"]),
        (["beach.jpg", "beach.yaml"], ["beach (2).jpg", "beach (2).yaml"]),
        (["beach.jpg", "beach.jpg.yaml"], ["beach (2).jpg", "beach (2).jpg.yaml"]),
        (["beach.jpg.png", "beach.jpg.yaml"], ["beach.jpg (2).png", "beach.jpg (2).yaml"]),
        (["beach.tar.png", "beach.tar.png.txt"], ["beach.tar (2).png", "beach.tar (2).png.txt"]),
        (
            ["beach.JPG", "Beach.jpg.YAML", "beach.error.txt"],
            ["beach (2).JPG", "beach (2).jpg.YAML", "beach (2).error.txt"],
        ),
        (["beach.jpg", "beach.yaml.txt"], ["beach (2).jpg", "beach (2).yaml.txt"]),
        (["beach.jpg", "beach.jpg.yml.txt"], ["beach (2).jpg", "beach (2).jpg.yml.txt"]),
        (["beach.jpg", "Beach.TXT.txt"], ["beach (2).jpg", "beach (2).TXT.txt"]),
        (["beach (2).jpg", "beach (2).yaml"], ["beach (2) (2).jpg", "beach (2) (2).yaml"]),
    ],
)
def test_a_taken_name_gets_a_number_before_its_extension(names: list[str], expected: list[str]) -> None:
    assert second(*names) == tuple(expected)


@pytest.mark.parametrize("taken", [0, 1, 13, 14, 15, 30, 100, 99_999])
def test_the_first_free_number_is_found_without_asking_for_all(taken: int) -> None:
    used = {with_number(["a.jpg", "a.txt"], number) for number in range(2, 2 + taken)}
    asked = []

    def is_free(names: tuple[str, ...]) -> bool:
        asked.append(names)
        return names not in used

    number = 2 + taken
    assert first_free(["a.jpg", "a.txt"], is_free) == (f"a ({number}).jpg", f"a ({number}).txt")
    assert len(asked) < 64


def test_names_of_different_length_are_cut_alike() -> None:
    image, sidecar, error = second("x" * 251 + ".jpg", "x" * 250 + ".yaml"[:5], "x" * 245 + ".error.txt")
    assert (image, sidecar) == ("x" * 241 + " (2).jpg", "x" * 241 + " (2).yaml")
    assert error == "x" * 241 + " (2).error.txt"
    assert length(error) == LONGEST_NAME


@st.composite
def a_pair(draw: st.DrawFn) -> tuple[str, str | None]:
    """An image and perhaps a sidecar as they may lie in an inbox: all bytes, all forms, up to the longest names."""
    stem = draw(
        st.binary(min_size=1, max_size=8).map(os.fsdecode)
        | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
    )
    stem = os.fsdecode(os.fsencode(stem * draw(st.sampled_from([1, 1, 20, 60]))))
    suffix = draw(st.sampled_from([*IMAGE_SUFFIXES, ".JPG", ".jpg.png", ".yaml.jpg"]))
    tail = draw(st.sampled_from([".yaml", ".yml", ".txt", ".YAML", ".yaml.txt", ".Yml.TXT", ".txt.txt"]))
    form: Literal["NFC", "NFD"] = draw(st.sampled_from(["NFC", "NFD"]))
    image = stem + suffix
    beside = draw(st.sampled_from([None, stem_of(image), image, image.swapcase()]))
    sidecar = None if beside is None else unicodedata.normalize(form, beside) + tail
    for name in (image, sidecar or "x"):
        assume(not {"/", "\0"} & {*name} and length(name) <= LONGEST_NAME and not is_junk(name))
    return image, sidecar


@given(a_pair(), st.integers(1, 12))
@settings(deadline=None, max_examples=300)
def test_what_belongs_together_still_does_under_any_number(names: tuple[str, str | None], count: int) -> None:
    image, sidecar = names
    together = tuple(name for name in names if name is not None)
    assume(pair(together).matches == (Match(image, sidecar),))
    *moved, error = with_number([*together, error_name(image)], count + 1)
    assert all(length(name) <= LONGEST_NAME for name in (*moved, error))
    assert all(os.fsdecode(os.fsencode(name)) == name for name in (*moved, error))
    assert pair(moved).matches == (Match(moved[0], moved[1] if sidecar else None),)
    assert is_junk(error)
    number = f" ({count + 1})"
    assert all(name.count(number) == original.count(number) + 1 for name, original in zip(moved, together, strict=True))
    assert len({name[: name.rindex(number)] for name in (*moved, error)}) == 1


@given(a_pair(), st.integers(2, 7), st.integers(2, 7))
@settings(deadline=None)
def test_different_numbers_give_different_names(names: tuple[str, str | None], one: int, other: int) -> None:
    assume(one != other)
    together = [name for name in names if name is not None]
    first, then = (with_number(together, number) for number in (one, other))
    assert not {*first} & {*then}


class TestKeys:
    @pytest.mark.parametrize(
        "change",
        [
            {"prompt": "wave"},
            {"model": "sora-2-pro"},
            {"size": Size(720, 1280)},
            {"seconds": 12},
        ],
    )
    def test_whatever_the_server_can_see_tells_orders_apart(self, change: dict[str, Any]) -> None:
        changed = replace(ORDER, **change)
        assert order_key("d", changed) != order_key("d", ORDER)
        assert likeness(changed) != likeness(ORDER)

    def test_the_picture_tells_orders_apart_but_not_in_the_servers_list(self) -> None:
        assert order_key("e", ORDER) != order_key("d", ORDER)
        padded = replace(ORDER, fit=Fit.PAD)
        assert order_key("d", padded) != order_key("d", ORDER)
        assert likeness(padded) == likeness(ORDER)

    @pytest.mark.parametrize("named", ["openai/sora-2", "sora-2-2025-12-08", "azure/Sora-2-20251208"])
    def test_a_provider_and_a_snapshot_do_not_tell_models_apart_in_a_list(self, named: str) -> None:
        assert likeness(replace(ORDER, model=named)) == likeness(ORDER)
        assert likeness(replace(ORDER, model="sora-2-pro")) != likeness(ORDER)

    def test_the_focus_tells_crops_apart_and_nothing_else(self) -> None:
        keys = {order_key("d", replace(ORDER, focus=focus)) for focus in (*Focus, Point(0, 1), Point(0, 0.1))}
        assert len(keys) == 4
        padded = replace(ORDER, fit=Fit.PAD)
        assert order_key("d", replace(padded, focus=Focus.EDGES)) == order_key("d", padded)
        assert likeness(replace(ORDER, focus=Focus.EDGES)) == likeness(ORDER)

    def test_the_priority_buys_nothing_else(self) -> None:
        assert order_key("d", replace(ORDER, priority=9)) == order_key("d", ORDER)

    def test_takes_are_other_orders_which_a_list_cannot_tell_apart(self) -> None:
        takes = [replace(ORDER, take=take) for take in (1, 2, 3)]
        assert len({order_key("d", order) for order in takes}) == 3
        assert len({likeness(order) for order in takes}) == 1

    def test_what_was_ordered_with_the_former_default_focus_is_not_bought_again(self) -> None:
        former, present = replace(ORDER, focus=Focus.CENTRE), replace(ORDER, focus=Focus.AUTO)
        assert order_key("d" * 64, former) == order_key("d" * 64, present)
        assert order_key("d" * 64, replace(ORDER, focus=Focus.EDGES)) != order_key("d" * 64, present)

    def test_keys_do_not_change_between_versions(self) -> None:
        """They are in the store, and what they tell is whether an order was bought before."""
        assert order_key("d" * 64, ORDER) == "joXyVUV9r5JgjSIu"
        assert order_key("d" * 64, replace(ORDER, take=1)) == order_key("d" * 64, ORDER)
        assert likeness(ORDER) == "AQTLnCid7JGYCGyB"

    def test_keys_of_an_older_version_are_known(self) -> None:
        before = "8e85f255457daf92608d222e477c368569222222d013899a6fae7373b405d63b"
        assert current_key(before) == order_key("d" * 64, ORDER) == current_key(order_key("d" * 64, ORDER))


class TestJobId:
    def test_is_eight_characters_that_can_be_typed(self) -> None:
        assert job_id(bytes(5)) == "22222222"
        assert job_id(b"\xff" * 5) == "hewrd9ap"
        assert not {*JOB_ID_ALPHABET} & {*"01ilou"}

    @given(st.binary(min_size=5, max_size=5))
    def test_comes_from_the_alphabet(self, seed: bytes) -> None:
        name = job_id(seed)
        assert len(name) == 8
        assert {*name} <= {*JOB_ID_ALPHABET}
