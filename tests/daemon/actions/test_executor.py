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


def test_an_action_comes_back_with_its_job_token_and_outcome(mailbox):
    hands = Executor(lambda action, job: o.Accepted(f"{action} {job.id}"), mailbox.put)
    hands.start(Action.SUBMIT, JOB)
    assert mailbox.collect(60) == [ActionDone("a", Action.SUBMIT, "t", o.Accepted("submit a"))]


@pytest.mark.parametrize("action", Action)
def test_a_fault_of_ours_is_reported_and_a_submit_then_counts_as_unknown(mailbox, action, caplog):
    def fail(action: Action, job: Job) -> o.Outcome:
        raise ZeroDivisionError

    Executor(fail, mailbox.put).start(action, JOB)
    (done,) = mailbox.collect(60)
    assert isinstance(done.outcome, o.Unknown if action is Action.SUBMIT else o.FailedForNow)
    assert done.outcome.reason == "a fault in sorawatch: ZeroDivisionError"
    assert "Traceback" in caplog.text


def test_a_slow_kind_does_not_hold_up_the_others(mailbox):
    released = threading.Event()

    def perform(action: Action, job: Job) -> o.Outcome:
        if action is Action.DELIVER:
            released.wait()
        return o.Restored()

    hands = Executor(perform, mailbox.put)
    for _ in range(20):
        hands.start(Action.DELIVER, JOB)
    for action in (Action.SUBMIT, Action.POLL, Action.PREPARE, Action.ARCHIVE):
        hands.start(action, JOB)
        assert [done.action for done in mailbox.collect(60)] == [action]
    released.set()


def reports(mailbox: Mailbox[ActionDone], count: int) -> list[ActionDone]:
    """So many reports."""
    found: list[ActionDone] = []
    while len(found) < count:
        found += mailbox.collect(60)
    return found


def test_a_job_in_hand_is_known_until_its_report_is_recorded(mailbox):
    hands = Executor(lambda action, job: o.Restored(), mailbox.put)
    assert not hands.have(JOB)
    hands.start(Action.SUBMIT, JOB)
    assert hands.have(JOB)
    assert not hands.have(replace(JOB, token="another"))
    assert not hands.have(replace(JOB, state=State.DONE))
    (done,) = reports(mailbox, 1)
    assert hands.have(JOB)
    hands.finished(done)
    assert not hands.have(JOB)


def test_what_is_under_way_is_counted_until_it_is_recorded(mailbox):
    hands = Executor(lambda action, job: o.Restored(), mailbox.put)
    empty = hands.room(Action.POLL)
    hands.start(Action.POLL, JOB)
    hands.start(Action.RESOLVE, JOB)
    assert (hands.busy(), hands.busy(Action.POLL), hands.busy(Action.SUBMIT)) == (2, 1, 0)
    assert hands.room(Action.POLL) == hands.room(Action.RESOLVE) == empty - 2
    for done in reports(mailbox, 2):
        hands.finished(done)
    assert hands.busy() == 0
    assert hands.room(Action.POLL) == empty


def test_there_is_no_room_beyond_a_full_queue(mailbox):
    released = threading.Event()

    def perform(action: Action, job: Job) -> o.Outcome:
        released.wait()
        return o.Restored()

    hands = Executor(perform, mailbox.put)
    for _ in range(hands.room(Action.PREPARE) + 3):
        hands.start(Action.PREPARE, JOB)
    assert hands.room(Action.PREPARE) == 0
    released.set()


def test_what_comes_to_no_end_is_named_until_it_does(mailbox, monkeypatch):
    monkeypatch.setattr("sorawatch.daemon.actions.executor._PATIENCE", {Action.ARCHIVE: 0.1})
    released = threading.Event()

    def perform(action: Action, job: Job) -> o.Outcome:
        released.wait()
        return o.Filed(())

    hands = Executor(perform, mailbox.put)
    hands.start(Action.POLL, JOB)
    hands.start(Action.ARCHIVE, JOB)
    assert hands.hanging is None
    wait_until(lambda: hands.hanging)
    assert hands.hanging == "filing a.jpg comes to no end; if a folder lies on a share, see to that"
    released.set()
    reports(mailbox, 2)
    assert hands.hanging is None
