"""What a purchase that the state did not know makes of its job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.core.job import FINAL, Charged, Job, Pair, Stamp, State
from sorawatch.core.order import Aim, Order, Size
from sorawatch.core.purchase import Purchase, Standing
from sorawatch.core.purchase_recovery import recovered

NOW = 1_760_000_000_000
ORDER = Order("waves", "sora-2", Size(1280, 720), 8)
READY = Job(
    "k3m9x2pq", State.READY, Pair("", "beach.jpg", Stamp(1, 1)), NOW - 9, NOW - 9, NOW - 9, ORDER, digest="d" * 64
)
OPEN = Purchase("t", READY.id, NOW - 5, 800_000, Standing.OPEN, None, "k" * 64, "l" * 64, size="1280x720", seconds=8)
KNOWN = replace(OPEN, video_id="video_1")
DELIVERED = replace(KNOWN, standing=Standing.SPENT, clip="beach.mp4")

_UNRESOLVED = {State.FOUND, State.READY, State.SUBMITTING, State.UNCERTAIN, State.RENDERING, State.RENDERED, State.HELD}


@pytest.mark.parametrize("state", State)
def test_what_was_delivered_is_only_filed(state: State) -> None:
    after = recovered(replace(READY, state=state), DELIVERED, NOW)
    if state not in _UNRESOLVED:
        assert after is None
        return
    assert after is not None
    assert (after.state, after.clip, after.charged) == (State.DELIVERED, "beach.mp4", Charged.YES)
    assert (after.token, after.price, after.video_id) == ("t", 800_000, "video_1")


@pytest.mark.parametrize("state", [State.READY, State.UNCERTAIN, State.HELD, State.RENDERING])
def test_a_known_video_is_followed(state: State) -> None:
    after = recovered(replace(READY, state=state, attempts=3, reason="why"), KNOWN, NOW)
    assert after is not None
    assert (after.state, after.video_id, after.due_at, after.attempts) == (State.RENDERING, "video_1", NOW, 0)
    assert recovered(after, KNOWN, NOW) is None


def test_an_order_of_which_nothing_was_heard_is_looked_for_from_when_it_was_sent() -> None:
    after = recovered(READY, OPEN, NOW)
    assert after is not None
    assert (after.state, after.token, after.submitted_at, after.lost_at) == (State.UNCERTAIN, "t", NOW - 5, NOW)
    assert after.charged is Charged.PERHAPS
    assert recovered(after, OPEN, NOW) is None


def test_a_picture_that_is_not_prepared_is_that_first() -> None:
    found = replace(READY, state=State.FOUND, digest="", order=replace(ORDER, size=Aim.AUTO))
    after = recovered(found, OPEN, NOW)
    assert after == replace(found, token="t", charged=Charged.PERHAPS)
    ready = replace(after, state=State.READY, digest="d" * 64)
    again = recovered(ready, OPEN, NOW)
    assert again is not None
    assert again.state is State.UNCERTAIN


def test_the_size_is_what_was_ordered() -> None:
    found = replace(READY, state=State.FOUND, digest="", order=replace(ORDER, size=Aim.AUTO))
    after = recovered(found, DELIVERED, NOW)
    assert after is not None
    assert after.order == ORDER


def test_what_was_charged_and_came_to_nothing_is_not_ordered_by_itself() -> None:
    spent = replace(KNOWN, standing=Standing.SPENT)
    after = recovered(READY, spent, NOW)
    assert after is not None
    assert (after.state, after.charged) == (State.REJECTED, Charged.YES)
    assert recovered(replace(READY, state=State.RENDERING), spent, NOW) is None


@pytest.mark.parametrize("state", [state for state in State if state not in FINAL])
def test_what_was_not_accepted_changes_nothing(state: State) -> None:
    assert recovered(replace(READY, state=state), replace(KNOWN, standing=Standing.RELEASED), NOW) is None


def test_nothing_is_left_of_what_failed_before() -> None:
    tried = replace(
        READY,
        state=State.HELD,
        retry_state=State.READY,
        attempts=3,
        misses=2,
        unwatched_ms=7,
        reason="why",
        hint="what to do",
        lost_at=NOW - 3,
        progress=40,
    )
    assert recovered(tried, KNOWN, NOW) == replace(
        READY,
        state=State.RENDERING,
        due_at=NOW,
        changed_at=NOW,
        price=800_000,
        token="t",
        submitted_at=NOW - 5,
        video_id="video_1",
        charged=Charged.PERHAPS,
    )
