"""Who carries actions out: each kind by its own threads, and every action comes back as a report."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action
from sorawatch.daemon.actions.executor import ActionDone, Executor
from sorawatch.daemon.mailbox import Mailbox
from tests.support.workspace import wait_until

JOB = Job("a", State.SUBMITTING, Pair("", "a.jpg", Stamp(1, 1)), created_at=1, due_at=1, changed_at=1, token="t")


@pytest.fixture
def mailbox() -> Mailbox[ActionDone]:
    return Mailbox()


def test_an_action_comes_back_with_its_job_token_and_outcome(mailbox: Mailbox[ActionDone]) -> None:
    executor = Executor(lambda action, job: o.Accepted(f"{action} {job.id}"), mailbox.put)
    executor.start(Action.SUBMIT, JOB)
    assert mailbox.collect(60) == [ActionDone("a", Action.SUBMIT, "t", o.Accepted("submit a"))]


@pytest.mark.parametrize("action", Action)
def test_a_fault_of_ours_is_reported_and_a_submit_then_counts_as_unknown(
    mailbox: Mailbox[ActionDone], action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(action: Action, job: Job) -> o.Outcome:
        raise ZeroDivisionError

    Executor(fail, mailbox.put).start(action, JOB)
    (done,) = mailbox.collect(60)
    assert isinstance(done.outcome, o.AnswerLost if action is Action.SUBMIT else o.TemporaryFailure)
    assert done.outcome.reason == "a fault in sorawatch: ZeroDivisionError"
    assert "Traceback" in caplog.text


def test_a_slow_kind_does_not_hold_up_the_others(mailbox: Mailbox[ActionDone]) -> None:
    released = threading.Event()

    def perform(action: Action, job: Job) -> o.Outcome:
        if action is Action.DELIVER:
            released.wait()
        return o.Restored()

    executor = Executor(perform, mailbox.put)
    for _ in range(20):
        executor.start(Action.DELIVER, JOB)
    for action in (Action.SUBMIT, Action.POLL, Action.PREPARE, Action.ARCHIVE):
        executor.start(action, JOB)
        assert [done.action for done in mailbox.collect(60)] == [action]
    released.set()


def test_the_number_of_polls_in_flight_grows_with_the_need(mailbox: Mailbox[ActionDone]) -> None:
    """Each poll ends only when a hundred are under way."""
    together = threading.Barrier(100)

    def perform(action: Action, job: Job) -> o.Outcome:
        together.wait()
        return o.Pending(1)

    executor = Executor(perform, mailbox.put)
    for _ in range(100):
        executor.start(Action.POLL, JOB)

    def turn() -> list[ActionDone]:
        # The next turns queue a few more.
        if executor.count() < 300:
            executor.start(Action.POLL, JOB)
        return mailbox.collect(0.01)

    wait_until(turn)
    together.abort()


def reports(mailbox: Mailbox[ActionDone], count: int) -> list[ActionDone]:
    """So many reports."""
    found: list[ActionDone] = []
    while len(found) < count:
        found += mailbox.collect(60)
    return found


def test_a_job_in_hand_is_known_until_its_report_is_recorded(mailbox: Mailbox[ActionDone]) -> None:
    executor = Executor(lambda action, job: o.Restored(), mailbox.put)
    assert not executor.has(JOB)
    executor.start(Action.SUBMIT, JOB)
    assert executor.has(JOB)
    assert not executor.has(replace(JOB, token="another"))
    assert not executor.has(replace(JOB, state=State.DONE))
    (done,) = reports(mailbox, 1)
    assert executor.has(JOB)
    executor.recorded(done)
    assert not executor.has(JOB)


def test_what_is_under_way_is_counted_until_it_is_recorded(mailbox: Mailbox[ActionDone]) -> None:
    executor = Executor(lambda action, job: o.Restored(), mailbox.put)
    empty = executor.room(Action.POLL)
    executor.start(Action.POLL, JOB)
    executor.start(Action.RESOLVE, JOB)
    assert (executor.count(), executor.count(Action.POLL), executor.count(Action.SUBMIT)) == (2, 1, 0)
    assert executor.room(Action.POLL) == executor.room(Action.RESOLVE) == empty - 2
    for done in reports(mailbox, 2):
        executor.recorded(done)
    assert executor.count() == 0
    assert executor.room(Action.POLL) == empty


def test_there_is_no_room_beyond_a_full_queue(mailbox: Mailbox[ActionDone]) -> None:
    released = threading.Event()

    def perform(action: Action, job: Job) -> o.Outcome:
        released.wait()
        return o.Restored()

    executor = Executor(perform, mailbox.put)
    for _ in range(executor.room(Action.PREPARE) + 3):
        executor.start(Action.PREPARE, JOB)
    assert executor.room(Action.PREPARE) == 0
    released.set()
