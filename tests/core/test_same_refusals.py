"""Which refusals say the same."""

from __future__ import annotations

import json

import pytest

from sorawatch.core.same_refusals import SameRefusals, from_json, normalized, refused, to_json


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 422: body.fps: Field required", "HTTP 422: body.fps:  field REQUIRED"),
        ("prompt has 1234 characters", "prompt has 99 characters"),
        ('Unknown parameter: "seed".', 'Unknown parameter: "motion".'),
        ("request req_7f3a failed", "request req_991b failed"),
        ("see https://x.example/a1", "see https://x.example/b2"),
        ("「猫」 is not allowed", "「犬」 is not allowed"),
    ],
)
def test_ids_digits_and_quotations_make_no_difference(one: str, other: str) -> None:
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the prompt is too long", "the picture is too large"),
        ("it can't be used: faces of children. It isn't allowed", "it can't be used: weapons. It isn't allowed"),
    ],
)
def test_other_words_do(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


def after(*refusals: tuple[str, str, str]) -> SameRefusals:
    known = None
    for job_id, digest, text in refusals:
        known = refused(known, job_id, digest, text)
    assert known is not None
    return known


def test_three_different_pictures_show_that_it_is_a_setting() -> None:
    assert not after(("a", "1", "no"), ("b", "2", "no")).is_open
    assert after(("a", "1", "no"), ("b", "2", "no"), ("c", "3", "no")).is_open


def test_copies_of_one_picture_count_once() -> None:
    copies = after(("a", "1", "no"), ("b", "1", "no"), ("c", "1", "no"), ("d", "2", "no"))
    assert not copies.is_open
    assert [job for job, _ in copies.pictures] == ["a", "b", "c", "d"], "but all of them come back"


def test_other_words_between_them_begin_anew() -> None:
    assert not after(("a", "1", "no"), ("b", "2", "no"), ("x", "9", "never"), ("c", "3", "no")).is_open


def test_the_last_twelve_pictures_are_remembered() -> None:
    known = after(*((f"job {number}", str(number), "no") for number in range(20)))
    assert [job for job, _ in known.pictures] == [f"job {number}" for number in range(8, 20)]


def test_it_is_kept_as_it_is() -> None:
    known = after(("a", "1", "no"), ("b", "2", "no"))
    assert from_json(json.loads(json.dumps(to_json(known)))) == known
