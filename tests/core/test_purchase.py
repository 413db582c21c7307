"""What a submit came to, as far as money goes. `test_lifecycle` holds it against a server's own books."""

from __future__ import annotations

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.answers import Failure
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action, advance
from sorawatch.core.order import Order, Size
from sorawatch.core.purchase import Standing
from sorawatch.core.purchase_outcome import standing_after
from sorawatch.core.retry_policy import Policy
from sorawatch.core.schedule import Waits

NOW = 1_760_000_000_000
SENT = Job(
    "k3m9x2pq",
    State.SUBMITTING,
    Pair("", "beach.jpg", Stamp(1000, 5)),
    created_at=NOW,
    due_at=NOW,
    changed_at=NOW,
    order=Order("waves", "sora-2", Size(1280, 720), 8),
    price=800_000,
    token="t",
    submitted_at=NOW,
    charged=Charged.PERHAPS,
)


def job(state: State, **fields: object) -> Job:
    values = {name: getattr(SENT, name) for name in SENT.__slots__}
    return Job(**{**values, "state": state, **fields})


def standing(before: Job, action: Action, outcome: o.Outcome, **policy: object) -> Standing | None:
    patience = Policy(Waits(), **policy)
    return standing_after(action, outcome, advance(before, action, outcome, now=NOW, policy=patience, jitter=0.5))


def failure(code: str, *, moderated: bool = False) -> o.GenerationFailed:
    return o.GenerationFailed(Failure(code, "no", moderated))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (o.Accepted("video_1"), None),
        (o.Unknown("timed out"), None),
        (o.FailedForNow("HTTP 500"), Standing.RELEASED),
        (o.FailedForGood("moderated"), Standing.RELEASED),
        (o.Halted("no credit", "top up", passing=False, retry_after=None), Standing.RELEASED),
        (o.ReferenceLost(), Standing.RELEASED),
    ],
)
def test_a_submit_is_released_only_where_it_surely_was_not_accepted(outcome: o.Outcome, expected: Standing | None):
    assert standing(SENT, Action.SUBMIT, outcome) is expected


@pytest.mark.parametrize(
    ("misses", "outcome", "expected"),
    [
        (0, o.Searched((), complete=True, witnessed=True), None),
        (1, o.Searched((), complete=True, witnessed=True), Standing.RELEASED),
        (1, o.Searched((), complete=True), None),
        (1, o.Searched((), complete=False), None),
        (1, o.Searched((o.Candidate("video_1", certain=True),), complete=True), None),
        (1, o.Searched((o.Candidate("video_1", certain=False),), complete=True), None),
        (1, o.Unlisted("HTTP 404"), None),
        (1, o.FailedForNow("HTTP 500"), None),
        (1, o.Accepted("video_1"), None),
    ],
)
def test_a_lost_submit_is_released_only_by_proof(misses: int, outcome: o.Outcome, expected: Standing | None):
    uncertain = job(State.UNCERTAIN, misses=misses, submitted_at=NOW - 60_000)
    for resubmit in (False, True):
        assert standing(uncertain, Action.RESOLVE, outcome, resubmit_lost=resubmit) is expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (o.Pending(50), None),
        (o.Rendered(), None),
        (failure("oops"), Standing.RELEASED),
        (failure("moderation_blocked", moderated=True), Standing.SPENT),
        (failure("expired"), Standing.SPENT),
        (failure("cancelled"), Standing.SPENT),
        (o.FailedForNow("HTTP 404"), Standing.SPENT),
        (o.FailedForNow("no route", counts=False), None),
        (o.Halted("key refused", "hint", passing=False, retry_after=None), None),
    ],
)
@pytest.mark.parametrize("failed_generations", [0, 1])
def test_a_rendering_is_released_only_if_the_server_failed_it(
    outcome: o.Outcome, expected: Standing | None, failed_generations: int
):
    last = job(State.RENDERING, video_id="video_1", misses=7)
    assert standing(last, Action.POLL, outcome, failed_generations=failed_generations) is expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (o.Delivered("beach.mp4"), Standing.SPENT),
        (o.FailedForGood("expired"), Standing.SPENT),
        (o.FailedForNow("truncated"), None),
        (o.Halted("disk full", "make room", passing=True, retry_after=None), None),
    ],
)
def test_a_clip_that_was_made_is_spent_and_one_that_is_held_can_still_be_had(
    outcome: o.Outcome, expected: Standing | None
):
    last = job(State.RENDERED, video_id="video_1", charged=Charged.YES, misses=7)
    assert standing(last, Action.DELIVER, outcome) is expected


@pytest.mark.parametrize("state", [State.DELIVERED, State.REJECTED, State.WITHDRAWN])
def test_filing_changes_nothing(state: State):
    assert standing(job(state), Action.ARCHIVE, o.Filed(("beach.jpg",))) is None
