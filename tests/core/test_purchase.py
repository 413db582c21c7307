"""What a submit came to, as far as money goes. `test_lifecycle` holds it against a server's own books."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action, Context, advance
from sorawatch.core.order import Order, Size
from sorawatch.core.purchase import (
    LedgerEntry,
    Purchase,
    PurchaseClosed,
    Standing,
    VideoKnown,
    merged,
    posted,
    untold,
)
from sorawatch.core.purchase_outcome import standing_after
from sorawatch.core.retry_policy import Policy
from sorawatch.core.video_responses import Failure
from sorawatch.core.waits import Waits
from sorawatch.errors import Cause

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


def job(state: State, **fields: Any) -> Job:
    values = {name: getattr(SENT, name) for name in SENT.__slots__}
    return Job(**{**values, "state": state, **fields})


def standing(before: Job, action: Action, outcome: o.Outcome, **policy: Any) -> Standing | None:
    patience = Policy(Waits(), **policy)
    return standing_after(action, outcome, advance(before, action, outcome, Context(NOW, patience)))


def failure(code: str, *, moderated: bool = False) -> o.GenerationFailed:
    return o.GenerationFailed(Failure(code, "no", moderated))


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (o.Accepted("video_1"), None),
        (o.AnswerLost("timed out"), None),
        (o.TemporaryFailure("HTTP 500"), Standing.RELEASED),
        (o.PermanentFailure("moderated"), Standing.RELEASED),
        (o.Blocked(Cause("no credit", "top up", temporary=False)), Standing.RELEASED),
        (o.ReferenceLost(), Standing.RELEASED),
    ],
)
def test_a_submit_is_released_only_where_it_surely_was_not_accepted(
    outcome: o.Outcome, expected: Standing | None
) -> None:
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
        (1, o.TemporaryFailure("HTTP 500"), None),
        (1, o.Accepted("video_1"), None),
    ],
)
def test_a_lost_submit_is_released_only_by_proof(misses: int, outcome: o.Outcome, expected: Standing | None) -> None:
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
        (o.TemporaryFailure("HTTP 404"), Standing.SPENT),
        (o.TemporaryFailure("no route", counts=False), None),
        (o.Blocked(Cause("key refused", "hint", temporary=False)), None),
    ],
)
@pytest.mark.parametrize("failed_generations", [0, 1])
def test_a_rendering_is_released_only_if_the_server_failed_it(
    outcome: o.Outcome, expected: Standing | None, failed_generations: int
) -> None:
    last = job(State.RENDERING, video_id="video_1", misses=7)
    assert standing(last, Action.POLL, outcome, failed_generations=failed_generations) is expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (o.Delivered("beach.mp4"), Standing.SPENT),
        (o.PermanentFailure("expired"), Standing.SPENT),
        (o.TemporaryFailure("truncated"), None),
        (o.Blocked(Cause("disk full", "make room", temporary=True)), None),
    ],
)
def test_a_clip_that_was_made_is_spent_and_one_that_is_held_can_still_be_had(
    outcome: o.Outcome, expected: Standing | None
) -> None:
    last = job(State.RENDERED, video_id="video_1", charged=Charged.YES, misses=7)
    assert standing(last, Action.DELIVER, outcome) is expected


@pytest.mark.parametrize("state", [State.DELIVERED, State.REJECTED, State.WITHDRAWN])
def test_filing_changes_nothing(state: State) -> None:
    assert standing(job(state), Action.ARCHIVE, o.Archived(("beach.jpg",))) is None


BOUGHT = Purchase("t", "k3m9x2pq", NOW, 800_000, Standing.OPEN, None, "key", "likeness")


def test_the_ledger_tells_a_purchase_then_its_video_then_its_end() -> None:
    entries = (BOUGHT, VideoKnown("t", "video_1"), PurchaseClosed("t", Standing.SPENT, "beach.mp4"))
    purchase = None
    for entry in entries:
        purchase = posted(purchase, entry)
    assert purchase == replace(BOUGHT, video_id="video_1", standing=Standing.SPENT, clip="beach.mp4")


def test_an_end_without_a_clip_takes_none_away() -> None:
    delivered = replace(BOUGHT, clip="beach.mp4")
    assert posted(delivered, PurchaseClosed("t", Standing.SPENT, None)) == replace(delivered, standing=Standing.SPENT)


def test_a_purchase_that_is_told_twice_keeps_what_is_known() -> None:
    settled = replace(BOUGHT, standing=Standing.SPENT, video_id="video_1")
    assert posted(settled, BOUGHT) == settled
    assert posted(BOUGHT, settled) == settled


@pytest.mark.parametrize("entry", [VideoKnown("t", "video_1"), PurchaseClosed("t", Standing.SPENT, "beach.mp4")])
def test_of_what_was_never_told_nothing_is_known(entry: LedgerEntry) -> None:
    assert posted(None, entry) is None


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (Standing.OPEN, Standing.RELEASED, Standing.RELEASED),
        (Standing.RELEASED, Standing.SPENT, Standing.SPENT),
        (Standing.SPENT, Standing.OPEN, Standing.SPENT),
        (Standing.OPEN, Standing.OPEN, Standing.OPEN),
    ],
)
def test_two_records_know_the_heavier_end(one: Standing, other: Standing, together: Standing) -> None:
    records = replace(BOUGHT, standing=one), replace(BOUGHT, standing=other)
    assert merged(*records) == merged(*reversed(records)) == replace(BOUGHT, standing=together)


def test_two_records_know_together_what_either_knows() -> None:
    one = replace(BOUGHT, video_id="video_1")
    other = replace(BOUGHT, video_id="video_2", clip="beach.mp4", reference_key="key")
    assert merged(one, other) == replace(one, clip="beach.mp4", reference_key="key")


def test_the_ledger_is_told_what_it_lacks() -> None:
    known = replace(BOUGHT, token="known", video_id="video_1")
    opened = replace(BOUGHT, token="opened")
    settled = replace(opened, standing=Standing.SPENT)
    new = replace(BOUGHT, token="new")
    ledger = {"known": known, "opened": opened}
    assert untold([replace(known, video_id=None), settled, new], ledger) == [settled, new]


def test_a_purchase_is_the_first_of_its_picture_unless_told() -> None:
    assert BOUGHT.take == 1
