"""All circuit breakers together, and what is kept in the state for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.job import State
from sorawatch.core.lifecycle import Action
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.breakers import Breakers
from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker
from sorawatch.daemon.submission.lost_answers_breaker import LostAnswersBreaker
from sorawatch.daemon.submission.same_refusals_breaker import SameRefusalsBreaker
from sorawatch.daemon.submission.server_values import ServerValues
from sorawatch.edges.store import Transaction
from sorawatch.errors import Cause
from tests.support.clocked_state import NOW, SERVER, ClockedState, order

WAITS = Waits(first=5)
MODEL_REFUSED = o.Blocked(Cause("the model is unknown", "Correct it.", temporary=False, one_model=True))
REFUSED = o.PermanentFailure("HTTP 422")
KEY_REFUSED = o.AnswerLost("HTTP 401", Cause("the key is refused", "Another.", temporary=False, key_related=True))


class Keys:
    """The key that is used now."""

    def __init__(self) -> None:
        self.now = "old"


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def breakers(keys: Keys) -> Breakers:
    causes = CircuitBreaker(WAITS, lambda: keys.now)
    return Breakers(causes, LostAnswersBreaker(SERVER, WAITS), SameRefusalsBreaker(SERVER))


def lose(breakers: Breakers, tx: Transaction, job_id: str, outcome: o.AnswerLost) -> None:
    uncertain = replace(order(job_id), state=State.UNCERTAIN)
    tx.jobs.add([uncertain])
    breakers.lost_answers.record(tx, order(job_id), Action.SUBMIT, outcome, uncertain)
    breakers.lost_answers.refresh(tx)


def test_a_model_that_is_stopped_has_no_room_even_for_what_is_free(state: ClockedState, breakers: Breakers) -> None:
    breakers.causes.record(Action.SUBMIT, MODEL_REFUSED, NOW, NOW, 0.5, "sora-2")
    with state.at() as tx:
        assert breakers.has_room(tx, "sora-2", 0) is False
        assert breakers.has_room(tx, "wan", 0)
    with state.at(60_000) as tx:
        assert breakers.has_room(tx, "sora-2", 800_000), "one probe"
        tx.jobs.add([order("probe")])
        assert not breakers.has_room(tx, "sora-2", 800_000)


def test_lost_answers_leave_room_for_what_is_free_only(state: ClockedState, breakers: Breakers) -> None:
    with state.at() as tx:
        tx.jobs.add([order("a")])
        assert breakers.has_room(tx, "sora-2", 800_000), "for one more"
        lose(breakers, tx, "b", KEY_REFUSED)
        prices = (800_000, None, 1, 0)
        assert [breakers.has_room(tx, "sora-2", price) for price in prices] == [False, False, False, True]


def test_all_that_is_open_is_told(state: ClockedState, breakers: Breakers) -> None:
    breakers.causes.record(Action.SUBMIT, MODEL_REFUSED, NOW, NOW, 0.5, "sora-2")
    with state.at() as tx:
        lose(breakers, tx, "a", KEY_REFUSED)
    first, second = breakers.pauses
    assert (first.reason, first.model) == ("the model is unknown", "sora-2")
    assert second.reason.endswith("HTTP 401")


def test_another_key_may_end_what_a_lost_answer_said_of_it(state: ClockedState, breakers: Breakers, keys: Keys) -> None:
    keys.now = "new"
    assert not breakers.key_changed(), "no key was refused"
    with state.at() as tx:
        lose(breakers, tx, "a", KEY_REFUSED)
        assert breakers.key_changed()
        breakers.clear(tx, for_new_key=True)
        assert breakers.has_room(tx, "sora-2", 800_000)
    assert not breakers.key_changed()


@pytest.mark.parametrize("for_new_key", [False, True])
def test_a_person_ends_all_and_a_key_no_refusals(state: ClockedState, breakers: Breakers, for_new_key: bool) -> None:
    breakers.causes.record(Action.SUBMIT, MODEL_REFUSED, NOW, NOW, 0.5, "sora-2")
    with state.at() as tx:
        lose(breakers, tx, "lost", o.AnswerLost("timed out"))
        for job_id in ("a", "b"):
            breakers.same_refusals.judge(tx, order(job_id), REFUSED)
        breakers.clear(tx, for_new_key=for_new_key)
        assert list(breakers.causes) == []
        assert breakers.lost_answers.room(tx, "sora-2") == (1 if for_new_key else 2)
        third, _ = breakers.same_refusals.judge(tx, order("c"), REFUSED)
        assert isinstance(third, o.Blocked) is for_new_key


def test_by_default_it_is_a_person_who_clears(state: ClockedState, breakers: Breakers) -> None:
    with state.at() as tx:
        lose(breakers, tx, "lost", o.AnswerLost("timed out"))
        breakers.clear(tx)
        assert breakers.lost_answers.room(tx, "sora-2") == 2


def test_each_server_has_values_of_its_own(state: ClockedState) -> None:
    here, there = ServerValues("learnt", SERVER), ServerValues("learnt", "https://other.example/v1")
    with state.at() as tx:
        assert here.read(tx) == {}
        here.write(tx, {"sora-2": 1})
        there.write(tx, {"sora-2": 2})
        assert (here.read(tx), there.read(tx)) == ({"sora-2": 1}, {"sora-2": 2})
        here.write(tx, {})
        assert (here.read(tx), there.read(tx)) == ({}, {"sora-2": 2})
        there.write(tx, {})
        assert tx.key_values.read("learnt") is None
