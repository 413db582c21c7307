"""Why submissions pause, and who may try whether they still must."""

from __future__ import annotations

import pytest

from sorawatch.core import outcome as o
from sorawatch.core.lifecycle import Action
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.circuit_breaker import CircuitBreaker, OpenCircuit
from sorawatch.errors import Cause

NOW = 1_760_000_000_000
MINUTE = 60_000
NO_CREDIT = o.Blocked(Cause("no credit", "top up", temporary=False))
OUT_OF_REACH = o.Blocked(Cause("out of reach", "wait", temporary=True))
DISK_FULL = o.Blocked(Cause("disk full", "make room", temporary=True))


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(Waits(first=5, longest=900))


def record(
    breaker: CircuitBreaker,
    action: Action,
    outcome: o.Outcome,
    now: int = NOW,
    due_at: int = NOW,
    submitted_at: int | None = None,
) -> None:
    breaker.record(action, outcome, now, due_at, jitter=0.5, submitted_at=submitted_at)


def test_without_a_cause_everybody_goes(breaker: CircuitBreaker) -> None:
    assert list(breaker) == []
    assert breaker.places(7, 3, NOW) == 7


def test_a_halt_stops_everybody_and_says_why(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    assert list(breaker) == [OpenCircuit(Action.SUBMIT, NO_CREDIT.cause, since=NOW, tries=1, until=NOW + MINUTE)]
    assert breaker.places(7, 0, NOW) == 0
    assert breaker.places(7, 0, NOW + MINUTE - 1) == 0


def test_one_probe_goes_when_the_wait_is_over(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    assert breaker.places(7, 0, NOW + MINUTE) == 1
    assert breaker.places(0, 0, NOW + MINUTE) == 0
    assert breaker.places(7, 1, NOW + MINUTE) == 0


@pytest.mark.parametrize(
    ("halt", "waits"),
    [
        (NO_CREDIT, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
        (OUT_OF_REACH, [0.156, 0.312, 0.625, 1.25, 2.5, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]),
    ],
)
def test_each_probe_that_fails_waits_longer_for_the_next(
    breaker: CircuitBreaker, halt: o.Blocked, waits: list[float]
) -> None:
    now = NOW
    for tries, wait in enumerate(waits, 1):
        record(breaker, Action.SUBMIT, halt, now)
        (circuit,) = breaker
        assert (circuit.tries, circuit.since, circuit.until) == (tries, NOW, now + 1000 * wait)
        now = circuit.until


def test_early_probes_are_no_attempts(breaker: CircuitBreaker) -> None:
    now, attempts = NOW, []
    for _ in range(8):
        record(breaker, Action.SUBMIT, OUT_OF_REACH, now)
        (circuit,) = breaker
        attempts.append(circuit.attempts)
        now = circuit.until
    assert attempts == [0, 0, 0, 0, 0, 1, 2, 3]


def test_every_probe_for_a_cause_that_only_a_person_ends_is_an_attempt(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    (circuit,) = breaker
    assert circuit.attempts == 1


def test_a_second_refusal_with_a_short_wait_makes_the_others_wait_hardly_longer(breaker: CircuitBreaker) -> None:
    now, wait_1 = NOW, o.Blocked(Cause("HTTP 429", "wait", temporary=True, retry_after=1))
    for _ in range(3):
        record(breaker, Action.SUBMIT, wait_1, now)
        (circuit,) = breaker
        assert 1000 <= circuit.until - now <= 1250
        now = circuit.until
    record(breaker, Action.SUBMIT, o.Accepted("video_1"), now)
    assert breaker.places(7, 0, now) == 7


def test_those_already_on_their_way_when_it_was_set_change_nothing(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    (before,) = breaker
    for _ in range(3):
        record(breaker, Action.SUBMIT, OUT_OF_REACH, NOW + 1000)
    assert list(breaker) == [before]


def test_refusals_of_orders_that_were_sent_before_are_no_failed_probes_however_late_they_come(
    breaker: CircuitBreaker,
) -> None:
    record(breaker, Action.SUBMIT, OUT_OF_REACH, submitted_at=NOW - 500)
    (before,) = breaker
    for _ in range(3):
        record(breaker, Action.SUBMIT, OUT_OF_REACH, before.until + 1000, submitted_at=NOW - 400)
    assert list(breaker) == [before]
    record(breaker, Action.SUBMIT, OUT_OF_REACH, before.until + 2000, submitted_at=before.until)
    (after,) = breaker
    assert after.tries == 2


def test_one_accepted_that_was_on_its_way_already_does_not_end_the_wait(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, OUT_OF_REACH)
    (before,) = breaker
    record(breaker, Action.SUBMIT, o.Accepted("video_1"), NOW + 1000, submitted_at=NOW)
    assert list(breaker) == [before]
    record(breaker, Action.SUBMIT, o.Accepted("video_2"), before.until)
    assert list(breaker) == []


def test_an_order_taken_as_the_last_for_now_stops_the_others_for_so_long_and_no_longer(breaker: CircuitBreaker) -> None:
    now = NOW
    for _ in range(12):
        record(breaker, Action.SUBMIT, o.Accepted("video_1", rest=7.5), now)
        (circuit,) = breaker
        assert (circuit.cause.retry_after, circuit.tries, circuit.until) == (7.5, 0, now + 7500)
        assert breaker.places(7, 0, circuit.until - 1) == 0
        assert breaker.places(7, 0, circuit.until) == 1
        now = circuit.until
    record(breaker, Action.SUBMIT, o.Accepted("video_2"), now)
    assert list(breaker) == []


def test_a_probe_that_meets_another_cause_tells_that_one(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    record(breaker, Action.SUBMIT, OUT_OF_REACH, NOW + MINUTE)
    (circuit,) = breaker
    assert (circuit.cause.reason, circuit.since, circuit.tries, circuit.until) == (
        "out of reach",
        NOW,
        2,
        NOW + MINUTE + 312,
    )


def test_the_servers_wish_for_a_wait_is_kept(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, o.Blocked(Cause("HTTP 429", "wait", temporary=True, retry_after=300)))
    assert breaker.places(7, 0, NOW + 299_999) == 0
    assert breaker.places(7, 0, NOW + 300_000) == 1


@pytest.mark.parametrize("outcome", [o.Accepted("video_1"), o.PermanentFailure("bad prompt")])
def test_an_answer_about_the_order_shows_that_the_way_is_open(breaker: CircuitBreaker, outcome: o.Outcome) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    record(breaker, Action.SUBMIT, outcome, NOW + MINUTE)
    assert list(breaker) == []
    assert breaker.places(7, 3, NOW + MINUTE) == 7


@pytest.mark.parametrize("outcome", [o.AnswerLost("timed out"), o.ReferenceLost(), o.TemporaryFailure("HTTP 500")])
def test_what_tells_nothing_of_the_cause_lifts_nothing(breaker: CircuitBreaker, outcome: o.Outcome) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    before = list(breaker)
    record(breaker, Action.SUBMIT, outcome, NOW + MINUTE)
    assert list(breaker) == before
    assert breaker.places(7, 0, NOW + MINUTE) == 1


def test_what_only_others_do_lifts_nothing(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    record(breaker, Action.POLL, o.Pending(50))
    record(breaker, Action.DELIVER, o.Delivered("beach.mp4"))
    assert [circuit.action for circuit in breaker] == [Action.SUBMIT]


class TestWhatStopsAnotherAction:
    def test_nothing_new_is_bought_while_clips_cannot_be_delivered(self, breaker: CircuitBreaker) -> None:
        record(breaker, Action.DELIVER, DISK_FULL, due_at=NOW + 40_000)
        assert list(breaker) == [
            OpenCircuit(Action.DELIVER, DISK_FULL.cause, since=NOW, tries=1, until=NOW + 40_000 + MINUTE)
        ]
        assert breaker.places(7, 0, NOW) == 0

    def test_one_success_lifts_it(self, breaker: CircuitBreaker) -> None:
        record(breaker, Action.DELIVER, DISK_FULL)
        record(breaker, Action.DELIVER, o.Delivered("beach.mp4"))
        assert breaker.places(7, 0, NOW) == 7

    def test_each_halt_renews_it(self, breaker: CircuitBreaker) -> None:
        record(breaker, Action.DELIVER, DISK_FULL)
        record(breaker, Action.DELIVER, DISK_FULL, NOW + 50_000, due_at=NOW + 90_000)
        (circuit,) = breaker
        assert (circuit.tries, circuit.since, circuit.until) == (2, NOW, NOW + 90_000 + MINUTE)

    def test_it_lapses_where_nobody_is_left_to_renew_it(self, breaker: CircuitBreaker) -> None:
        record(breaker, Action.DELIVER, DISK_FULL)
        assert breaker.places(7, 0, NOW + MINUTE - 1) == 0
        assert breaker.places(7, 0, NOW + MINUTE) == 7
        assert list(breaker) == []

    def test_no_probe_goes_while_it_holds(self, breaker: CircuitBreaker) -> None:
        record(breaker, Action.SUBMIT, OUT_OF_REACH)
        record(breaker, Action.ARCHIVE, DISK_FULL)
        assert breaker.places(7, 0, NOW + 30_000) == 0
        assert breaker.places(7, 0, NOW + MINUTE) == 1


class TestOneModel:
    UNKNOWN = o.Blocked(Cause("no such model", "another", temporary=False, one_model=True))

    def test_what_concerns_one_model_stops_no_other(self, breaker: CircuitBreaker) -> None:
        breaker.record(Action.SUBMIT, self.UNKNOWN, NOW, NOW, 0.5, "wan")
        assert (breaker.stops_all, breaker.models) == (False, ["wan"])
        assert breaker.places(7, 3, NOW) == 7
        assert breaker.lets_through("wan", NOW, lambda: 0) is False
        assert breaker.lets_through("sora-2", NOW, lambda: 9) is True
        record(breaker, Action.SUBMIT, NO_CREDIT)
        assert (breaker.stops_all, breaker.models) == (True, ["wan"])

    def test_one_probe_goes_when_its_wait_is_over(self, breaker: CircuitBreaker) -> None:
        breaker.record(Action.SUBMIT, self.UNKNOWN, NOW, NOW, 0.5, "wan")
        assert not breaker.lets_through("wan", NOW + MINUTE - 1, lambda: 0)
        assert breaker.lets_through("wan", NOW + MINUTE, lambda: 0)
        assert not breaker.lets_through("wan", NOW + MINUTE, lambda: 1)
        breaker.record(Action.SUBMIT, o.Accepted("video_1"), NOW + MINUTE, NOW, 0.5, "wan")
        assert list(breaker) == []

    def test_an_answer_of_another_model_lifts_nothing(self, breaker: CircuitBreaker) -> None:
        breaker.record(Action.SUBMIT, self.UNKNOWN, NOW, NOW, 0.5, "wan")
        breaker.record(Action.SUBMIT, o.Accepted("video_1"), NOW + MINUTE, NOW, 0.5, "sora-2")
        assert breaker.models == ["wan"]


@pytest.mark.parametrize(("ahead", "places"), [(5_401_000, 0), (5_401_001, 7)])
def test_no_wait_is_believed_that_is_longer_than_the_longest(breaker: CircuitBreaker, ahead: int, places: int) -> None:
    """An hour and a half, a second, and the minute after which another action's cause is forgotten."""
    record(breaker, Action.DELIVER, DISK_FULL, due_at=NOW + ahead)
    assert breaker.places(7, 0, NOW) == places


def test_a_person_who_fixed_it_need_not_wait(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    record(breaker, Action.DELIVER, DISK_FULL)
    breaker.clear()
    assert breaker.places(7, 3, NOW) == 7


class TestKeys:
    REFUSED = o.Blocked(Cause("key refused", "hint", temporary=False, key_related=True))

    @pytest.fixture
    def keys(self) -> list[str]:
        """What lies in the key's file, the present one last."""
        return ["old"]

    @pytest.fixture
    def breaker(self, keys: list[str]) -> CircuitBreaker:
        return CircuitBreaker(Waits(first=5, longest=900), lambda: keys[-1])

    def test_another_one_counts_where_one_was_refused(self, breaker: CircuitBreaker, keys: list[str]) -> None:
        assert breaker.places(1, 0, NOW) == 1
        record(breaker, Action.SUBMIT, self.REFUSED)
        assert not breaker.key_changed()
        keys.append("new")
        assert breaker.key_changed()

    def test_one_put_there_before_the_refusal_arrived_counts_too(
        self, breaker: CircuitBreaker, keys: list[str]
    ) -> None:
        assert breaker.places(1, 0, NOW) == 1
        keys.append("new")
        record(breaker, Action.SUBMIT, self.REFUSED)
        assert breaker.key_changed()

    def test_each_is_tried_but_once(self, breaker: CircuitBreaker, keys: list[str]) -> None:
        keys.append("new")
        record(breaker, Action.POLL, self.REFUSED)
        assert breaker.key_changed()
        breaker.clear()
        record(breaker, Action.POLL, self.REFUSED)
        assert not breaker.key_changed()

    def test_the_one_that_a_refused_order_was_sent_with_is_known(
        self, breaker: CircuitBreaker, keys: list[str]
    ) -> None:
        keys.append("new")
        assert breaker.places(1, 0, NOW) == 1
        record(breaker, Action.SUBMIT, self.REFUSED)
        assert not breaker.key_changed()
        keys.append("newer")
        assert breaker.places(1, 0, NOW) == 0, "and nothing is sent with this one"
        assert breaker.key_changed()

    def test_what_no_key_mends_no_key_ends(self, breaker: CircuitBreaker, keys: list[str]) -> None:
        breaker.places(1, 0, NOW)
        record(breaker, Action.SUBMIT, OUT_OF_REACH)
        keys.append("new")
        assert not breaker.key_changed()


def test_a_clock_set_back_by_a_day_stops_nothing_for_a_day(breaker: CircuitBreaker) -> None:
    record(breaker, Action.SUBMIT, NO_CREDIT)
    record(breaker, Action.DELIVER, DISK_FULL)
    yesterday = NOW - 86_400_000
    assert breaker.places(7, 0, yesterday) == 1
    record(breaker, Action.SUBMIT, NO_CREDIT, yesterday)
    (circuit,) = breaker
    assert (circuit.tries, circuit.until) == (2, yesterday + 2 * MINUTE)
