"""The line that a service manager shows."""

from __future__ import annotations

import pytest

from sorawatch.core.job import State
from sorawatch.core.status_line import summary


@pytest.mark.parametrize(
    ("counts", "spent", "cap", "pauses", "told"),
    [
        ({}, 0, None, [], "nothing to do, $0.00 today"),
        ({State.DONE: 7}, 0, 0, [], "nothing to do, $0.00 of $0 today"),
        (
            {State.RENDERING: 3, State.FOUND: 5, State.READY: 7, State.HELD: 1},
            4_200_000,
            20_000_000,
            [],
            "3 rendering, 12 waiting, 1 held, $4.20 of $20 today",
        ),
        (
            {State.RENDERED: 1, State.DELIVERED: 1, State.SUBMITTING: 1},
            0,
            500_000,
            ["no credit", "a full disk"],
            "1 submitting, 2 being delivered, $0.00 of $0.50 today; nothing is submitted: a full disk; no credit",
        ),
    ],
)
def test_it_tells_the_jobs_the_money_and_the_pauses(
    counts: dict[State, int], spent: int, cap: int | None, pauses: list[str], told: str
) -> None:
    assert summary(counts, spent, cap, pauses) == told
