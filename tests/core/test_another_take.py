"""When two jobs order the same, and when one may be ordered once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sorawatch.core.another_take import is_continued_by, is_same, new_take, require_repeatable
from sorawatch.core.job import FINAL, Job, Pair, Stamp, State
from sorawatch.core.order import Fit, Order, Size
from sorawatch.errors import Rejected

ORDER = Order("waves", "sora-2", Size(1280, 720), 8)
DONE = Job(
    "k3m9x2pq",
    State.DONE,
    Pair("", "beach.jpg", Stamp(1, 1)),
    1,
    1,
    1,
    ORDER,
    digest="d" * 64,
    reference_digest="r" * 64,
    filed=("beach.jpg",),
    token="t",
    clip="beach.mp4",
)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"digest": "e" * 64}, True),
        ({"reference_digest": "s" * 64}, True),
        ({"digest": "e" * 64, "reference_digest": "s" * 64}, False),
        ({"digest": "e" * 64, "reference_digest": ""}, False),
        ({"order": replace(ORDER, take=2)}, True),
        ({"order": replace(ORDER, priority=9)}, True),
        ({"order": replace(ORDER, seconds=4)}, False),
        ({"order": replace(ORDER, fit=Fit.PAD)}, False),
        ({"order": None}, False),
    ],
)
def test_jobs_order_the_same_by_the_picture_or_the_reference(change: dict[str, Any], same: bool) -> None:
    other = replace(DONE, id="other", **change)
    assert is_same(DONE, other) is same
    assert is_same(other, DONE) is same


def test_what_is_not_prepared_is_the_same_as_nothing() -> None:
    found = replace(DONE, digest="", reference_digest="")
    assert not is_same(found, replace(found, id="other"))


MOVED = replace(DONE, id="moved", pair=Pair("trip", "coast.jpg", Stamp(1, 1)), token=None)
SIDECAR = Pair("trip", "coast.jpg", Stamp(1, 1), "coast.yaml", Stamp(2, 2))


@pytest.mark.parametrize(
    ("change", "is_present", "continued"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"order": replace(ORDER, seconds=4)}, False, True),
        ({"pair": SIDECAR}, False, True),
        ({"pair": SIDECAR, "order": replace(ORDER, seconds=4)}, False, False),
        ({"digest": "e" * 64, "reference_digest": "s" * 64}, False, False),
        ({"pair": DONE.pair}, True, True),
        ({"pair": DONE.pair, "order": replace(ORDER, seconds=4)}, False, False),
    ],
)
def test_a_moved_pair_continues_the_job_that_it_was_bought_for(
    change: dict[str, Any], is_present: bool, continued: bool
) -> None:
    assert is_continued_by(DONE, replace(MOVED, **change), lambda path: is_present and path == "beach.jpg") is continued


@pytest.mark.parametrize("state", [State.DELIVERED, State.WITHDRAWN])
def test_a_pair_that_sorawatch_moves_out_of_the_inbox_is_not_taken_for_a_renamed_one(state: State) -> None:
    older = replace(DONE, state=state)
    assert not is_continued_by(older, MOVED, lambda path: False)
    assert is_continued_by(older, replace(MOVED, pair=DONE.pair), lambda path: False)


def test_another_takes_over_the_order_and_the_pair_and_nothing_of_what_was_bought() -> None:
    more = new_take(DONE, 2, "another", 5)
    assert (more.id, more.state, more.pair, more.filed) == ("another", State.RESTORING, DONE.pair, DONE.filed)
    assert more.order == replace(ORDER, take=2)
    assert (more.token, more.clip, more.video_id, more.price) == (None, None, None, None)


@pytest.mark.parametrize("state", State)
def test_only_what_has_ended_can_be_ordered_once_more(state: State) -> None:
    job = replace(DONE, state=state)
    if state in FINAL:
        require_repeatable(job)
        return
    with pytest.raises(Rejected, match="job k3m9x2pq cannot be ordered once more now: it") as refused:
        require_repeatable(job)
    assert "k3m9x2pq`" in refused.value.hint


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"filed": ()}, "Drop the pair into the inbox"),
        ({"state": State.FAILED, "digest": ""}, "`sorawatch retry k3m9x2pq` tries it again"),
        ({"digest": ""}, "Drop the pair into the inbox"),
    ],
)
def test_a_pair_that_is_not_there_or_was_never_ordered(change: dict[str, Any], told: str) -> None:
    with pytest.raises(Rejected) as refused:
        require_repeatable(replace(DONE, **change))
    assert told in refused.value.hint
