"""Threads that carry work out, and the mailbox that their results come through."""

from __future__ import annotations

import threading

from sorawatch.daemon import threads
from sorawatch.daemon.mailbox import Mailbox
from sorawatch.daemon.threads import ThreadPool


class TestMailbox:
    def test_messages_come_all_at_once_in_their_order(self):
        mailbox: Mailbox[int] = Mailbox()
        for number in range(5):
            mailbox.put(number)
        assert mailbox.collect(0) == [0, 1, 2, 3, 4]
        assert mailbox.collect(0) == []

    def test_it_waits_for_the_first(self):
        mailbox: Mailbox[str] = Mailbox()
        threading.Thread(target=mailbox.put, args=("here",)).start()
        assert mailbox.collect(60) == ["here"]

    def test_it_does_not_wait_for_ever(self):
        assert Mailbox[str]().collect(0.001) == []

    def test_who_goes_on_putting_does_not_keep_the_collector(self):
        mailbox: Mailbox[int] = Mailbox()
        ended = threading.Event()

        def put() -> None:
            while not ended.is_set():
                mailbox.put(1)

        putting = threading.Thread(target=put)
        putting.start()
        try:
            assert all(mailbox.collect(60) for _ in range(50))
        finally:
            ended.set()
            putting.join()

    def test_in_a_rush_it_waits_for_more(self, monkeypatch):
        mailbox: Mailbox[str] = Mailbox()
        monkeypatch.setattr(threads.time, "sleep", lambda seconds: seconds > 0 and mailbox.put("later"))
        mailbox.put("alone")
        assert mailbox.collect(0, spacing=3600) == ["alone"]
        mailbox.put("soon after")
        assert mailbox.collect(0, spacing=3600) == ["soon after", "later"]

    def test_nothing_is_lost_between_threads(self):
        mailbox: Mailbox[int] = Mailbox()
        putting = [threading.Thread(target=lambda: [mailbox.put(1) for _ in range(500)]) for _ in range(4)]
        for thread in putting:
            thread.start()
        count = 0
        while count < 2000:
            count += sum(mailbox.collect(60))
        assert count == 2000
        assert mailbox.collect(0) == []


class TestCrew:
    def test_tasks_are_done_in_their_order(self):
        mailbox: Mailbox[int] = Mailbox()
        crew = ThreadPool("test", 1)
        for number in range(100):
            crew.run(lambda number=number: mailbox.put(number))
        done: list[int] = []
        while len(done) < 100:
            done += mailbox.collect(60)
        assert done == [*range(100)]

    def test_a_task_that_hangs_holds_up_nobody_else(self):
        mailbox: Mailbox[str] = Mailbox()
        released = threading.Event()
        crew = ThreadPool("test", 2)
        crew.run(released.wait)
        crew.run(lambda: mailbox.put("done"))
        assert mailbox.collect(60) == ["done"]
        released.set()

    def test_it_grows_where_tasks_wait_long(self, monkeypatch):
        monkeypatch.setattr(threads, "_LONG", -1.0)
        mailbox: Mailbox[int] = Mailbox()
        crew, met = ThreadPool("grows", 1, 2), threading.Barrier(2)
        for _ in range(4):
            crew.run(lambda: mailbox.put(met.wait(60)))
        done: list[int] = []
        while len(done) < 4:
            done += mailbox.collect(60)
        assert sum(thread.name.startswith("grows") for thread in threading.enumerate()) == 2

    def test_a_task_that_fails_is_logged_and_costs_no_thread(self, caplog):
        mailbox: Mailbox[str] = Mailbox()
        crew = ThreadPool("test", 1)
        crew.run(lambda: 1 / 0)
        crew.run(lambda: mailbox.put("done"))
        assert mailbox.collect(60) == ["done"]
        assert "ZeroDivisionError" in caplog.text

    def test_hanging_tasks_do_not_keep_the_process(self):
        released = threading.Event()
        ThreadPool("hangs", 1).run(released.wait)
        assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("hangs"))
        released.set()
