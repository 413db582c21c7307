"""The text beside a pair that could not be made into a clip, whole."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from sorawatch.core.error_text import REMOVED_NOTE, error_text, returned_text
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.order import Aim, Fit, Order, Size

PAIR = Pair("trip", "beach.jpg", Stamp(1000, 5), "beach.yaml", Stamp(20, 6))
JOB = Job(
    "k3m9x2pq",
    State.REJECTED,
    PAIR,
    created_at=0,
    due_at=0,
    changed_at=0,
    order=Order("Gentle waves,\nleaves swaying", "sora-2", Size(1280, 720), 8),
    reason="the server refused the order (HTTP 400: bad prompt)",
    hint="Change what the server objects to, then move the pair back into the inbox.",
)


def test_a_refused_order() -> None:
    assert (
        error_text(JOB, has_pair=True)
        == """\
beach.jpg was not made into a video
    the server refused the order (HTTP 400: bad prompt)

Was it charged?
    No.

What to do
    Change what the server objects to, then move the pair back into the inbox.

How to try again
    Move the picture and its sidecar from beside this text back into the inbox, or run `sorawatch retry k3m9x2pq`.

What was ordered
    sora-2, 1280x720, 8 seconds, fit crop
    prompt: Gentle waves,
    leaves swaying

sorawatch removes this text once the picture is no longer beside it.
"""
    )


def test_a_pair_that_could_not_be_understood() -> None:
    job = replace(
        JOB,
        order=None,
        reason="beach.yaml line 2, seconds: is 9\nbeach.yaml line 3: unknown key sise",
        hint="Correct the sidecar.",
    )
    assert (
        error_text(job, has_pair=True)
        == """\
beach.jpg was not made into a video
    beach.yaml line 2, seconds: is 9
    beach.yaml line 3: unknown key sise

Was it charged?
    No.

What to do
    Correct the sidecar.

How to try again
    Move the picture and its sidecar from beside this text back into the inbox, or run `sorawatch retry k3m9x2pq`.

sorawatch removes this text once the picture is no longer beside it.
"""
    )


def test_an_image_without_a_sidecar_and_a_failure_without_a_word() -> None:
    job = replace(
        JOB,
        pair=replace(PAIR, sidecar=None, sidecar_stamp=None),
        order=Order("waves", "sora-2", Aim.AUTO, 4, Fit.BLUR),
        reason="",
        hint="",
    )
    assert (
        error_text(job, has_pair=True)
        == """\
beach.jpg was not made into a video
    No reason is known.

Was it charged?
    No.

What to do
    Read the reason above; if it has passed, try again.

How to try again
    Move the picture from beside this text back into the inbox, or run `sorawatch retry k3m9x2pq`.

What was ordered
    sora-2, auto, 4 seconds, fit blur
    prompt: waves

sorawatch removes this text once the picture is no longer beside it.
"""
    )


@pytest.mark.parametrize(
    ("charged", "price", "video_id", "told"),
    [
        (Charged.NO, None, None, "No."),
        (Charged.NO, 800_000, "video_1", "No."),
        (
            Charged.YES,
            800_000,
            "video_1",
            "Yes ($0.80): the server made the video. The server knows it as video_1.",
        ),
        (Charged.YES, None, "video_1", "Yes: the server made the video. The server knows it as video_1."),
        (
            Charged.PERHAPS,
            800_000,
            "video_1",
            "Perhaps ($0.80): the server had taken the order. Its own site shows what it charged. "
            "The server knows it as video_1.",
        ),
        (
            Charged.PERHAPS,
            800_000,
            None,
            "Perhaps ($0.80): the answer to the order was lost. Its own site shows what it charged.",
        ),
        (Charged.PERHAPS, None, None, "Perhaps: the answer to the order was lost. Its own site shows what it charged."),
    ],
)
def test_whether_it_was_charged(charged: Charged, price: int | None, video_id: str | None, told: str) -> None:
    text = error_text(replace(JOB, charged=charged, price=price, video_id=video_id), has_pair=True)
    assert f"\n\nWas it charged?\n    {told}\n\nWhat to do\n" in text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\udce9.jpg"),
        ("two\nlines.jpg", "'two\\nlines.jpg'"),
        ("\N{BEACH WITH UMBRELLA} café.jpg", "\N{BEACH WITH UMBRELLA} café.jpg"),
    ],
)
def test_strange_names_stay_on_one_line_and_in_valid_text(name: str, shown: str) -> None:
    text = error_text(replace(JOB, pair=replace(PAIR, image=name)), has_pair=True)
    assert text.startswith(f"{shown} was not made into a video\n    ")
    text.encode()


def test_a_text_without_its_picture_advises_nothing_that_needs_the_picture() -> None:
    text = error_text(JOB, has_pair=False)
    assert "How to try again\n    Put the picture and its sidecar into the inbox again.\n" in text
    assert "sorawatch retry" not in text
    assert REMOVED_NOTE not in text


def test_a_pair_that_came_back() -> None:
    job = replace(JOB, state=State.WITHDRAWN, clip="trip/beach.mp4", reason="it came back unchanged", hint="Nothing.")
    assert (
        returned_text(job)
        == """\
beach.jpg came back into the inbox and was not ordered again
    it came back unchanged

Was it charged?
    No. Only the first order was charged.

What to do
    Nothing.

What was ordered
    sora-2, 1280x720, 8 seconds, fit crop
    prompt: Gentle waves,
    leaves swaying
"""
    )
