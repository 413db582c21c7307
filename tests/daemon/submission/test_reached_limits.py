"""Which limits stay reached between two admissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import pytest

from sorawatch.core.budget import Exclusion, LimitReached, LimitScope
from sorawatch.core.job import Job, State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Model
from sorawatch.core.pause import Pause
from sorawatch.core.retry_policy import Policy
from sorawatch.core.waits import Waits
from sorawatch.daemon.submission.admission import Admission, Admitted
from sorawatch.daemon.submission.reached_limits import ReachedLimits
from tests.support.clocked_state import NOW, SERVER, order

DAY = LimitReached(Pause("$5 of $5", until=NOW + 1000, limit="limits.usd_per_day"), lasting=True, priced=True)
CATS = LimitReached(Pause("cats: $1 of $1", until=NOW + 1000, folder="cats", limit="cats' day"), lasting=True)
PERSON = LimitReached(Pause("usd_per_month is $0", limit="limits.usd_per_month"), lasting=True, priced=True)
FULL = LimitReached(Pause("3 of 3 places", limit="limits.in_flight"))
CATALOGUE = {"sora-2": Model("sora-2", None, None, micros_per_second=1), "free": Model("free", None, None, 0)}
ADMISSION = Admission(Limits(), Policy(Waits()), CATALOGUE, True, UTC, 0, SERVER)


def admitted(*reached: LimitReached, complete: bool = False, submitted: Sequence[Job] = ()) -> Admitted:
    return Admitted(tuple((order(job.id, State.READY), job) for job in submitted), reached, complete)


def after(
    second: Admitted | None, now: int = NOW, first: Admitted | None = None, folder_limits: Sequence[LimitScope] = ()
) -> list[LimitReached]:
    """What is reached after two admissions, of which the first found these limits, or those of a day and of a folder."""
    known = ReachedLimits()
    known.record(first or admitted(DAY, CATS, PERSON, FULL), (), NOW)
    known.record(second, folder_limits, now)
    return list(known)


def test_nothing_is_reached_at_first() -> None:
    assert list(ReachedLimits()) == []


def test_without_an_admission_the_lasting_ones_stay() -> None:
    assert after(None) == [DAY, CATS, PERSON]


def test_a_pass_that_ended_early_adds_to_them() -> None:
    assert after(admitted(FULL)) == [FULL, DAY, CATS, PERSON]


def test_a_complete_pass_tells_all() -> None:
    assert after(admitted(CATS, complete=True)) == [CATS]


def test_each_limit_is_told_once_and_as_it_is_now() -> None:
    now = LimitReached(Pause("$4 of $5", until=NOW + 2000, limit="limits.usd_per_day"), lasting=True, priced=True)
    assert after(admitted(now)) == [now, CATS, PERSON]


@pytest.mark.parametrize(("now", "left"), [(NOW + 999, [DAY, CATS, PERSON]), (NOW + 1000, [PERSON])])
def test_a_limit_stays_until_its_time_has_come(now: int, left: list[LimitReached]) -> None:
    assert after(None, now) == left


def test_other_limits_of_the_folders_make_all_of_them_unknown() -> None:
    assert after(None, folder_limits=[LimitScope(Limits(), "cats")]) == []


def test_what_was_submitted_in_spite_of_a_limit_ends_it() -> None:
    paid, free = order("paid"), order("free", price=0)
    in_cats = replace(free, pair=replace(free.pair, folder="cats/old"))
    assert after(admitted(submitted=[paid])) == [CATS]
    assert after(admitted(submitted=[free])) == [DAY, CATS, PERSON]
    assert after(admitted(submitted=[in_cats])) == [DAY, PERSON]


def test_partial_ones_let_others_go_on() -> None:
    known = ReachedLimits()
    known.record(admitted(DAY, CATS, FULL), (), NOW)
    assert known.partial(ADMISSION) == [Exclusion("", ("sora-2",)), Exclusion("cats")]
    assert known.lasting(ADMISSION) == [Exclusion("", ("sora-2",)), Exclusion("cats")]


def test_a_full_server_is_neither_partial_nor_lasting() -> None:
    known = ReachedLimits()
    known.record(admitted(FULL), (), NOW)
    assert (known.partial(ADMISSION), known.lasting(ADMISSION)) == ([], [])
