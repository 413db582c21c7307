"""`retry` of a job that waits after failures: it starts counting anew, at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.lifecycle import ACTIONS, retry

NOW = 1_760_000_000_000
WAITING = Job(
    id="j1",
    state=State.FOUND,
    pair=Pair("", "beach.jpg", Stamp(1000, 5), "beach.yaml", Stamp(20, 6)),
    created_at=NOW - 9_000,
    changed_at=NOW - 9_000,
    due_at=NOW + 600_000,
    attempts=3,
    misses=1,
)


@pytest.mark.parametrize("state", ACTIONS)
def test_it_is_tried_at_once_and_its_failures_and_misses_are_counted_anew(state: State) -> None:
    again = retry(replace(WAITING, state=state), NOW)
    assert again is not None
    assert (again.state, again.due_at, again.attempts, again.misses) == (state, NOW, 0, 0)


def test_a_job_that_has_ended_where_it_lay_is_not_tried_again() -> None:
    assert retry(replace(WAITING, state=State.DONE), NOW) is None
