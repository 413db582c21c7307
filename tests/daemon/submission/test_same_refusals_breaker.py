"""Which refusals fail their own order, and which stop all of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, State
from sorawatch.daemon.submission.same_refusals_breaker import SameRefusalsBreaker
from sorawatch.edges.store import Transaction
from tests.support.clocked_state import SERVER, ClockedState, order

REFUSED = o.PermanentFailure("HTTP 422: fps: field required", "Correct it.")


@pytest.fixture
def breaker() -> SameRefusalsBreaker:
    return SameRefusalsBreaker(SERVER)


def refuse(breaker: SameRefusalsBreaker, tx: Transaction, *jobs: Job) -> None:
    """Their submits were refused in the same words, one after the other."""
    for job in jobs:
        assert breaker.judge(tx, job, REFUSED) == (REFUSED, [])


def test_the_third_picture_that_is_refused_alike_stops_its_model(
    state: ClockedState, breaker: SameRefusalsBreaker
) -> None:
    with state.at() as tx:
        refuse(breaker, tx, order("a"), order("b"), order("other", model="wan"))
        outcome, changes = breaker.judge(tx, order("c"), REFUSED)
    assert isinstance(outcome, o.Blocked)
    assert outcome.cause.reason == (
        "3 different pictures were refused in the same words: HTTP 422: fps: field required"
    )
    assert (outcome.cause.temporary, outcome.cause.one_model) == (False, True)
    assert "`sorawatch resume` tries again at once" in outcome.cause.hint
    assert changes == []


def test_those_that_were_refused_before_are_put_back(state: ClockedState, breaker: SameRefusalsBreaker) -> None:
    filed, going = order("filed", State.FAILED, filed=("filed.jpg",)), order("going", State.REJECTED)
    with state.at() as tx:
        tx.jobs.add([filed, going])
        refuse(breaker, tx, order("filed"), order("going"))
        _, changes = breaker.judge(tx, order("c"), REFUSED)
        assert [(before, after.state) for before, after in changes] == [(filed, State.RESTORING)]
        assert [tx.jobs.get("filed"), tx.jobs.get("going")] == [changes[0][1], going]
        arrived = replace(going, state=State.FAILED, filed=("going.jpg",))
        assert breaker.filed(tx, arrived).state is State.RESTORING
        assert breaker.filed(tx, order("c", State.FAILED, filed=("c.jpg",))).state is State.FAILED


def test_one_that_is_under_way_again_is_left_alone(state: ClockedState, breaker: SameRefusalsBreaker) -> None:
    with state.at() as tx:
        tx.jobs.add([order("a", State.RENDERING), order("c", State.FAILED, filed=("c.jpg",))])
        refuse(breaker, tx, order("a"), order("gone"))
        assert breaker.judge(tx, order("c"), REFUSED)[1] == []
        assert not any(breaker.restored(tx, order(job_id)) for job_id in ("a", "gone", "c"))


def test_a_failed_one_whose_pair_cannot_be_found_stays_failed(
    state: ClockedState, breaker: SameRefusalsBreaker
) -> None:
    with state.at() as tx:
        lost = order("a", State.FAILED)
        tx.jobs.add([lost])
        refuse(breaker, tx, order("a"), order("b"))
        assert breaker.judge(tx, order("c"), REFUSED)[1] == []
        assert breaker.filed(tx, lost) == lost


def test_one_that_another_daemon_has_claimed_is_left_to_it(
    state: ClockedState, breaker: SameRefusalsBreaker, tmp_path: Path
) -> None:
    claimed = order("a", State.FAILED, filed=("a.jpg",))
    with state.at() as tx:
        tx.jobs.add([claimed])
        refuse(breaker, tx, order("a"), order("b"))
    other = ClockedState(tmp_path, "two")
    with other.at() as tx:
        tx.jobs.save(replace(claimed, reason="taken"), claimed, claim=True)
    other.close()
    with state.at() as tx:
        assert breaker.judge(tx, order("c"), REFUSED)[1] == []


def test_what_was_put_back_goes_on_once(state: ClockedState, breaker: SameRefusalsBreaker) -> None:
    pairs = [order(job_id, State.FAILED, filed=(f"{job_id}.jpg",)) for job_id in ("a", "b")]
    with state.at() as tx:
        tx.jobs.add(pairs)
        refuse(breaker, tx, order("a"), order("b"))
        breaker.judge(tx, order("c"), REFUSED)
        breaker.clear(tx)
        assert [breaker.restored(tx, pairs[0]) for _ in range(2)] == [True, False]
        assert breaker.restored(tx, pairs[1]), "each for itself"
        assert not breaker.restored(tx, order("c"))


def test_each_that_is_refused_later_keeps_those_that_come_back(
    state: ClockedState, breaker: SameRefusalsBreaker
) -> None:
    filed = order("a", State.FAILED, filed=("a.jpg",))
    with state.at() as tx:
        tx.jobs.add([filed])
        refuse(breaker, tx, order("a"), order("b"))
        for job_id in ("c", "d"):
            assert isinstance(breaker.judge(tx, order(job_id), REFUSED)[0], o.Blocked)
        assert [breaker.restored(tx, filed) for _ in range(2)] == [True, False]


@pytest.mark.parametrize(("model", "counts_anew"), [("sora-2", True), ("wan", False)])
def test_an_order_that_is_taken_begins_the_count_of_its_model_anew(
    state: ClockedState, breaker: SameRefusalsBreaker, model: str, counts_anew: bool
) -> None:
    with state.at() as tx:
        refuse(breaker, tx, order("a"), order("b"))
        breaker.accepted(tx, model)
        outcome, _ = breaker.judge(tx, order("c"), REFUSED)
        assert isinstance(outcome, o.PermanentFailure) is counts_anew


def test_a_person_begins_the_count_anew(state: ClockedState, breaker: SameRefusalsBreaker) -> None:
    with state.at() as tx:
        breaker.clear(tx)
        refuse(breaker, tx, order("a"), order("b"))
        breaker.clear(tx)
        refuse(breaker, tx, order("c"), order("d"))


def test_a_restart_forgets_nothing_and_another_server_knows_nothing(
    state: ClockedState, breaker: SameRefusalsBreaker
) -> None:
    with state.at() as tx:
        refuse(breaker, tx, order("a"), order("b"))
        refuse(SameRefusalsBreaker("https://other.example/v1"), tx, order("c"))
        assert isinstance(SameRefusalsBreaker(SERVER).judge(tx, order("c"), REFUSED)[0], o.Blocked)
