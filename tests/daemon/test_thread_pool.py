"""Threads that carry work out."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from sorawatch.daemon.mailbox import Mailbox
from sorawatch.daemon.thread_pool import ThreadPool


def hang(until: threading.Event) -> None:
    until.wait()


def test_tasks_are_done_in_their_order() -> None:
    mailbox: Mailbox[int] = Mailbox()
    pool = ThreadPool("test", 1)
    for number in range(100):
        pool.run(partial(mailbox.put, number))
    done: list[int] = []
    while len(done) < 100:
        done += mailbox.collect(60)
    assert done == [*range(100)]


def test_a_task_that_hangs_holds_up_nobody_else() -> None:
    mailbox: Mailbox[str] = Mailbox()
    released = threading.Event()
    pool = ThreadPool("test", 2)
    pool.run(lambda: hang(released))
    pool.run(lambda: mailbox.put("done"))
    assert mailbox.collect(60) == ["done"]
    released.set()


def test_it_grows_where_tasks_wait_long() -> None:
    mailbox: Mailbox[int] = Mailbox()
    pool, met = ThreadPool("grows", 1, 2, grow_after_seconds=-1), threading.Barrier(2)
    for _ in range(4):
        pool.run(lambda: mailbox.put(met.wait(60)))
    done: list[int] = []
    while len(done) < 4:
        done += mailbox.collect(60)
    assert sum(thread.name.startswith("grows") for thread in threading.enumerate()) == 2


def test_a_task_that_fails_is_logged_and_costs_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    mailbox: Mailbox[str] = Mailbox()
    pool = ThreadPool("test", 1)

    def fail() -> None:
        raise ZeroDivisionError

    pool.run(fail)
    pool.run(lambda: mailbox.put("done"))
    assert mailbox.collect(60) == ["done"]
    assert "ZeroDivisionError" in caplog.text


def test_hanging_tasks_do_not_keep_the_process() -> None:
    released = threading.Event()
    ThreadPool("hangs", 1).run(lambda: hang(released))
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("hangs"))
    released.set()
