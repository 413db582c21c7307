"""A job as the JSON beside its reference: all that is needed to go on comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.job_record import VERSION, from_record, to_record
from sorawatch.core.order import Fit, Order, Point, Size

NOW = 1_760_000_000_000
LATER = NOW + 86_400_000
ORDER = Order("waves", "sora-2", Size(1280, 720), 8, Fit.PAD, 3, Point(0.5, 0.3), 2)
JOB = Job(
    id="j1",
    state=State.READY,
    pair=Pair("trip", "beach.jpg", Stamp(1000, 5), "beach.yaml", Stamp(20, 6)),
    created_at=NOW,
    changed_at=NOW,
    due_at=NOW,
    order=ORDER,
    digest="d" * 64,
    reference_digest="r" * 64,
    price=800_000,
)
SUBMITTED = replace(JOB, token="t1", submitted_at=NOW + 1_000)
FOLLOWED = replace(SUBMITTED, video_id="video_1")


def read(record: dict[str, object]) -> Job:
    """The job from a record that was on disk."""
    return from_record(json.loads(json.dumps(record)), LATER)


def test_what_was_asked_for_comes_back() -> None:
    again = read(to_record(JOB))
    assert (again.id, again.pair, again.order, again.price) == (JOB.id, JOB.pair, ORDER, 800_000)
    assert (again.created_at, again.changed_at, again.due_at) == (LATER, LATER, LATER)


def test_the_account_that_bought_it_comes_back() -> None:
    assert read(to_record(replace(SUBMITTED, account="0123456789abcdef"))).account == "0123456789abcdef"
    older = to_record(SUBMITTED)
    del older["account"]
    assert read(older).account is None


def test_a_picture_without_a_sidecar_comes_back() -> None:
    bare = replace(JOB, pair=Pair("", "beach.jpg", Stamp(1000, 5)))
    assert read(to_record(bare)).pair == bare.pair


@pytest.mark.parametrize(
    ("job", "state", "charged", "lost_at"),
    [
        (JOB, State.FOUND, Charged.NO, None),
        (SUBMITTED, State.UNCERTAIN, Charged.PERHAPS, LATER),
        (FOLLOWED, State.RENDERING, Charged.PERHAPS, None),
        (replace(JOB, video_id="video_1"), State.RENDERING, Charged.PERHAPS, None),
    ],
    ids=["not submitted", "submitted", "followed", "followed, its token unknown"],
)
def test_it_goes_on_from_what_was_surely_done(job: Job, state: State, charged: Charged, lost_at: int | None) -> None:
    again = read(to_record(job))
    assert (again.state, again.charged, again.lost_at) == (state, charged, lost_at)
    assert (again.token, again.submitted_at, again.video_id) == (job.token, job.submitted_at, job.video_id)


@pytest.mark.parametrize("job", [SUBMITTED, FOLLOWED, replace(JOB, video_id="video_1")])
def test_what_was_bought_keeps_its_digests(job: Job) -> None:
    again = read(to_record(job))
    assert (again.digest, again.reference_digest) == (JOB.digest, JOB.reference_digest)


def test_what_was_not_submitted_is_prepared_anew() -> None:
    again = read(to_record(JOB))
    assert (again.digest, again.reference_digest) == ("", "")


def test_a_record_from_before_takes_and_references_were_kept_is_read() -> None:
    old: dict[str, Any] = to_record(FOLLOWED)
    del old["reference_digest"], old["order"]["take"]
    again = read(old)
    assert again.order == replace(ORDER, take=1)
    assert again.reference_digest == ""


def test_a_record_of_a_newer_version_is_refused() -> None:
    assert to_record(JOB)["version"] == VERSION == 1
    with pytest.raises(ValueError, match="version 2"):
        read({**to_record(JOB), "version": 2})


@pytest.mark.parametrize("damage", [{"pair": None, "image_stamp": None}, {"order": None}, {"order": "waves"}])
def test_what_is_no_record_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Error"):
        read({**to_record(JOB), **damage})
