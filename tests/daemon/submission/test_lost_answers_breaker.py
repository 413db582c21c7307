"""How many paid orders may go while answers are being lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.lost_answers_breaker import LostAnswersBreaker
from sorawatch.edges.store import Transaction
from sorawatch.errors import Cause
from tests.support.clocked_state import NOW, SERVER, ClockedState, order

MINUTE = 60_000
HOUR = 60 * MINUTE
MANY = 1_000
WAITS = Waits(first=5)
TIMED_OUT = o.AnswerLost("timed out")
NO_CREDIT = o.AnswerLost("HTTP 500", Cause("no credit", "Top up.", temporary=False, key_related=True))
MODEL_DOWN = o.AnswerLost("HTTP 500", Cause("the model is down", "Wait.", temporary=True, one_model=True))


@pytest.fixture
def breaker() -> LostAnswersBreaker:
    return LostAnswersBreaker(SERVER, WAITS)


def lose(breaker: LostAnswersBreaker, tx: Transaction, job: Job, outcome: o.AnswerLost = TIMED_OUT) -> Job:
    """The job, in the state, once the answer to its submit was lost."""
    uncertain = replace(job, state=State.UNCERTAIN, lost_at=tx.now)
    tx.jobs.add([uncertain])
    breaker.record(tx, job, Action.SUBMIT, outcome, uncertain)
    return uncertain


def accept(breaker: LostAnswersBreaker, tx: Transaction, job: Job) -> None:
    rendering = replace(job, state=State.RENDERING, video_id="video_1")
    breaker.record(tx, job, Action.SUBMIT, o.Accepted("video_1"), rendering)


def opened(breaker: LostAnswersBreaker, tx: Transaction) -> list[Job]:
    """Two jobs that wait for a witness, and whose lost answers opened the breaker."""
    lost = [lose(breaker, tx, order(job_id)) for job_id in ("a", "b")]
    waiting = [replace(job, witness_until=NOW + HOUR) for job in lost]
    for before, after in zip(lost, waiting, strict=True):
        tx.jobs.save(after, before)
    return waiting


def test_a_server_that_never_answered_gets_two_orders_at_once(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        assert breaker.room(tx, "sora-2") == 2
        tx.jobs.add([order("a")])
        assert breaker.room(tx, "sora-2") == 1
        tx.jobs.add([order("b"), order("c")])
        assert breaker.room(tx, "sora-2") == 0
        assert breaker.room(tx, "wan") == 2


def test_a_server_that_answers_gets_them_all(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        tx.jobs.add([order("a"), order("b"), order("c")])
        accept(breaker, tx, order("z"))
        assert breaker.room(tx, "sora-2") > MANY
        assert breaker.room(tx, "wan") == 2, "another model proves nothing of this one"


def test_one_lost_answer_leaves_room_for_one_more(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        accept(breaker, tx, order("z"))
        lose(breaker, tx, order("a"))
        assert breaker.room(tx, "sora-2") == 1
        assert breaker.room(tx, "wan") == 2
        breaker.refresh(tx)
        assert list(breaker) == []
        tx.jobs.add([order("b")])
        assert breaker.room(tx, "sora-2") == 0


def test_what_costs_nothing_does_not_count(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        for job_id in ("a", "b"):
            lose(breaker, tx, order(job_id, price=0))
        assert breaker.room(tx, "sora-2") == 2
        tx.jobs.add([order("c", price=0)])
        assert breaker.room(tx, "sora-2") == 2


def test_two_lost_answers_let_none_through_for_a_minute_and_then_one(
    state: ClockedState, breaker: LostAnswersBreaker
) -> None:
    with state.at() as tx:
        opened(breaker, tx)
        assert breaker.room(tx, "sora-2") == 0
        assert breaker.room(tx, "wan") == 2
        breaker.refresh(tx)
        (found,) = breaker
        assert (found.model, found.known.jobs, found.waits_long) == ("sora-2", ("a", "b"), False)
    with state.at(MINUTE - 1) as tx:
        assert breaker.room(tx, "sora-2") == 0
    with state.at(MINUTE) as tx:
        assert breaker.room(tx, "sora-2") == 1
        tx.jobs.add([order("wan", model="wan"), order("free", price=0)])
        assert breaker.room(tx, "sora-2") == 1
        tx.jobs.add([order("probe")])
        assert breaker.room(tx, "sora-2") == 0


def test_it_is_told_for_people(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        lose(breaker, tx, order("z", model="wan"), NO_CREDIT)
        opened(breaker, tx)
        breaker.refresh(tx)
    pauses = {each.model: each.pause for each in breaker}
    assert [(each.reason, each.hint, each.until, each.model) for each in (pauses[""], pauses["sora-2"])] == [
        (
            "the answer to an order was lost, so no further order that costs money is sent yet: HTTP 500",
            "Top up. Each is looked for. The server's own site shows whether it was taken. "
            "`sorawatch resume` sends the next order at once.",
            NOW + MINUTE,
            "",
        ),
        (
            "the answers to 2 orders were lost, so no further order that costs money is sent yet: timed out",
            "Each is looked for. The server's own site shows whether it was taken. "
            "`sorawatch resume` sends the next order at once.",
            NOW + MINUTE,
            "sora-2",
        ),
    ]


def test_no_probe_goes_while_a_lost_order_is_searched(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        first, second = opened(breaker, tx)
        searched = replace(second, witness_until=None)
        tx.jobs.save(searched, second)
    with state.at(MINUTE) as tx:
        assert breaker.room(tx, "sora-2") == 0
        held = replace(searched, state=State.HELD)
        tx.jobs.save(held, searched)
        assert breaker.room(tx, "sora-2") == 1, "a person has it"
        tx.jobs.save(replace(first, state=State.SUBMITTING), first)
        assert breaker.room(tx, "sora-2") == 0


def test_a_probe_that_is_lost_too_makes_it_wait_for_an_hour_and_then_for_a_person(
    state: ClockedState, breaker: LostAnswersBreaker
) -> None:
    with state.at() as tx:
        opened(breaker, tx)
    for after, probe in ((MINUTE, "c"), (MINUTE + HOUR, "d")):
        with state.at(after) as tx:
            assert breaker.room(tx, "sora-2") == 1
            lost = lose(breaker, tx, order(probe, submitted_at=NOW + after))
            tx.jobs.save(replace(lost, witness_until=NOW + 9 * HOUR), lost)
            assert breaker.room(tx, "sora-2") == 0
            breaker.refresh(tx)
            assert [each.waits_long for each in breaker] == [True]
        with state.at(after + HOUR - 1) as tx:
            assert breaker.room(tx, "sora-2") == 0
    with state.at(9 * HOUR) as tx:
        assert breaker.room(tx, "sora-2") == 0
        assert [each.known.waits_for_a_person for each in breaker] == [True]


@pytest.mark.parametrize(("before", "room"), [(2 * HOUR, 0), (2 * HOUR + 1, 1)])
def test_a_clock_set_back_stops_no_probe_for_longer_than_two_hours(
    state: ClockedState, breaker: LostAnswersBreaker, before: int, room: int
) -> None:
    with state.at() as tx:
        opened(breaker, tx)
    with state.at(MINUTE - before) as tx:
        assert breaker.room(tx, "sora-2") == room


def test_a_cause_stops_every_model_unless_it_concerns_one(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        lose(breaker, tx, order("a"), MODEL_DOWN)
        assert [breaker.room(tx, model) for model in ("sora-2", "wan")] == [0, 2]
        lost = lose(breaker, tx, order("b"), NO_CREDIT)
        tx.jobs.save(replace(lost, witness_until=NOW + HOUR), lost)
        assert [breaker.room(tx, model) for model in ("sora-2", "wan")] == [0, 0]
    with state.at(MINUTE) as tx:
        assert breaker.room(tx, "wan") == 1
        tx.jobs.add([order("probe")])
        assert breaker.room(tx, "wan") == 0, "one probe goes, of whatever model"


def test_it_closes_once_every_lost_order_is_found(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        jobs = opened(breaker, tx)
        for job, room in zip(jobs, (0, 2), strict=True):
            after = replace(job, state=State.RENDERING, video_id=f"video of {job.id}")
            breaker.record(tx, job, Action.RESOLVE, o.Accepted("video_1"), after)
            assert breaker.room(tx, "sora-2") == room


def test_a_search_that_finds_nothing_closes_nothing(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        for job in opened(breaker, tx):
            breaker.record(tx, job, Action.RESOLVE, o.Unlisted("HTTP 404"), job)
        assert breaker.room(tx, "sora-2") == 0


@pytest.mark.parametrize(
    ("ended", "room"),
    [
        (order("a", State.WITHDRAWN), 2),
        (order("a", State.HELD, video_id="video_1"), 2),
        (order("a", State.HELD), 0),
        (order("a", State.UNCERTAIN), 0),
    ],
)
def test_it_closes_once_none_is_unresolved(
    state: ClockedState, breaker: LostAnswersBreaker, ended: Job, room: int
) -> None:
    with state.at() as tx:
        breaker.record(tx, order("forgotten"), Action.SUBMIT, TIMED_OUT, order("forgotten", State.UNCERTAIN))
        lose(breaker, tx, order("a"))
        known = tx.jobs.get("a")
        assert known is not None
        tx.jobs.save(ended, known)
        breaker.refresh(tx)
        assert [each.model for each in breaker] == ([] if room else ["sora-2"])
        assert breaker.room(tx, "sora-2") == room


def test_an_answer_that_comes_closes_it(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        opened(breaker, tx)
    with state.at(MINUTE) as tx:
        accept(breaker, tx, order("probe", submitted_at=NOW + MINUTE))
        assert breaker.room(tx, "sora-2") > MANY


def test_an_answer_to_what_was_sent_before_it_opened_closes_nothing(
    state: ClockedState, breaker: LostAnswersBreaker
) -> None:
    with state.at() as tx:
        opened(breaker, tx)
        accept(breaker, tx, order("early", submitted_at=NOW - 1))
        assert breaker.room(tx, "sora-2") == 0
        accept(breaker, tx, order("probe", submitted_at=NOW))
        assert breaker.room(tx, "sora-2") > MANY


def test_a_lost_answer_to_what_was_sent_before_it_opened_is_no_probe(
    state: ClockedState, breaker: LostAnswersBreaker
) -> None:
    with state.at() as tx:
        opened(breaker, tx)
    with state.at(MINUTE) as tx:
        lose(breaker, tx, order("early", submitted_at=NOW - 1))
        breaker.refresh(tx)
    assert [(each.known.probes, each.known.until) for each in breaker] == [(0, NOW + MINUTE)]


def test_a_restart_forgets_no_lost_answer_and_another_server_knows_none(
    state: ClockedState, breaker: LostAnswersBreaker
) -> None:
    with state.at() as tx:
        opened(breaker, tx)
        assert LostAnswersBreaker(SERVER, WAITS).room(tx, "sora-2") == 0
        assert LostAnswersBreaker("https://other.example/v1", WAITS).room(tx, "sora-2") == 2


def test_a_person_closes_all_and_a_new_key_what_a_key_may_end(state: ClockedState, breaker: LostAnswersBreaker) -> None:
    with state.at() as tx:
        opened(breaker, tx)
        lose(breaker, tx, order("c", model="wan"), NO_CREDIT)
        breaker.clear(tx, for_new_key=True)
        assert [breaker.room(tx, model) for model in ("sora-2", "wan")] == [0, 2]
        breaker.clear(tx)
        assert [breaker.room(tx, model) for model in ("sora-2", "wan")] == [2, 2]
