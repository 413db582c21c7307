"""How long a render may take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action, Context, advance, retry
from sorawatch.core.retry_policy import LATE_TIMEOUTS, WITNESS_TIMEOUTS, Policy, abandoned, may_grow_until
from sorawatch.core.waits import Waits, stalled_poll

NOW = 1_760_000_000_000
HOUR = 3_600_000
WAITS = Waits(longest=900, poll_min=5, poll_max=30, stall=3600, abandon=86_400)


def polled(waited: int, late: int = 0, outcome: o.Outcome | None = None, **changes: Any) -> Job:
    """A job after a poll that brought ``outcome``, ``waited`` milliseconds after its order was accepted."""
    job = Job(
        "k3m9x2pq",
        State.RENDERING,
        Pair("", "beach.jpg", Stamp(1, 1)),
        created_at=NOW,
        changed_at=NOW,
        due_at=NOW + waited - late,
        submitted_at=NOW,
        token="t",
        video_id="video_1",
        price=800_000,
        charged=Charged.PERHAPS,
    )
    outcome = outcome or o.Pending(40)
    now = NOW + waited
    return advance(replace(job, **changes), Action.POLL, outcome, Context(now, Policy(WAITS)))


def test_a_render_that_takes_too_long_is_reported_and_asked_after_more_and_more_rarely() -> None:
    assert polled(HOUR - 1).reason == ""
    told = {polled(HOUR * hours).reason for hours in (1, 2, 23)}
    assert told == {
        "stalled: the server has not finished it within 60 minutes; it is asked more and more rarely, "
        "and the job is held after 24 hours"
    }
    waits = [stalled_poll(WAITS, hours * HOUR) // 1000 for hours in (1, 2, 3, 4, 23)]
    assert waits == [30, 390, 750, 900, 900]
    assert polled(2 * HOUR).due_at == NOW + 2 * HOUR + 390_000


def test_patience_never_makes_polls_more_frequent_than_configured() -> None:
    assert stalled_poll(Waits(longest=1, poll_min=60, poll_max=120, stall=10), HOUR) == 120_000


def test_a_render_without_end_is_left_to_a_person() -> None:
    held = polled(24 * HOUR)
    assert (held.state, held.video_id, held.charged) == (State.HELD, "video_1", Charged.PERHAPS)
    assert held.reason == (
        "the server has been rendering it for 24 hours and has not finished it. It may have been charged ($0.80)."
    )
    assert "`sorawatch retry k3m9x2pq`" in held.hint
    again = retry(held, NOW + 30 * HOUR)
    assert again is not None
    assert (again.state, again.changed_at) == (State.RENDERING, NOW + 30 * HOUR)


def test_a_clip_that_comes_after_all_is_taken() -> None:
    assert polled(100 * HOUR, outcome=o.Rendered()).state is State.RENDERED


@pytest.mark.parametrize("away", [30 * HOUR, 9_000 * HOUR])
def test_time_in_which_nobody_looked_tries_no_patience(away: int) -> None:
    """The daemon was stopped, or the clock was set forward."""
    after = polled(away, late=away - 60_000)
    assert (after.state, after.reason) == (State.RENDERING, "")
    assert after.changed_at < NOW + away


def test_a_queue_of_polls_is_no_absence() -> None:
    assert polled(24 * HOUR, late=300_000).state is State.HELD


def test_an_answer_begins_the_count_of_failures_anew() -> None:
    failed = polled(1_000, outcome=o.TemporaryFailure("HTTP 500", counts=False), attempts=3)
    assert (failed.attempts, failed.reason) == (4, "HTTP 500")
    assert polled(1_000, attempts=4, reason="HTTP 500").attempts == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "1 minutes"), (7199, "119.983 minutes"), (7200, "2 hours"), (9000, "2.5 hours")]
)
def test_two_hours_and_more_are_told_in_hours(seconds: int, text: str) -> None:
    assert f" for {text} and " in abandoned(Waits(abandon=seconds))


@pytest.mark.parametrize(("age", "until"), [(-1, None), (0, NOW + 120_000), (119_999, NOW + 120_000), (120_000, None)])
def test_a_picture_may_grow_for_two_minutes(age: int, until: int | None) -> None:
    """Before it was found, the clock was set back, and nothing is known."""
    job = Job("k3m9x2pq", State.FOUND, Pair("", "beach.jpg", Stamp(1, 1)), created_at=NOW, changed_at=NOW, due_at=NOW)
    assert may_grow_until(job, NOW + age, Policy(WAITS).damaged_grace_seconds) == until


def test_a_failed_clip_is_ordered_once_again_unless_told() -> None:
    assert Policy(WAITS).failed_generations == 1


def test_how_long_an_order_may_be_under_way_follows_from_how_long_a_request_may_take() -> None:
    assert (LATE_TIMEOUTS, WITNESS_TIMEOUTS) == (1.5, 6)
