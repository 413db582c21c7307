"""Every transition of a job: a table that pins them all, and a life at random that keeps the promises."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sorawatch.core import lifecycle
from sorawatch.core import outcome as o
from sorawatch.core.job import FINAL, UNPAID, Billing, Charged, Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action, Context, IllegalTransition, advance, begin, decide
from sorawatch.core.order import Aim, Order, Size
from sorawatch.core.purchase import Standing
from sorawatch.core.purchase_outcome import standing_after
from sorawatch.core.retry_policy import Policy
from sorawatch.core.video_responses import Failure
from sorawatch.core.waits import Waits
from sorawatch.errors import Cause

NOW = 1_760_000_000_000
POLICY = Policy(Waits())
PAIR = Pair("trip", "beach.jpg", Stamp(1000, 5), "beach.yaml", Stamp(20, 6))
ORDER = Order("waves", "sora-2", Size(1280, 720), 8)

TEMPORARY = (o.TemporaryFailure, o.Blocked)
CAN_COME_TO = {
    Action.PREPARE: {o.Prepared, o.Incomplete, o.PermanentFailure, *TEMPORARY},
    Action.SUBMIT: {o.Accepted, o.AnswerLost, o.ReferenceLost, o.NotSent, o.PermanentFailure, *TEMPORARY},
    Action.RESOLVE: {o.Accepted, o.Searched, o.Unlisted, *TEMPORARY},
    Action.POLL: {o.Pending, o.Rendered, o.GenerationFailed, *TEMPORARY},
    Action.DELIVER: {o.NameChosen, o.Delivered, o.PermanentFailure, *TEMPORARY},
    Action.ARCHIVE: {o.Archived, *TEMPORARY},
    Action.RESTORE: {o.Restored, o.PermanentFailure, *TEMPORARY},
}
"""What the performer, and the hands where it breaks, can make of each action."""

OUTCOMES: dict[str, o.Outcome] = {
    "prepared": o.Prepared(Size(1280, 720), "d" * 64, "cropped", "r" * 64),
    "not whole": o.Incomplete("cut off", "Copy it again."),
    "accepted": o.Accepted("video_1"),
    "found": o.Searched((o.Candidate("video_1", certain=True),), complete=True),
    "found in part of the list": o.Searched((o.Candidate("video_1", certain=True),), complete=False),
    "perhaps found": o.Searched((o.Candidate("video_1", certain=False),), complete=True),
    "found under another model": o.Searched((o.Candidate("video_1", certain=True, differs=True),), complete=True),
    "found beside another model's": o.Searched(
        (o.Candidate("video_2", certain=True, differs=True), o.Candidate("video_1", certain=True)), complete=True
    ),
    "found twice": o.Searched(tuple(o.Candidate(f"video_{n}", certain=True) for n in (1, 2)), complete=True),
    "not in the list": o.Searched((), complete=True, witnessed=True),
    "not in a list of nothing of ours": o.Searched((), complete=True),
    "not in it yet": o.Searched((), complete=True, expectant=True),
    "not in part of the list": o.Searched((), complete=False),
    "no list": o.Unlisted("HTTP 404"),
    "pending": o.Pending(40),
    "rendered": o.Rendered(),
    "generation failed": o.GenerationFailed(Failure("oops", "it broke", moderated=False)),
    "moderated": o.GenerationFailed(Failure("moderation_blocked", "no", moderated=True)),
    "expired": o.GenerationFailed(Failure("expired", "gone after an hour", moderated=False)),
    "name chosen": o.NameChosen("trip/beach.mp4", "c" * 64),
    "delivered": o.Delivered("trip/beach.mp4"),
    "filed": o.Archived(("beach.jpg", "beach.yaml")),
    "restored": o.Restored(),
    "put back": o.Restored(PAIR, goes_on=True),
    "reference lost": o.ReferenceLost(),
    "withheld": o.NotSent("it was not sent in time"),
    "failed for now": o.TemporaryFailure("HTTP 500"),
    "out of reach": o.TemporaryFailure("no route", counts=False),
    "failed for good": o.PermanentFailure("bad", "hint"),
    "unknown": o.AnswerLost("timed out"),
    "halted": o.Blocked(Cause("no credit", "top up", temporary=False)),
}


def job_in(state: State, **changes: Any) -> Job:
    """A job as it is found in ``state``."""
    sent = state not in UNPAID
    paid = {State.RENDERING, State.RENDERED, State.DELIVERED}
    job = Job(
        "k3m9x2pq",
        state,
        PAIR,
        created_at=NOW - 60_000,
        due_at=NOW,
        changed_at=NOW - 50_000,
        order=ORDER,
        digest="d" * 64,
        price=800_000 if sent else None,
        token="t" * 32 if sent else None,
        submitted_at=NOW - 50_000 if sent else None,
        video_id="video_0" if state in paid else None,
        charged=Charged.PERHAPS if sent else Charged.NO,
        retry_state=State.READY if state is State.HELD else None,
    )
    return replace(job, **changes)


def after(job: Job, action: Action, outcome: o.Outcome, policy: Policy = POLICY, jitter: float = 0.5) -> Job:
    return advance(job, action, outcome, Context(NOW, policy, jitter))


def test_the_samples_cover_every_outcome() -> None:
    assert {type(outcome) for outcome in OUTCOMES.values()} == set(get_args(o.Outcome))


def test_an_outcome_claims_nothing_by_itself() -> None:
    assert (o.Restored().goes_on, o.PermanentFailure("bad").about_content) == (False, False)


def test_a_pair_that_came_back_is_where_it_was_put() -> None:
    restoring, moved = job_in(State.RESTORING), Pair("trip", "beach 2.jpg", Stamp(1000, 5))
    assert after(restoring, Action.RESTORE, o.Restored(moved)).pair == moved
    assert after(restoring, Action.RESTORE, o.Restored()).pair == PAIR


def test_every_transition() -> None:
    """All that there is: what is missing here is illegal, for every state, action and outcome."""

    def stays(state: State) -> dict[str, str]:
        return dict.fromkeys(("failed for now", "out of reach", "halted"), state.value)

    expected = {
        (State.FOUND, Action.PREPARE): {
            "prepared": "ready",
            "not whole": "found",
            "failed for good": "rejected",
            **stays(State.FOUND),
        },
        (State.SUBMITTING, Action.SUBMIT): {
            "accepted": "rendering",
            "unknown": "uncertain",
            "reference lost": "found",
            "withheld": "ready",
            "failed for good": "rejected",
            **stays(State.READY),
        },
        (State.UNCERTAIN, Action.RESOLVE): {
            "accepted": "rendering",
            "found": "rendering",
            "found in part of the list": "rendering",
            "perhaps found": "held",
            "found under another model": "uncertain",
            "found beside another model's": "rendering",
            "found twice": "held",
            "not in the list": "uncertain",
            "not in a list of nothing of ours": "uncertain",
            "not in it yet": "uncertain",
            "not in part of the list": "held",
            "no list": "held",
            **stays(State.UNCERTAIN),
        },
        (State.RENDERING, Action.POLL): {
            "pending": "rendering",
            "rendered": "rendered",
            "generation failed": "ready",
            "moderated": "rejected",
            "expired": "rejected",
            **stays(State.RENDERING),
        },
        (State.RENDERED, Action.DELIVER): {
            "name chosen": "rendered",
            "delivered": "delivered",
            "failed for good": "rejected",
            **stays(State.RENDERED),
        },
        (State.DELIVERED, Action.ARCHIVE): {"filed": "done", **stays(State.DELIVERED)},
        (State.REJECTED, Action.ARCHIVE): {"filed": "failed", **stays(State.REJECTED)},
        (State.WITHDRAWN, Action.ARCHIVE): {"filed": "cancelled", **stays(State.WITHDRAWN)},
        (State.RESTORING, Action.RESTORE): {
            "restored": "cancelled",
            "put back": "found",
            "failed for good": "rejected",
            **stays(State.RESTORING),
        },
    }
    found: dict[tuple[State, Action], dict[str, str]] = {}
    for state, action, (name, outcome) in itertools.product(State, Action, OUTCOMES.items()):
        try:
            became = after(job_in(state), action, outcome)
        except IllegalTransition:
            continue
        found.setdefault((state, action), {})[name] = became.state.value
    assert found == expected


def test_an_action_comes_to_what_the_performer_can_make_of_it_and_to_nothing_else() -> None:
    for state, action in {**lifecycle.ACTIONS, State.SUBMITTING: Action.SUBMIT}.items():
        if state is State.READY:
            continue
        for outcome in OUTCOMES.values():
            if type(outcome) in CAN_COME_TO[action]:
                after(job_in(state), action, outcome)
            else:
                with pytest.raises(IllegalTransition, match=f"{action} cannot come to {type(outcome).__name__}"):
                    after(job_in(state), action, outcome)


def test_the_table_names_exactly_the_states_that_each_outcome_can_lead_to() -> None:
    """Over jobs, policies and outcomes that take every branch."""
    jobs: list[dict[str, object]] = [
        {},
        {"price": 0},
        {"price": 0, "reorders": 3},
        {"price": 0, "misses": 99},
        {"misses": 99, "losses": 9},
        {"misses": 99, "submitted_at": NOW - 3_600_000, "lost_reason": "moderation_blocked"},
        {"misses": 99, "submitted_at": NOW - 3_600_000},
        {"misses": 99, "lost_at": NOW},
        {"attempts": 99, "created_at": NOW - 86_400_000},
        {"changed_at": NOW - 10 * 86_400_000},
    ]
    policies = [POLICY, replace(POLICY, resubmit_lost=True, attempts=1)]
    reached: dict[tuple[Action, type[o.Outcome]], set[State]] = {}
    for state, action in {**dict(lifecycle.ACTIONS), State.SUBMITTING: Action.SUBMIT}.items():
        for changes, policy, outcome in itertools.product(jobs, policies, OUTCOMES.values()):
            if state is not State.READY and (action, type(outcome)) in lifecycle.TRANSITIONS:
                became = after(job_in(state, **changes), action, outcome, policy)
                reached.setdefault((action, type(outcome)), set()).add(became.state)
    assert reached == {key: set(transition.leads_to) for key, transition in lifecycle.TRANSITIONS.items()}


def test_the_table_of_what_people_can_do_is_that_of_the_functions() -> None:
    """A transition that changes the state; what stays as it is, such as a retry of a waiting job, is none."""

    def became(cause: str, job: Job) -> Job | None:
        match cause:
            case "retry":
                return lifecycle.retry(job, NOW)
            case "cancel":
                return lifecycle.withdraw(job, NOW)
            case "picture taken away":
                return lifecycle.cancel_unpaid(job, NOW, "gone")
            case "came back after delivery" if job.state in UNPAID:
                return lifecycle.withdraw_returned(job, NOW, "beach.mp4", "it came back", "")
            case "bought before" if job.state in UNPAID:
                return lifecycle.follow_video(job, "video_9", Context(NOW, POLICY))
            case "adopt" if job.wants_video:
                return lifecycle.follow_video(job, "video_9", Context(NOW, POLICY))
            case "refused, as was learnt late":
                return lifecycle.not_accepted(job, NOW, "the server did not take it")
            case "restart":
                return lifecycle.interrupt_submit(job, NOW)
        return None

    found: dict[str, dict[State, set[State]]] = {}
    for cause, state in itertools.product(lifecycle.BY_PERSON, State):
        retries: tuple[State | None, ...] = (None,)
        if state is State.HELD:
            retries = (State.READY, State.UNCERTAIN, State.RENDERING)
        for retry_state in retries:
            try:
                after = became(cause, job_in(state, retry_state=retry_state, filed=("beach.jpg",)))
            except IllegalTransition:
                continue
            if after is not None and after.state is not state:
                found.setdefault(cause, {}).setdefault(state, set()).add(after.state)
    expected = {
        cause: {state: set(states) for state, states in table.items()} for cause, table in lifecycle.BY_PERSON.items()
    }
    assert found == expected


def test_a_retry_takes_a_held_job_to_the_state_that_it_was_held_with() -> None:
    for outcome, retry_state in {
        "no list": State.READY,
        "perhaps found": State.READY,
    }.items():
        held = after(job_in(State.UNCERTAIN), Action.RESOLVE, OUTCOMES[outcome])
        assert (held.state, held.retry_state) == (State.HELD, retry_state)
    once = replace(POLICY, attempts=1)
    search = after(job_in(State.UNCERTAIN), Action.RESOLVE, OUTCOMES["failed for now"], once)
    download = after(job_in(State.RENDERED), Action.DELIVER, OUTCOMES["failed for now"], once)
    assert [each.retry_state for each in (search, download)] == [State.UNCERTAIN, State.RENDERING]
    for held in (search, download):
        again = lifecycle.retry(held, NOW)
        assert again is not None
        assert (again.state, again.retry_state) == (held.retry_state, None)


def test_time_in_which_nobody_polled_is_no_time_that_the_server_took() -> None:
    day = 86_400_000
    old = job_in(State.RENDERING, changed_at=NOW - 9 * day - 3_600_000, due_at=NOW - 9 * day)
    waiting = after(old, Action.POLL, OUTCOMES["pending"])
    assert (waiting.state, waiting.changed_at) == (State.RENDERING, old.changed_at)
    assert waiting.unwatched_ms == 9 * day - 600_000


def test_what_each_state_calls_for() -> None:
    assert {state: decide(job_in(state)) for state in State} == {
        State.FOUND: Action.PREPARE,
        State.READY: Action.SUBMIT,
        State.SUBMITTING: None,
        State.UNCERTAIN: Action.RESOLVE,
        State.RENDERING: Action.POLL,
        State.RENDERED: Action.DELIVER,
        State.DELIVERED: Action.ARCHIVE,
        State.REJECTED: Action.ARCHIVE,
        State.WITHDRAWN: Action.ARCHIVE,
        State.RESTORING: Action.RESTORE,
        State.HELD: None,
        State.DONE: None,
        State.FAILED: None,
        State.CANCELLED: None,
    }


def test_only_what_the_state_calls_for_is_begun() -> None:
    for state, action in itertools.product(State, Action):
        job = job_in(state)
        if decide(job) is not action:
            with pytest.raises(IllegalTransition, match=f"{action} of a job that is {state}"):
                begin(job, action, now=NOW, token="new", price=1)
        elif action is not Action.SUBMIT:
            assert begin(job, action, now=NOW, token="new", price=1) == job


def test_a_submit_is_written_down_before_it_is_sent() -> None:
    ready = job_in(State.READY, attempts=3, misses=1, lost_at=5, reason="HTTP 500", generations=1)
    assert begin(ready, Action.SUBMIT, now=NOW, token="new", price=800_000) == replace(
        ready,
        state=State.SUBMITTING,
        changed_at=NOW,
        due_at=NOW,
        token="new",
        price=800_000,
        submitted_at=NOW,
        lost_at=None,
        misses=0,
        reason="",
        charged=Charged.PERHAPS,
    )


def test_what_is_odd_about_a_clip_is_noted_beside_what_was_done_to_the_picture() -> None:
    def noted(before: str, told: str) -> str:
        return after(job_in(State.RENDERED, note=before), Action.DELIVER, o.Delivered("beach.webm", told)).note

    assert noted("upscaled 2.3×", "a WebM video") == "upscaled 2.3×; a WebM video"
    assert noted("", "a WebM video") == "a WebM video"
    assert noted("upscaled 2.3×", "") == "upscaled 2.3×"


def test_what_people_and_the_inbox_can_do() -> None:
    def became(change: Callable[..., Job | None], job: Job, *arguments: object) -> str | None:
        try:
            after = change(job, *arguments)
        except IllegalTransition:
            return "illegal"
        return None if after is None else after.state.value

    found = {
        state: (
            became(lifecycle.retry, job_in(state), NOW),
            became(lifecycle.withdraw, job_in(state), NOW),
            became(lifecycle.cancel_unpaid, job_in(state), NOW, "gone"),
            became(lifecycle.follow_video, job_in(state), "video_9", Context(NOW, POLICY)),
            became(lifecycle.interrupt_submit, job_in(state), NOW),
        )
        for state in State
    }
    no = "illegal"
    assert found == {
        # The columns: retry, withdraw, cancel_unpaid, follow_video and interrupt_submit.
        State.FOUND: ("found", "withdrawn", "cancelled", "rendering", no),
        State.READY: ("ready", "withdrawn", "cancelled", "rendering", no),
        State.SUBMITTING: (None, None, no, no, "uncertain"),
        State.UNCERTAIN: ("uncertain", "withdrawn", no, "rendering", no),
        State.RENDERING: ("rendering", None, no, no, no),
        State.RENDERED: ("rendered", None, no, no, no),
        State.DELIVERED: ("delivered", None, no, no, no),
        State.REJECTED: ("rejected", None, no, no, no),
        State.WITHDRAWN: ("withdrawn", None, no, no, no),
        State.RESTORING: ("restoring", None, no, no, no),
        State.HELD: ("ready", "withdrawn", no, "rendering", no),
        State.DONE: (None, None, no, no, no),
        State.FAILED: (None, None, no, no, no),
        State.CANCELLED: (None, None, no, no, no),
    }


class TestPrepare:
    def test_settles_the_size_that_was_left_open(self) -> None:
        found = job_in(State.FOUND, order=replace(ORDER, size=Aim.AUTO), digest="")
        ready = after(found, Action.PREPARE, o.Prepared(Size(720, 1280), "e" * 64, "cropped a little", "f" * 64))
        assert ready == replace(
            found,
            state=State.READY,
            changed_at=NOW,
            order=replace(ORDER, size=Size(720, 1280)),
            digest="e" * 64,
            reference_digest="f" * 64,
            note="cropped a little",
        )

    def test_never_gives_a_job_up_over_a_disk_or_a_share(self) -> None:
        waiting = after(job_in(State.FOUND, attempts=1000), Action.PREPARE, o.TemporaryFailure("EIO"))
        assert (waiting.state, waiting.attempts, waiting.reason) == (State.FOUND, 1001, "EIO")
        assert waiting.due_at == NOW + 900_000


class TestSubmit:
    @pytest.fixture
    def sent(self) -> Job:
        return begin(job_in(State.READY, attempts=2), Action.SUBMIT, now=NOW, token="new", price=800_000)

    def test_an_accepted_order_is_polled_and_keeps_its_token(self, sent: Job) -> None:
        rendering = after(sent, Action.SUBMIT, o.Accepted("video_1"))
        assert rendering == replace(
            sent, state=State.RENDERING, video_id="video_1", attempts=0, due_at=NOW + 5000, charged=Charged.PERHAPS
        )

    def test_a_lost_answer_is_looked_for_a_little_later(self, sent: Job) -> None:
        uncertain = after(sent, Action.SUBMIT, o.AnswerLost("timed out"))
        assert uncertain == replace(
            sent,
            state=State.UNCERTAIN,
            attempts=0,
            lost_at=NOW,
            reason="timed out",
            lost_reason="timed out",
            due_at=NOW + 5000,
        )

    @pytest.mark.parametrize("outcome", ["reference lost", "withheld", "failed for now", "failed for good", "halted"])
    def test_nothing_is_left_of_a_submit_that_was_not_accepted(self, sent: Job, outcome: str) -> None:
        job = after(sent, Action.SUBMIT, OUTCOMES[outcome])
        trace = (job.token, job.price, job.submitted_at, job.lost_at, job.video_id, job.charged)
        assert trace == (None, None, None, None, None, Charged.NO)

    def test_a_halt_is_not_the_jobs_fault(self, sent: Job) -> None:
        halted = after(sent, Action.SUBMIT, OUTCOMES["halted"])
        assert (halted.state, halted.attempts, halted.due_at, halted.reason) == (State.READY, 2, NOW, "no credit")

    def test_failures_add_up_over_submits_until_the_job_is_given_up(self) -> None:
        policy = replace(POLICY, attempts=3)
        job, waits = job_in(State.READY), []
        while job.state is State.READY:
            job = begin(job, Action.SUBMIT, now=NOW, token="new", price=800_000)
            job = after(job, Action.SUBMIT, o.TemporaryFailure("HTTP 500"), policy)
            waits.append(job.due_at - NOW)
        assert waits == [5000, 10_000, 0]
        assert (job.state, job.reason) == (State.REJECTED, "HTTP 500 (tried 3 times)")
        assert job.hint == "Move the pair back into the inbox to try again."

    def test_a_single_attempt_is_told_as_one(self, sent: Job) -> None:
        job = after(
            replace(sent, attempts=0), Action.SUBMIT, o.TemporaryFailure("HTTP 500"), replace(POLICY, attempts=1)
        )
        assert job.reason == "HTTP 500 (tried once)"

    def test_the_servers_wish_for_a_wait_is_kept(self, sent: Job) -> None:
        job = after(sent, Action.SUBMIT, o.TemporaryFailure("HTTP 429", retry_after=120))
        assert job.due_at == NOW + 120_000


class TestResolve:
    LOST = job_in(State.UNCERTAIN, submitted_at=NOW - 60_000, lost_at=NOW - 5000, price=800_000)

    def test_one_certain_match_is_adopted(self) -> None:
        rendering = after(self.LOST, Action.RESOLVE, OUTCOMES["found"])
        assert (rendering.state, rendering.video_id, rendering.token) == (State.RENDERING, "video_1", self.LOST.token)

    def test_two_listings_some_seconds_apart_prove_that_it_never_arrived(self) -> None:
        once = after(self.LOST, Action.RESOLVE, OUTCOMES["not in the list"])
        assert (once.state, once.misses, once.due_at) == (State.UNCERTAIN, 1, NOW + 5000)
        twice = after(once, Action.RESOLVE, OUTCOMES["not in the list"])
        assert (twice.state, twice.token, twice.charged) == (State.READY, None, Charged.NO)

    def test_what_is_lost_without_a_trace_again_and_again_is_left_to_a_person(self) -> None:
        again = replace(self.LOST, misses=1, losses=1)
        assert after(again, Action.RESOLVE, OUTCOMES["not in the list"]).losses == 2
        held = after(replace(again, losses=2), Action.RESOLVE, OUTCOMES["not in the list"])
        assert (held.state, held.losses) == (State.HELD, 2)
        retried = lifecycle.retry(held, NOW)
        assert retried is not None
        assert (retried.state, retried.losses) == (State.READY, 0)
        assert after(again, Action.RESOLVE, OUTCOMES["found"]).losses == 0

    def test_a_list_that_shows_nothing_of_ours_is_looked_at_again_and_then_proves_nothing(self) -> None:
        first = after(self.LOST, Action.RESOLVE, OUTCOMES["not in a list of nothing of ours"])
        assert (first.state, first.misses, first.due_at) == (State.UNCERTAIN, 0, NOW + 30_000)
        held = after(first, Action.RESOLVE, OUTCOMES["not in a list of nothing of ours"])
        assert held.state is State.HELD
        assert "its list shows no video of ours, so it may be another account's, or late" in held.reason

    def test_another_order_on_its_way_is_waited_for_so_long_and_no_longer(self) -> None:
        waits = [self.LOST]
        for _ in range(3):
            waits.append(after(waits[-1], Action.RESOLVE, OUTCOMES["not in it yet"]))
        assert {job.state for job in waits} == {State.UNCERTAIN}
        assert waits[-1].witness_until == NOW + 360_000
        over = replace(waits[-1], witness_until=NOW)
        assert after(over, Action.RESOLVE, OUTCOMES["not in it yet"]).state is State.HELD
        once = after(waits[-1], Action.RESOLVE, OUTCOMES["not in the list"])
        assert after(once, Action.RESOLVE, OUTCOMES["not in the list"]).state is State.READY

    def test_what_moderation_refused_is_not_ordered_again_however_it_was_told(self) -> None:
        lost = replace(self.LOST, lost_reason="the server answered HTTP 500: moderation_blocked", misses=1)
        refused = after(lost, Action.RESOLVE, OUTCOMES["not in the list"])
        assert (refused.state, refused.charged, refused.token) == (State.REJECTED, Charged.NO, None)
        policy = replace(POLICY, resubmit_lost=True)
        assert after(lost, Action.RESOLVE, OUTCOMES["no list"], policy).state is State.HELD

    def test_words_that_are_ours_under_another_model_are_looked_at_twice_and_never_bought_again(self) -> None:
        once = after(self.LOST, Action.RESOLVE, OUTCOMES["found under another model"])
        assert (once.state, once.misses, once.due_at) == (State.UNCERTAIN, 1, NOW + 5000)
        twice = after(once, Action.RESOLVE, OUTCOMES["found under another model"])
        assert twice.state is State.HELD
        assert "the server lists videos that may be this one (video_1)" in twice.reason

    def test_nothing_is_proved_while_the_server_may_still_take_it(self) -> None:
        lost = replace(self.LOST, submitted_at=NOW - 20_000)
        once = after(lost, Action.RESOLVE, OUTCOMES["not in the list"])
        twice = after(once, Action.RESOLVE, OUTCOMES["not in the list"])
        assert (once.state, once.due_at) == (twice.state, twice.due_at) == (State.UNCERTAIN, NOW + 40_000)

    @pytest.mark.parametrize(("sent_ago", "proved"), [(0, False), (59_999, False), (60_000, True), (-1, True)])
    def test_an_order_may_arrive_for_a_minute(self, sent_ago: int, proved: bool) -> None:
        """One that was sent in the future was sent before the clock was set back."""
        lost = replace(self.LOST, submitted_at=NOW - sent_ago, misses=1)
        listed = after(lost, Action.RESOLVE, OUTCOMES["not in the list"])
        assert (listed.state is State.READY) is proved
        if not proved:
            assert listed.due_at == NOW + max(5000, 60_000 - sent_ago)

    @pytest.mark.parametrize(
        ("witness_until", "due_at"),
        [
            (None, NOW + 30_000),
            (NOW + 10_000, NOW + 10_000),
            (NOW + 360_000, NOW + 30_000),
            (NOW + 10**9, NOW + 30_000),
        ],
    )
    def test_a_witness_is_looked_for_until_its_time_is_over(self, witness_until: int | None, due_at: int) -> None:
        lost = replace(self.LOST, witness_until=witness_until, misses=1, attempts=2)
        looked = after(lost, Action.RESOLVE, OUTCOMES["not in it yet"])
        assert looked == replace(
            lost,
            misses=0,
            attempts=0,
            due_at=due_at,
            witness_until=min(witness_until or 10**15, NOW + 360_000),
            reason=(
                "the answer to the submit was lost, and its list shows no video of ours, so it may be another account's, "
                "or late; another order that the server accepts will tell"
            ),
        )

    def test_a_witness_is_waited_for_while_the_order_may_arrive(self) -> None:
        lost = replace(self.LOST, witness_until=NOW + 60_000, submitted_at=NOW - 59_999)
        outcome = OUTCOMES["not in a list of nothing of ours"]
        assert after(lost, Action.RESOLVE, outcome).state is State.UNCERTAIN
        assert after(replace(lost, submitted_at=NOW - 60_000), Action.RESOLVE, outcome).state is State.HELD

    def test_a_list_that_lags_is_not_looked_at_more_often_for_a_witness(self) -> None:
        looked = after(self.LOST, Action.RESOLVE, OUTCOMES["not in it yet"], Policy(Waits(first=50)))
        assert looked.due_at == NOW + 50_000

    def test_a_person_is_told_how_many_orders_were_lost(self) -> None:
        held = after(replace(self.LOST, misses=1, losses=2), Action.RESOLVE, OUTCOMES["not in the list"])
        assert "its list shows none of the 3 orders whose answers were lost" in held.reason

    def test_a_second_order_is_risked_twice_at_most(self) -> None:
        policy = replace(POLICY, resubmit_lost=True)
        losses = [after(replace(self.LOST, losses=n), Action.RESOLVE, OUTCOMES["no list"], policy) for n in range(3)]
        assert [(job.state, job.losses) for job in losses] == [(State.READY, 1), (State.READY, 2), (State.HELD, 2)]

    def test_part_of_a_list_is_no_second_proof(self) -> None:
        once = after(self.LOST, Action.RESOLVE, OUTCOMES["not in the list"])
        assert after(once, Action.RESOLVE, OUTCOMES["not in part of the list"]).state is State.HELD

    def test_an_answer_that_was_noted_after_all_is_taken(self) -> None:
        rendering = after(self.LOST, Action.RESOLVE, o.Accepted("video_1"))
        assert (rendering.state, rendering.video_id, rendering.token) == (State.RENDERING, "video_1", self.LOST.token)

    def test_a_failure_between_two_listings_does_not_undo_the_first(self) -> None:
        once = after(self.LOST, Action.RESOLVE, OUTCOMES["not in the list"])
        failed = after(once, Action.RESOLVE, OUTCOMES["failed for now"])
        assert (failed.misses, failed.due_at) == (1, NOW + 5000)

    def test_a_person_who_hurries_it_makes_no_proof_of_two_listings_at_once(self) -> None:
        once = after(self.LOST, Action.RESOLVE, OUTCOMES["not in the list"])
        hurried = lifecycle.retry(once, NOW)
        assert hurried is not None
        assert hurried.due_at == NOW
        assert after(hurried, Action.RESOLVE, OUTCOMES["not in the list"]).state is State.UNCERTAIN

    @pytest.mark.parametrize(
        ("outcome", "told"),
        [
            ("no list", "the server cannot say whether it arrived: HTTP 404"),
            (
                "not in part of the list",
                "the server cannot say whether it arrived: its list does not reach back to the time of the submit",
            ),
            ("perhaps found", "the server lists videos that may be this one (video_1)"),
            ("found twice", "the server lists videos that may be this one (video_1, video_2)"),
        ],
    )
    def test_what_cannot_be_decided_waits_for_a_person_who_is_told_all(self, outcome: str, told: str) -> None:
        held = after(self.LOST, Action.RESOLVE, OUTCOMES[outcome])
        assert held.state is State.HELD
        assert held.reason == f"the answer to the submit was lost, and {told}. It may have been charged ($0.80)."
        assert held.hint == (
            "If the server's own site shows the video: `sorawatch adopt k3m9x2pq VIDEO_ID`. "
            "If it does not: `sorawatch retry k3m9x2pq` orders it again. "
            "`sorawatch cancel k3m9x2pq` gives it up."
        )
        assert (held.token, held.price, held.charged) == (self.LOST.token, 800_000, Charged.PERHAPS)
        again = lifecycle.retry(held, NOW)
        assert again is not None
        assert (again.state, again.token, again.charged) == (State.READY, None, Charged.NO)

    def test_an_unknown_price_is_not_named(self) -> None:
        held = after(replace(self.LOST, price=None), Action.RESOLVE, OUTCOMES["no list"])
        assert held.reason.endswith("HTTP 404. It may have been charged.")

    @pytest.mark.parametrize("outcome", ["no list", "not in part of the list"])
    def test_the_policy_may_risk_a_second_order_where_there_is_no_list(self, outcome: str) -> None:
        ready = after(self.LOST, Action.RESOLVE, OUTCOMES[outcome], replace(POLICY, resubmit_lost=True))
        assert (ready.state, ready.token) == (State.READY, None)

    @pytest.mark.parametrize("outcome", ["perhaps found", "found twice"])
    def test_the_policy_never_risks_it_where_the_list_shows_something(self, outcome: str) -> None:
        assert after(self.LOST, Action.RESOLVE, OUTCOMES[outcome], replace(POLICY, resubmit_lost=True)).state == "held"

    @pytest.mark.parametrize("resubmit", [False, True])
    def test_a_list_that_fails_again_and_again_is_no_leave_to_order_again(self, resubmit: bool) -> None:
        policy = replace(POLICY, attempts=2, resubmit_lost=resubmit)
        once = after(self.LOST, Action.RESOLVE, OUTCOMES["failed for now"], policy)
        assert (once.state, once.attempts) == (State.UNCERTAIN, 1)
        held = after(once, Action.RESOLVE, OUTCOMES["failed for now"], policy)
        assert held.state is State.HELD
        assert held.reason == (
            "the answer to the submit was lost, and the list of videos cannot be read: HTTP 500 (tried 2 times). "
            "It may have been charged ($0.80)."
        )
        assert held.hint == (
            "If the server's own site shows the video: `sorawatch adopt k3m9x2pq VIDEO_ID`. "
            "Once it can be read, `sorawatch retry k3m9x2pq` looks again. "
            "`sorawatch cancel k3m9x2pq` gives it up."
        )
        again = lifecycle.retry(held, NOW)
        assert again is not None
        assert (again.state, again.token, again.attempts) == (State.UNCERTAIN, self.LOST.token, 0)

    @pytest.mark.parametrize("outcome", ["out of reach", "halted"])
    def test_a_server_out_of_reach_is_waited_for_however_long(self, outcome: str) -> None:
        job = self.LOST
        for _ in range(50):
            job = after(job, Action.RESOLVE, OUTCOMES[outcome])
        assert (job.state, job.attempts, job.due_at) == (State.UNCERTAIN, 50, NOW + 900_000)


class TestPoll:
    RENDERING = job_in(State.RENDERING)

    def test_the_next_look_follows_from_the_age_and_the_progress(self) -> None:
        old = replace(self.RENDERING, changed_at=NOW - 100_000, attempts=4, misses=3, reason="HTTP 500")
        pending = after(old, Action.POLL, o.Pending(None))
        assert pending == replace(old, attempts=0, misses=0, reason="", due_at=NOW + 12_000)
        assert after(old, Action.POLL, o.Pending(90)).due_at == NOW + 11_111

    def test_an_outage_never_ends_a_job_that_is_paid_for(self) -> None:
        job = self.RENDERING
        for _ in range(50):
            job = after(job, Action.POLL, OUTCOMES["out of reach"])
        assert (job.state, job.video_id, job.due_at) == (State.RENDERING, "video_0", NOW + 900_000)

    def test_only_answers_that_deny_the_video_end_it_and_an_outage_is_none_of_them(self) -> None:
        policy = replace(POLICY, attempts=3)
        job, states = self.RENDERING, []
        for outcome in ["out of reach"] * 9 + ["failed for now", "out of reach", "failed for now", "failed for now"]:
            job = after(job, Action.POLL, OUTCOMES[outcome], policy)
            states.append(job.state)
        assert states == [State.RENDERING] * 12 + [State.REJECTED]
        assert (job.reason, job.video_id, job.charged) == ("HTTP 500 (tried 3 times)", "video_0", Charged.PERHAPS)
        assert job.hint == (
            "Look for it on the server's own site. Moving the pair back into the inbox orders it again, at its price."
        )

    def test_a_sign_of_life_between_two_denials_starts_the_count_anew(self) -> None:
        denied = replace(self.RENDERING, misses=7)
        assert after(after(denied, Action.POLL, o.Pending(1)), Action.POLL, OUTCOMES["failed for now"]).misses == 1
        rendered = after(denied, Action.POLL, o.Rendered())
        assert (rendered.misses, rendered.progress, rendered.charged) == (0, 100, Charged.YES)

    def test_a_failed_generation_is_ordered_again_as_often_as_the_policy_says(self) -> None:
        policy = replace(POLICY, failed_generations=1)
        first = after(self.RENDERING, Action.POLL, OUTCOMES["generation failed"], policy)
        assert first == replace(
            self.RENDERING,
            state=State.READY,
            changed_at=NOW,
            due_at=NOW + 5000,
            generations=1,
            reason="the server failed the generation: it broke (oops)",
            token=None,
            price=None,
            submitted_at=None,
            video_id=None,
            charged=Charged.NO,
        )
        second = after(replace(self.RENDERING, generations=1), Action.POLL, OUTCOMES["generation failed"], policy)
        assert (second.state, second.generations, second.charged) == (State.REJECTED, 2, Charged.NO)
        assert (second.reason, second.video_id) == (first.reason, "video_0")
        assert second.hint == ("Failed generations are not billed. Move the pair back into the inbox to try again.")

    def test_a_failed_generation_that_is_billed_is_not_tried_again(self) -> None:
        policy = replace(POLICY, failed_generations=9, billing=Billing(failed=True))
        failed = after(self.RENDERING, Action.POLL, OUTCOMES["generation failed"], policy)
        assert (failed.state, failed.generations, failed.charged) == (State.REJECTED, 1, Charged.PERHAPS)
        assert failed.hint == "Failed generations are billed. Move the pair back into the inbox to try again."
        free = replace(self.RENDERING, price=0)
        assert after(free, Action.POLL, OUTCOMES["generation failed"], policy).state is State.READY

    @pytest.mark.parametrize(
        ("moderated", "price", "charged"),
        [(True, 800_000, Charged.PERHAPS), (True, 0, Charged.NO), (False, 800_000, Charged.NO)],
    )
    def test_a_refusal_by_moderation_may_be_billed(self, moderated: bool, price: int, charged: Charged) -> None:
        policy = replace(POLICY, billing=Billing(moderated=moderated))
        assert (
            after(replace(self.RENDERING, price=price), Action.POLL, OUTCOMES["moderated"], policy).charged is charged
        )

    def test_a_video_that_may_be_another_is_left_to_a_person_once_it_is_denied(self) -> None:
        doubtful = replace(self.RENDERING, lost_at=NOW - 5000, misses=7)
        held = after(doubtful, Action.POLL, OUTCOMES["failed for now"])
        assert (held.state, held.retry_state, held.video_id) == (State.HELD, State.RENDERING, "video_0")
        assert held.reason == "HTTP 500 (tried 8 times). It may have been charged ($0.80)."
        assert "`sorawatch retry k3m9x2pq` goes on asking after video_0." in held.hint
        free = replace(doubtful, price=0)
        assert after(free, Action.POLL, OUTCOMES["failed for now"]).state is State.READY

    def test_time_in_which_nobody_polled_counts_for_no_failure_either(self) -> None:
        """A poll may come ten minutes late, and no more."""
        late = replace(self.RENDERING, due_at=NOW - 700_000, unwatched_ms=5)
        assert after(late, Action.POLL, OUTCOMES["failed for now"]).unwatched_ms == 100_005
        assert after(late, Action.POLL, o.Pending(1)).unwatched_ms == 100_005

    @pytest.mark.parametrize(("age", "state"), [(86_399_999, State.RENDERING), (86_400_000, State.HELD)])
    def test_what_cannot_be_understood_is_held_after_a_day(self, age: int, state: State) -> None:
        old = replace(self.RENDERING, changed_at=NOW - age)
        empty = o.TemporaryFailure("the server answered HTTP 200 with no body", counts=False)
        assert after(old, Action.POLL, empty).state is state

    def test_a_failure_without_a_code_is_told_without_one(self) -> None:
        failure = o.GenerationFailed(Failure(None, "it broke", moderated=False))
        assert after(self.RENDERING, Action.POLL, failure).reason == "the server failed the generation: it broke"

    def test_a_refusal_by_moderation_is_never_tried_again(self) -> None:
        refused = after(self.RENDERING, Action.POLL, OUTCOMES["moderated"], replace(POLICY, failed_generations=9))
        assert (refused.state, refused.charged) == (State.REJECTED, Charged.PERHAPS)
        assert refused.reason == "the server's moderation refused it: no (moderation_blocked)"
        assert refused.hint == "Change the prompt or the picture, then move the pair back into the inbox."

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("expired", "the video has expired on the server: gone"),
            ("cancelled", "the video has been cancelled on the server: gone"),
            ("rejected", "the video has been rejected on the server: gone"),
        ],
    )
    def test_a_video_that_was_ended_may_be_charged_and_is_not_ordered_again(self, code: str, told: str) -> None:
        ended = o.GenerationFailed(Failure(code, "gone", moderated=False))
        rejected = after(self.RENDERING, Action.POLL, ended, replace(POLICY, failed_generations=9))
        assert (rejected.state, rejected.reason, rejected.charged) == (State.REJECTED, told, Charged.PERHAPS)
        assert rejected.video_id == "video_0"
        assert rejected.hint.endswith("Moving the pair back into the inbox orders it again.")

    def test_what_cannot_be_understood_for_too_long_is_held_and_an_outage_is_not(self) -> None:
        old = replace(self.RENDERING, changed_at=NOW - 86_400_000)
        held = after(old, Action.POLL, o.TemporaryFailure("the server answered HTTP 200 with no body", counts=False))
        assert (held.state, held.video_id, held.charged) == (State.HELD, "video_0", Charged.PERHAPS)
        assert "told nothing of the video for 24 hours" in held.reason
        outage = o.TemporaryFailure("no route", counts=False, answered=False)
        assert after(old, Action.POLL, outage).state is State.RENDERING


class TestFree:
    """A model that costs nothing."""

    LOST = job_in(State.UNCERTAIN, price=0, charged=Charged.NO, lost_reason="timed out")

    @pytest.mark.parametrize(
        "outcome", ["not in the list", "not in a list of nothing of ours", "no list", "perhaps found", "found twice"]
    )
    def test_a_lost_answer_is_ordered_again_three_times_at_most(self, outcome: str) -> None:
        job, seen = self.LOST, []
        for _ in range(4):
            job = after(job, Action.RESOLVE, OUTCOMES[outcome])
            seen.append((job.state, job.reorders))
            assert "charged" not in job.reason
            if job.state is State.READY:
                job = begin(job, Action.SUBMIT, now=NOW, token="new", price=0)
                job = after(job, Action.SUBMIT, o.AnswerLost("timed out"))
        assert seen == [(State.READY, 1), (State.READY, 2), (State.READY, 3), (State.HELD, 3)]
        again = lifecycle.retry(job, NOW)
        assert again is not None
        assert (again.state, again.reorders) == (State.READY, 0)

    def test_it_is_ordered_again_a_little_later_and_a_person_is_told_how_often(self) -> None:
        again = after(replace(self.LOST, progress=5), Action.RESOLVE, OUTCOMES["no list"])
        assert (again.due_at, again.progress, again.token) == (NOW + 5000, None, None)
        assert again.reason == "timed out, and HTTP 404. It costs nothing, so it is ordered again"
        held = after(replace(self.LOST, reorders=3), Action.RESOLVE, OUTCOMES["no list"])
        assert (held.reason, held.video_id) == ("timed out, and HTTP 404. It was ordered 4 times", None)

    def test_one_that_the_list_shows_is_adopted(self) -> None:
        assert after(self.LOST, Action.RESOLVE, OUTCOMES["found"]).state is State.RENDERING

    def test_a_video_that_the_server_forgot_is_ordered_again(self) -> None:
        rendering = job_in(State.RENDERING, price=0, charged=Charged.NO, misses=7)
        again = after(rendering, Action.POLL, OUTCOMES["failed for now"])
        assert (again.state, again.video_id, again.token, again.reorders) == (State.READY, None, None, 1)
        assert "the server was probably restarted" in again.reason
        held = after(replace(rendering, reorders=3), Action.POLL, OUTCOMES["failed for now"])
        assert held.state is State.HELD
        assert "charged" not in held.reason

    def test_nothing_is_ever_charged(self) -> None:
        sent = begin(job_in(State.READY), Action.SUBMIT, now=NOW, token="new", price=0)
        rendering = after(sent, Action.SUBMIT, o.Accepted("video_1"))
        rendered = after(rendering, Action.POLL, o.Rendered())
        assert {sent.charged, rendering.charged, rendered.charged} == {Charged.NO}


class TestDeliver:
    RENDERED = job_in(State.RENDERED, charged=Charged.YES)

    def test_a_clip_that_cannot_be_had_is_held_and_a_retry_never_buys(self) -> None:
        policy = replace(POLICY, attempts=2)
        once = after(self.RENDERED, Action.DELIVER, OUTCOMES["failed for now"], policy)
        assert (once.state, once.attempts, once.due_at) == (State.RENDERED, 1, NOW + 5000)
        held = after(once, Action.DELIVER, OUTCOMES["failed for now"], policy)
        assert (held.state, held.video_id, held.charged) == (State.HELD, "video_0", Charged.YES)
        assert held.reason == "HTTP 500 (tried 2 times)"
        assert held.hint == "`sorawatch retry k3m9x2pq` tries again."
        again = lifecycle.retry(held, NOW)
        assert again is not None
        assert (again.state, again.video_id, again.due_at) == (State.RENDERING, "video_0", NOW)

    def test_an_outage_does_not_count(self) -> None:
        policy = replace(POLICY, attempts=2)
        job = self.RENDERED
        for outcome in ["out of reach"] * 9 + ["failed for now", "halted", "out of reach"]:
            job = after(job, Action.DELIVER, OUTCOMES[outcome], policy)
        assert (job.state, job.attempts, job.misses) == (State.RENDERED, 12, 1)
        assert after(job, Action.DELIVER, OUTCOMES["failed for now"], policy).state is State.HELD

    def test_a_full_disk_is_waited_for_however_long(self) -> None:
        halted = after(replace(self.RENDERED, attempts=1000), Action.DELIVER, OUTCOMES["halted"])
        assert (halted.state, halted.attempts, halted.due_at) == (State.RENDERED, 1001, NOW + 900_000)

    def test_an_expired_clip_stays_charged(self) -> None:
        rejected = after(self.RENDERED, Action.DELIVER, o.PermanentFailure("expired", "order it again"))
        assert (rejected.state, rejected.charged, rejected.video_id) == (State.REJECTED, Charged.YES, "video_0")
        assert (rejected.reason, rejected.hint) == ("expired", "order it again")


class TestEnd:
    def test_the_reason_outlives_the_filing(self) -> None:
        rejected = job_in(State.REJECTED, reason="bad", hint="better")
        failed = after(rejected, Action.ARCHIVE, o.Archived(("beach (2).jpg", "beach (2).error.txt")))
        assert (failed.state, failed.reason, failed.hint) == (State.FAILED, "bad", "better")
        assert failed.filed == ("beach (2).jpg", "beach (2).error.txt")

    @pytest.mark.parametrize("state", [State.REJECTED, State.WITHDRAWN, State.DELIVERED])
    @pytest.mark.parametrize(
        "outcome", [o.TemporaryFailure("no folder"), o.Blocked(Cause("no folder", "mount it", temporary=True))]
    )
    def test_what_keeps_a_pair_from_being_filed_is_not_why_its_job_ended(
        self, state: State, outcome: o.Outcome
    ) -> None:
        ended = job_in(state, reason="bad", hint="better")
        kept = after(ended, Action.ARCHIVE, outcome)
        assert (kept.state, kept.reason, kept.hint, kept.obstacle) == (state, "bad", "better", "no folder")
        filed = after(kept, Action.ARCHIVE, o.Archived(("beach.jpg",)))
        assert (filed.reason, filed.hint, filed.obstacle) == ("bad", "better", "")

    @pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
    def test_what_was_filed_can_be_brought_back(self, state: State) -> None:
        restoring = lifecycle.retry(job_in(state, filed=("beach.jpg", "beach.error.txt")), NOW)
        assert restoring is not None
        assert restoring.state is State.RESTORING
        cancelled = after(restoring, Action.RESTORE, o.Restored())
        assert (cancelled.state, cancelled.filed) == (State.CANCELLED, ())
        assert cancelled.reason == "moved back into the inbox to be tried again"

    def test_a_withdrawn_job_that_was_never_sent_can_be_ordered_after_all(self) -> None:
        withdrawn = lifecycle.withdraw(job_in(State.READY), NOW)
        assert withdrawn is not None
        assert withdrawn.hint == "Move the pair back into the inbox to order it after all."

    def test_a_person_who_withdraws_a_lost_order_is_told_that_it_may_be_bought_twice(self) -> None:
        withdrawn = lifecycle.withdraw(job_in(State.HELD), NOW)
        assert withdrawn is not None
        assert withdrawn.charged is Charged.PERHAPS
        assert withdrawn.hint == (
            "Moving the pair back into the inbox orders it again, whether or not the first order arrived."
        )

    def test_a_withdrawn_job_with_a_video_is_resumed_when_it_comes_back(self) -> None:
        withdrawn = lifecycle.withdraw(job_in(State.HELD, video_id="video_0"), NOW)
        assert withdrawn is not None
        assert (withdrawn.video_id, withdrawn.hint) == (
            "video_0",
            "Move the pair back into the inbox to order it after all.",
        )


class TestNotWhole:
    """A picture on a share that looks damaged."""

    POLICY = Policy(Waits(first=5), damaged_grace_seconds=120)

    def found(self, age: float) -> Job:
        job = job_in(State.FOUND, created_at=NOW - int(1000 * age), attempts=6)
        return after(job, Action.PREPARE, o.Incomplete("it is cut off", "Copy it again."), self.POLICY)

    def test_it_is_read_again_while_it_is_young_and_at_the_latest_when_it_is_not_any_more(self) -> None:
        job = self.found(110)
        assert job.state is State.FOUND
        assert job.reason == "it is cut off. On a share it may not all be there yet, so it is read again"
        assert job.due_at == NOW + 10_000

    @pytest.mark.parametrize("age", [120, 10_000, -1], ids=["old", "older", "of a clock that was set back"])
    def test_after_that_it_counts_as_damaged(self, age: int) -> None:
        job = self.found(age)
        assert (job.state, job.reason, job.hint) == (State.REJECTED, "it is cut off", "Copy it again.")


def test_a_submit_met_after_a_crash_is_looked_for_at_once() -> None:
    sent = job_in(State.SUBMITTING)
    assert lifecycle.interrupt_submit(sent, NOW) == replace(
        sent,
        state=State.UNCERTAIN,
        changed_at=NOW,
        lost_at=NOW,
        reason="sorawatch was stopped while the order was being submitted",
        lost_reason="sorawatch was stopped while the order was being submitted",
    )


def test_a_resumed_job_counts_its_age_from_now_if_it_was_never_sent() -> None:
    resumed = lifecycle.follow_video(job_in(State.READY), "video_9", Context(NOW, POLICY))
    assert (resumed.submitted_at, resumed.video_id, resumed.charged) == (NOW, "video_9", Charged.PERHAPS)
    adopted = lifecycle.follow_video(job_in(State.HELD, submitted_at=NOW - 9), "video_9", Context(NOW, POLICY))
    assert adopted.submitted_at == NOW - 9


WISHED_WAITS = st.none() | st.floats(0, 1e9)
HALTS = st.builds(o.Blocked, st.builds(Cause, st.just("no"), st.just("do"), st.booleans(), WISHED_WAITS))
FAILURES_FOR_NOW = st.builds(o.TemporaryFailure, st.just("later"), WISHED_WAITS, st.booleans())
LAG = 60_000
"""Milliseconds after which a server's list shows at the latest what the server accepted."""


class Life(RuleBasedStateMachine):
    """One job after another, against a server that keeps its own books and whose answers can be lost."""

    @initialize(
        attempts=st.integers(1, 4),
        generations=st.integers(0, 2),
        resubmit=st.booleans(),
        longest=st.floats(0.1, 7200),
        crashed=st.booleans(),
    )
    def start(self, attempts: int, generations: int, resubmit: bool, longest: float, crashed: bool) -> None:
        self.policy = Policy(Waits(first=5, longest=longest), attempts, generations, resubmit)
        self.now = NOW
        self.drop(crashed)

    def drop(self, crashed: bool) -> None:
        """A pair arrives; or, as is rare and matters most, it was just ordered when the daemon was killed."""
        self.job = job_in(State.FOUND, digest="", order=replace(ORDER, size=Aim.AUTO), due_at=self.now)
        self.accepted: dict[str, tuple[str, int]] = {}
        """The server's books: the submit's token, its video, and when it was accepted."""
        self.failed: set[str] = set()
        """Videos that the server gave up."""
        self.leave_to_buy = 1
        """How many videos may be bought: more only where a person, or the policy, said so."""
        self.standings: dict[str, Standing] = {}
        if crashed:
            self.accepted["token"] = ("video", self.now)
            self.standings["token"] = Standing.OPEN
            self.job = lifecycle.interrupt_submit(
                job_in(State.SUBMITTING, token="token", submitted_at=self.now), self.now
            )

    @precondition(lambda self: self.job.state in FINAL and not self.job.filed)
    @rule(crashed=st.booleans())
    def another_pair(self, crashed: bool) -> None:
        self.drop(crashed)

    @precondition(lambda self: decide(self.job) is not None)
    @rule(data=st.data(), delay=st.sampled_from([0, 0, 1, 60_000]), jitter=st.floats(0, 1, exclude_max=True))
    def work(self, data: st.DataObject, delay: int, jitter: float) -> None:
        self.now = max(self.now, self.job.due_at) + delay
        action = decide(self.job)
        assert action is not None
        if action is Action.SUBMIT:
            assert self.job.state is State.READY
            token = f"token{len(self.standings)}"
            self.become(begin(self.job, action, now=self.now, token=token, price=800_000))
            self.standings[token] = Standing.OPEN
        outcome = self.outcome(action, data)
        if outcome is None:
            self.become(lifecycle.interrupt_submit(self.job, self.now))
            return
        assert type(outcome) in CAN_COME_TO[action]
        before = self.job
        job, same = (advance(before, action, outcome, Context(self.now, self.policy, jitter)) for _ in range(2))
        assert job == same
        if outcome in {OUTCOMES["generation failed"], OUTCOMES["moderated"]}:
            assert before.video_id is not None
            self.failed.add(before.video_id)
        if before.state is State.UNCERTAIN and job.state is State.READY:
            proved = outcome == OUTCOMES["not in the list"]
            assert proved or self.policy.resubmit_lost
            self.leave_to_buy += not proved
        standing = standing_after(action, outcome, job)
        if before.token is not None and standing is not None:
            self.standings[before.token] = standing
        self.become(job)

    def outcome(self, action: Action, data: st.DataObject) -> o.Outcome | None:
        """What comes of an action on this server; None for a crash before we know."""
        if action is Action.SUBMIT:
            return self.submit(data)
        if action is Action.RESOLVE:
            return self.search(data)
        match action:
            case Action.POLL:
                progress = st.builds(o.Pending, st.none() | st.integers(0, 100))
                failures = st.sampled_from([OUTCOMES[name] for name in ("generation failed", "moderated", "expired")])
                good: st.SearchStrategy[o.Outcome] = progress | st.just(o.Rendered()) | failures
            case Action.PREPARE:
                good = st.sampled_from([OUTCOMES[name] for name in ("prepared", "prepared", "not whole")])
            case Action.DELIVER:
                good = st.just(OUTCOMES["delivered"])
            case Action.ARCHIVE:
                good = st.just(OUTCOMES["filed"])
            case Action.RESTORE:
                good = st.just(OUTCOMES["restored"])
        for_good = [st.just(OUTCOMES["failed for good"])] if o.PermanentFailure in CAN_COME_TO[action] else []
        return data.draw(st.one_of(good, good, good, FAILURES_FOR_NOW, HALTS, *for_good), action)

    def submit(self, data: st.DataObject) -> o.Outcome | None:
        if not data.draw(st.booleans(), "arrives"):
            refused = st.sampled_from([OUTCOMES[name] for name in ("failed for good", "reference lost", "withheld")])
            return data.draw(st.sampled_from([OUTCOMES["unknown"], None]) | FAILURES_FOR_NOW | HALTS | refused)
        assert self.job.token is not None
        video = f"video_{len(self.accepted)}"
        self.accepted[self.job.token] = (video, self.now)
        return data.draw(st.sampled_from([o.Accepted(video), OUTCOMES["unknown"], None]))

    def search(self, data: st.DataObject) -> o.Outcome:
        assert self.job.token is not None
        ways = [
            "is not needed",
            "works",
            "lags",
            "lags",
            "has no prompts",
            "names others",
            "ends early",
            "is absent",
            "fails",
            "fails",
        ]
        the_list = data.draw(st.sampled_from(ways), "the list")
        match the_list:
            case "is absent":
                return OUTCOMES["no list"]
            case "fails":
                return data.draw(FAILURES_FOR_NOW | HALTS)
            case "ends early":
                return OUTCOMES["not in part of the list"]
            case "has no prompts" if data.draw(st.booleans(), "somebody else's video"):
                return o.Searched((o.Candidate("foreign", certain=False),), complete=True)
        video, since = self.accepted.get(self.job.token, (None, 0))
        if video is not None and the_list == "is not needed":
            return o.Accepted(video)
        if video is None or (the_list == "lags" and self.now < since + LAG):
            return OUTCOMES["not in the list"]
        seen = o.Candidate(video, certain=the_list != "has no prompts", differs=the_list == "names others")
        return o.Searched((seen,), complete=True)

    @rule(wish=st.sampled_from(["retry", "retry", "retry", "adopt", "cancel or take away"]))
    def somebody_intervenes(self, wish: str) -> None:
        known = self.accepted.get(self.job.token or "")
        match wish:
            case "retry" if (again := lifecycle.retry(self.job, self.now)) is not None:
                self.leave_to_buy += self.job.retry_state is State.READY
                self.become(again)
            case "adopt" if known and self.job.state in {State.HELD, State.UNCERTAIN}:
                self.become(lifecycle.follow_video(self.job, known[0], Context(self.now, self.policy)))
            case "cancel or take away" if self.job.state in UNPAID:
                self.become(lifecycle.cancel_unpaid(self.job, self.now, "gone"))
            case "cancel or take away" if (withdrawn := lifecycle.withdraw(self.job, self.now)) is not None:
                self.become(withdrawn)

    def become(self, job: Job) -> None:
        """Take the next step of the life, which must be a lawful one."""
        before, self.job = self.job, job
        assert job.due_at <= self.now + self.policy.waits.horizon
        assert (job.retry_state is not None) == (job.state is State.HELD)
        assert job.changed_at == (before.changed_at if job.state is before.state else self.now)
        if before.video_id is not None and job.video_id != before.video_id:
            assert before.video_id in self.failed
        if job.state is State.READY:
            assert before.state is not State.RENDERING or before.video_id in self.failed
            assert (job.token, job.video_id, job.charged) == (None, None, Charged.NO)

    @invariant()
    def nobody_pays_twice(self) -> None:
        bought = {video for video, _ in self.accepted.values()} - self.failed
        assert len(bought) <= self.leave_to_buy

    @invariant()
    def what_was_bought_counts_as_spent(self) -> None:
        for token, (video, _) in self.accepted.items():
            assert video in self.failed or self.standings[token] is not Standing.RELEASED

    @invariant()
    def somebody_can_always_go_on(self) -> None:
        assert self.job.state in FINAL | {State.HELD} or decide(self.job) is not None

    @invariant()
    def a_clip_is_made_of_a_video_that_was_ordered(self) -> None:
        if self.job.state in {State.RENDERING, State.RENDERED, State.DELIVERED, State.DONE}:
            assert self.job.video_id in {video for video, _ in self.accepted.values()}
            assert self.job.submitted_at is not None
            assert self.job.charged is not Charged.NO


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
