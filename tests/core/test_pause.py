"""How a pause is told."""

from __future__ import annotations

from datetime import UTC

import pytest

from sorawatch.core.calendar import LocalTime
from sorawatch.core.pause import Pause

NOON = 1_760_011_200_000
"""2025-10-09 12:00 UTC."""
CLOCK = LocalTime(NOON, UTC)


@pytest.mark.parametrize(
    ("pause", "headline"),
    [
        (Pause("no credit"), "nothing is submitted"),
        (Pause("no credit", folder="cats\nold"), r"nothing is submitted from 'cats\nold'"),
        (Pause("no such model", model="wan"), "nothing is submitted for the model wan"),
        (Pause("no such model", model="wan", folder="cats"), "nothing is submitted for the model wan"),
    ],
)
def test_the_headline_says_what_is_kept_back(pause: Pause, headline: str) -> None:
    assert pause.headline == headline


def test_a_limit_stays_the_same_cause_while_money_is_spent() -> None:
    assert Pause("$4 of $5", limit="limits.usd_per_day").cause == "limits.usd_per_day"
    assert Pause("no credit").cause == "no credit"


@pytest.mark.parametrize(
    ("pause", "told"),
    [
        (Pause("no credit"), ""),
        (Pause("no credit", until=NOON + 60_000), "Tried again at 12:01."),
        (Pause("busy", until=NOON + 60_000, asked=1.5), "The server asks for 1.5 s. Tried again at 12:01."),
        (Pause("$5", until=NOON + 60_000, limit="limits.usd_per_day"), "It goes on by itself at 12:01."),
    ],
)
def test_it_is_told_when_it_ends(pause: Pause, told: str) -> None:
    assert pause.goes_on(CLOCK) == told
