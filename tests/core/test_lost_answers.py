"""When lost answers stop orders, and when the next paid order may try again."""

from __future__ import annotations

from sorawatch.core import outcome as o
from sorawatch.core.lost_answers import LostAnswers, from_json, lost, to_json, without
from sorawatch.core.waits import Waits
from sorawatch.errors import Cause

NOW = 1_760_000_000_000
HOUR = 3_600_000
WAITS = Waits(first=5)
TIMED_OUT = o.AnswerLost("timed out")
NO_CREDIT = o.AnswerLost("HTTP 500", Cause("no credit", "top up", temporary=False, key_related=True))


def after(*jobs: str, answer: o.AnswerLost = TIMED_OUT) -> LostAnswers:
    """What is known after these jobs' answers were lost, each sent and lost a second after the other."""
    known = None
    for number, job_id in enumerate(jobs):
        known = lost(known, job_id, NOW + 1000 * number, answer, NOW + 1000 * number, WAITS)
    assert known is not None
    return known


def test_one_lost_answer_stops_nobody() -> None:
    assert not after("a").is_open
    assert not after("a", "a", "a").is_open, "of one order again and again"


def test_two_different_ones_in_a_row_open_it_and_a_probe_may_go_a_minute_later() -> None:
    known = after("a", "b")
    assert (known.opened_at, known.until, known.probes) == (NOW + 1000, NOW + 61_000, 0)


def test_one_that_names_a_cause_opens_it_at_once() -> None:
    known = after("a", answer=NO_CREDIT)
    assert (known.is_open, known.hint, known.key_related) == (True, "top up", True)


def test_what_was_sent_before_it_opened_is_no_probe() -> None:
    known = lost(after("a", "b"), "c", NOW, TIMED_OUT, NOW + 5000, WAITS)
    assert (known.probes, known.until, known.jobs) == (0, NOW + 61_000, ("a", "b", "c"))


def test_what_was_sent_as_it_opened_is_a_probe() -> None:
    assert lost(after("a", "b"), "c", NOW + 1000, TIMED_OUT, NOW + 5000, WAITS).probes == 1


def test_without_a_cause_no_other_key_helps() -> None:
    assert not after("a", "b").key_related


def test_the_second_probe_goes_an_hour_later_and_then_a_person_decides() -> None:
    first = lost(after("a", "b"), "c", NOW + 61_000, TIMED_OUT, NOW + 62_000, WAITS)
    assert (first.probes, first.until, first.waits_for_a_person) == (1, NOW + 62_000 + HOUR, False)
    second = lost(first, "d", NOW + 2 * HOUR, TIMED_OUT, NOW + 2 * HOUR, WAITS)
    assert (second.probes, second.until, second.waits_for_a_person) == (2, None, True)


def test_one_that_was_found_begins_the_count_anew() -> None:
    assert without(after("a"), "a") is None
    opened = after("a", "b")
    left = without(opened, "a")
    assert left is not None
    assert left.jobs == ("b",)
    assert without(left, "b") is None


def test_it_is_kept_as_it_is() -> None:
    for known in (after("a"), after("a", "b"), after("a", answer=NO_CREDIT)):
        assert from_json(to_json(known)) == known
