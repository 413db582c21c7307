"""Which pairs are jobs already."""

from __future__ import annotations

from dataclasses import replace

from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.daemon.intake.known_pairs import KnownPairs

FIRST = Pair("", "beach.jpg", Stamp(1, 1))
CHANGED = Pair("", "beach.jpg", Stamp(2, 2))


def job(job_id: str, pair: Pair, state: State = State.FOUND) -> Job:
    return Job(job_id, state, pair, created_at=1, due_at=1, changed_at=1)


def test_a_pair_is_known_while_its_job_goes_on() -> None:
    register = KnownPairs()
    register.update(job("a", FIRST))
    assert FIRST in register
    assert CHANGED not in register
    assert register.latest() == {"beach.jpg": FIRST}
    register.update(job("a", FIRST, State.DONE))
    assert FIRST not in register
    assert register.latest() == {}


def test_only_what_is_not_paid_for_can_be_missed() -> None:
    register = KnownPairs()
    register.update(job("a", FIRST, State.READY))
    assert register.missing({"beach.jpg": FIRST}, 0.0, 0.0) == []
    assert register.missing({"beach.jpg": CHANGED}, 0.0, 0.0) == ["a"]
    assert register.missing({}, 0.0, 0.0) == ["a"]
    register.update(job("a", FIRST, State.SUBMITTING))
    assert register.missing({}, 0.0, 0.0) == []


def test_a_pair_that_must_be_missed_for_long_is_missed_in_every_look() -> None:
    register = KnownPairs()
    register.update(job("a", FIRST))
    there = {"beach.jpg": FIRST}
    for now, present in ((0.0, {}), (50.0, {}), (70.0, there), (80.0, {}), (139.0, {})):
        assert register.missing(present, now, 60.0) == []
    assert register.missing({}, 140.0, 60.0) == ["a"]


class TestAPictureChangedWhileItsJobGoesOn:
    def test_news_of_the_older_job_does_not_hide_the_newer(self) -> None:
        register = KnownPairs()
        register.update(job("a", FIRST, State.RENDERING))
        register.update(job("b", CHANGED))
        register.update(job("a", FIRST, State.RENDERED))
        assert register.latest() == {"beach.jpg": CHANGED}
        assert FIRST in register
        assert CHANGED in register

    def test_the_end_of_either_leaves_the_other(self) -> None:
        for ended, left in (("a", CHANGED), ("b", FIRST)):
            register = KnownPairs()
            jobs = {"a": job("a", FIRST, State.RENDERING), "b": job("b", CHANGED)}
            for each in jobs.values():
                register.update(each)
            register.update(replace(jobs[ended], state=State.CANCELLED))
            assert register.latest() == {"beach.jpg": left}

    def test_a_job_that_takes_the_new_stamp_over_keeps_its_place(self) -> None:
        register = KnownPairs()
        register.update(job("a", FIRST, State.RENDERING))
        register.update(job("b", CHANGED))
        register.update(job("a", CHANGED, State.RENDERING))
        register.update(job("b", CHANGED, State.CANCELLED))
        assert register.latest() == {"beach.jpg": CHANGED}
        assert CHANGED in register


def test_the_end_of_a_job_nobody_entered_is_nothing() -> None:
    register = KnownPairs()
    register.update(job("a", FIRST, State.DONE))
    assert register.latest() == {}


def test_a_pair_that_comes_to_lie_under_another_name_is_known_by_that_alone() -> None:
    there = Pair("", "beach.jpg", Stamp(1, 1))
    here = Pair("", "beach (2).jpg", Stamp(1, 1))
    register = KnownPairs([job("a", there, State.RESTORING)])
    assert there in register
    register.update(job("a", here, State.FOUND))
    assert (there in register, here in register) == (False, True)
    register.update(job("a", here, State.CANCELLED))
    assert register.latest() == {}
