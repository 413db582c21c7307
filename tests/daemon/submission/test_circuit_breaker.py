"""Why submissions pause, and who may try whether they still must."""

from __future__ import annotations

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.lifecycle import Action
from sorawatch.core.schedule import Waits
from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker, OpenCircuit

NOW = 1_760_000_000_000
MINUTE = 60_000
NO_CREDIT = o.Halted("no credit", "top up", passing=False, retry_after=None)
OUT_OF_REACH = o.Halted("out of reach", "wait", passing=True, retry_after=None)
DISK_FULL = o.Halted("disk full", "make room", passing=True, retry_after=None)


@pytest.fixture
def blocks() -> CircuitBreaker:
    return CircuitBreaker(Waits(first=5, longest=900))


def learn(blocks: CircuitBreaker, action: Action, outcome: o.Outcome, now: int = NOW, due_at: int = NOW) -> None:
    blocks.learn(action, outcome, now, due_at, jitter=0.5)


def test_without_a_cause_everybody_goes(blocks: CircuitBreaker) -> None:
    assert list(blocks) == []
    assert blocks.places(7, 3, NOW) == 7


def test_a_halt_stops_everybody_and_says_why(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    assert list(blocks) == [
        OpenCircuit(Action.SUBMIT, "no credit", "top up", passing=False, since=NOW, tries=1, until=NOW + MINUTE)
    ]
    assert blocks.places(7, 0, NOW) == 0
    assert blocks.places(7, 0, NOW + MINUTE - 1) == 0


def test_one_canary_goes_when_the_wait_is_over(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    assert blocks.places(7, 0, NOW + MINUTE) == 1
    assert blocks.places(0, 0, NOW + MINUTE) == 0
    assert blocks.places(7, 1, NOW + MINUTE) == 0


@pytest.mark.parametrize(
    ("halt", "waits"),
    [(NO_CREDIT, [60, 120, 240, 480, 960, 1920, 3600, 3600]), (OUT_OF_REACH, [5, 10, 20, 40, 80, 160, 320, 640, 900])],
)
def test_each_canary_that_fails_waits_longer_for_the_next(
    blocks: CircuitBreaker, halt: o.Halted, waits: list[int]
) -> None:
    now = NOW
    for tries, wait in enumerate(waits, 1):
        learn(blocks, Action.SUBMIT, halt, now)
        (block,) = blocks
        assert (block.tries, block.since, block.until) == (tries, NOW, now + 1000 * wait)
        now = block.until


def test_those_already_on_their_way_when_it_was_set_change_nothing(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    (before,) = blocks
    for _ in range(3):
        learn(blocks, Action.SUBMIT, OUT_OF_REACH, NOW + 1000)
    assert list(blocks) == [before]


def test_one_accepted_that_was_on_its_way_already_does_not_end_the_wait(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, OUT_OF_REACH)
    (before,) = blocks
    learn(blocks, Action.SUBMIT, o.Accepted("video_1"), NOW + 1000)
    assert list(blocks) == [before]
    learn(blocks, Action.SUBMIT, o.Accepted("video_2"), before.until)
    assert list(blocks) == []


def test_an_order_taken_as_the_last_for_now_stops_the_others_for_so_long_and_no_longer(blocks: CircuitBreaker) -> None:
    now = NOW
    for _ in range(12):
        learn(blocks, Action.SUBMIT, o.Accepted("video_1", rest=7.5), now)
        (block,) = blocks
        assert (block.asked, block.tries, block.until) == (7.5, 0, now + 7500)
        assert blocks.places(7, 0, block.until - 1) == 0
        assert blocks.places(7, 0, block.until) == 1
        now = block.until
    learn(blocks, Action.SUBMIT, o.Accepted("video_2"), now)
    assert list(blocks) == []


def test_a_canary_that_meets_another_cause_tells_that_one(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    learn(blocks, Action.SUBMIT, OUT_OF_REACH, NOW + MINUTE)
    (block,) = blocks
    assert (block.reason, block.since, block.tries, block.until) == ("out of reach", NOW, 2, NOW + MINUTE + 10_000)


def test_the_servers_wish_for_a_wait_is_kept(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, o.Halted("HTTP 429", "wait", passing=True, retry_after=300))
    assert blocks.places(7, 0, NOW + 299_999) == 0
    assert blocks.places(7, 0, NOW + 300_000) == 1


@pytest.mark.parametrize("outcome", [o.Accepted("video_1"), o.FailedForGood("bad prompt")])
def test_an_answer_about_the_order_shows_that_the_way_is_open(blocks: CircuitBreaker, outcome: o.Outcome) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    learn(blocks, Action.SUBMIT, outcome, NOW + MINUTE)
    assert list(blocks) == []
    assert blocks.places(7, 3, NOW + MINUTE) == 7


@pytest.mark.parametrize("outcome", [o.Unknown("timed out"), o.ReferenceLost(), o.FailedForNow("HTTP 500")])
def test_what_tells_nothing_of_the_cause_lifts_nothing(blocks: CircuitBreaker, outcome: o.Outcome) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    before = list(blocks)
    learn(blocks, Action.SUBMIT, outcome, NOW + MINUTE)
    assert list(blocks) == before
    assert blocks.places(7, 0, NOW + MINUTE) == 1


def test_what_only_others_do_lifts_nothing(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    learn(blocks, Action.POLL, o.Pending(50))
    learn(blocks, Action.DELIVER, o.Delivered("beach.mp4"))
    assert [block.action for block in blocks] == [Action.SUBMIT]


class TestWhatStopsAnotherAction:
    def test_nothing_new_is_bought_while_clips_cannot_be_delivered(self, blocks: CircuitBreaker) -> None:
        learn(blocks, Action.DELIVER, DISK_FULL, due_at=NOW + 40_000)
        assert list(blocks) == [
            OpenCircuit(
                Action.DELIVER, "disk full", "make room", passing=True, since=NOW, tries=1, until=NOW + 40_000 + MINUTE
            )
        ]
        assert blocks.places(7, 0, NOW) == 0

    def test_one_success_lifts_it(self, blocks: CircuitBreaker) -> None:
        learn(blocks, Action.DELIVER, DISK_FULL)
        learn(blocks, Action.DELIVER, o.Delivered("beach.mp4"))
        assert blocks.places(7, 0, NOW) == 7

    def test_each_halt_renews_it(self, blocks: CircuitBreaker) -> None:
        learn(blocks, Action.DELIVER, DISK_FULL)
        learn(blocks, Action.DELIVER, DISK_FULL, NOW + 50_000, due_at=NOW + 90_000)
        (block,) = blocks
        assert (block.tries, block.since, block.until) == (2, NOW, NOW + 90_000 + MINUTE)

    def test_it_lapses_where_nobody_is_left_to_renew_it(self, blocks: CircuitBreaker) -> None:
        learn(blocks, Action.DELIVER, DISK_FULL)
        assert blocks.places(7, 0, NOW + MINUTE - 1) == 0
        assert blocks.places(7, 0, NOW + MINUTE) == 7
        assert list(blocks) == []

    def test_no_canary_goes_while_it_holds(self, blocks: CircuitBreaker) -> None:
        learn(blocks, Action.SUBMIT, OUT_OF_REACH)
        learn(blocks, Action.ARCHIVE, DISK_FULL)
        assert blocks.places(7, 0, NOW + 30_000) == 0
        assert blocks.places(7, 0, NOW + MINUTE) == 1


def test_a_person_who_mended_it_need_not_wait(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    learn(blocks, Action.DELIVER, DISK_FULL)
    blocks.clear()
    assert blocks.places(7, 3, NOW) == 7


class TestKeys:
    REFUSED = o.Halted("key refused", "hint", passing=False, retry_after=None, keyed=True)

    @pytest.fixture
    def keys(self) -> list[str]:
        """What lies in the key's file, the present one last."""
        return ["old"]

    @pytest.fixture
    def blocks(self, keys: list[str]) -> CircuitBreaker:
        return CircuitBreaker(Waits(first=5, longest=900), lambda: keys[-1])

    def test_another_one_counts_where_one_was_refused(self, blocks: CircuitBreaker, keys: list[str]) -> None:
        assert blocks.places(1, 0, NOW) == 1
        learn(blocks, Action.SUBMIT, self.REFUSED)
        assert not blocks.key_changed()
        keys.append("new")
        assert blocks.key_changed()

    def test_one_put_there_before_the_refusal_arrived_counts_too(self, blocks: CircuitBreaker, keys: list[str]) -> None:
        assert blocks.places(1, 0, NOW) == 1
        keys.append("new")
        learn(blocks, Action.SUBMIT, self.REFUSED)
        assert blocks.key_changed()

    def test_each_is_tried_but_once(self, blocks: CircuitBreaker, keys: list[str]) -> None:
        keys.append("new")
        learn(blocks, Action.POLL, self.REFUSED)
        assert blocks.key_changed()
        blocks.clear()
        learn(blocks, Action.POLL, self.REFUSED)
        assert not blocks.key_changed()

    def test_what_no_key_mends_no_key_ends(self, blocks: CircuitBreaker, keys: list[str]) -> None:
        blocks.places(1, 0, NOW)
        learn(blocks, Action.SUBMIT, OUT_OF_REACH)
        keys.append("new")
        assert not blocks.key_changed()


def test_a_clock_set_back_by_a_day_stops_nothing_for_a_day(blocks: CircuitBreaker) -> None:
    learn(blocks, Action.SUBMIT, NO_CREDIT)
    learn(blocks, Action.DELIVER, DISK_FULL)
    yesterday = NOW - 86_400_000
    assert blocks.places(7, 0, yesterday) == 1
    learn(blocks, Action.SUBMIT, NO_CREDIT, yesterday)
    (block,) = blocks
    assert (block.tries, block.until) == (2, yesterday + 2 * MINUTE)
