"""Messages from any thread to the one that collects them."""

from __future__ import annotations

import threading

from sorawatch.daemon.mailbox import Mailbox


def test_messages_come_all_at_once_in_their_order() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for number in range(5):
        mailbox.put(number)
    assert mailbox.collect(0) == [0, 1, 2, 3, 4]
    assert mailbox.collect(0) == []


def test_it_waits_for_the_first() -> None:
    mailbox: Mailbox[str] = Mailbox()
    threading.Thread(target=mailbox.put, args=("here",)).start()
    assert mailbox.collect(60) == ["here"]


def test_it_does_not_wait_for_ever() -> None:
    assert Mailbox[str]().collect(0.001) == []


def test_who_goes_on_putting_does_not_keep_the_collector() -> None:
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


def test_in_a_rush_it_waits_for_more() -> None:
    mailbox: Mailbox[str]

    def sleep(seconds: float) -> None:
        if seconds > 0:
            mailbox.put("later")

    mailbox = Mailbox(sleep=sleep)
    mailbox.put("alone")
    assert mailbox.collect(0, spacing=3600) == ["alone"]
    mailbox.put("soon after")
    assert mailbox.collect(0, spacing=3600) == ["soon after", "later"]


def test_nothing_is_lost_between_threads() -> None:
    mailbox: Mailbox[int] = Mailbox()

    def put_many() -> None:
        for _ in range(500):
            mailbox.put(1)

    putting = [threading.Thread(target=put_many) for _ in range(4)]
    for thread in putting:
        thread.start()
    count = 0
    while count < 2000:
        count += sum(mailbox.collect(60))
    assert count == 2000
    assert mailbox.collect(0) == []
