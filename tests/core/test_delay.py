"""Which reason an order waits for, and how it is said."""

from __future__ import annotations

from datetime import UTC

import pytest

from sorawatch.core.budget import Exclusion
from sorawatch.core.calendar import LocalTime
from sorawatch.core.delay import Delay, delay_of, in_order
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.order import Order, Size
from sorawatch.core.pause import Pause

NOW = 1_760_000_000_000
TIME = LocalTime(NOW, UTC)
PLACES = Delay(Pause("4 of 4 places in flight are taken", limit="limits.in_flight"), lasting=False)
CATS = Delay(Pause("1 of 1 places", folder="cats", limit="cats' places"), Exclusion("cats"), lasting=False)
MODEL = Delay(Pause("the server does not offer it", model="sora-9"), Exclusion(models=("sora-9",)))
ALL = Delay(Pause("a file named PAUSE is in the inbox"))


def job(folder: str = "", model: str | None = "sora-2") -> Job:
    order = None if model is None else Order("waves", model, Size(1280, 720), 8)
    return Job("aaaaaaaa", State.READY, Pair(folder, "a.jpg", Stamp(1, 1)), NOW, NOW, NOW, order)


@pytest.mark.parametrize(
    ("waiting", "delay"),
    [
        (job(), PLACES),
        (job("cats"), CATS),
        (job("cats/old"), CATS),
        (job("cats2"), PLACES),
        (job("cats", "sora-9"), MODEL),
        (job(model=None), PLACES),
    ],
)
def test_the_most_telling_reason_is_given(waiting: Job, delay: Delay) -> None:
    assert delay_of(waiting, in_order([PLACES, CATS, MODEL])) is delay


def test_what_stops_everything_comes_before_full_places() -> None:
    assert delay_of(job("cats"), in_order([PLACES, CATS, ALL])) is ALL
    assert delay_of(job("cats"), []) is None
    assert delay_of(job("dogs"), [CATS, MODEL]) is None


def test_folders_of_any_bytes_are_found_by_their_published_name() -> None:
    strange = Delay(Pause("full"), Exclusion("caf\\udce9"))
    assert strange.covers(job("caf\udce9/sub"))
    assert not strange.covers(job("cafe"))


def test_only_full_places_and_the_pace_are_a_turn() -> None:
    assert [each.is_turn for each in (PLACES, CATS, MODEL, ALL)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("pause", "text"),
    [
        (Pause("4 of 4 places", limit="limits.in_flight"), "limits.in_flight: 4 of 4 places"),
        (Pause("limits.usd_per_day of $1.00 is reached", limit="limits.usd_per_day"), "limits.usd_per_day of $1.00 is reached"),
        (Pause("$1 spent", limit="day", until=NOW + 60_000), "day: $1 spent; it goes on by itself at 08:54"),
        (Pause("busy", until=NOW + 60_000), "busy; tried again at 08:54"),
        (Pause("busy", until=NOW), "busy"),
    ],
)  # fmt: skip
def test_the_text_names_the_limit_and_the_end(pause: Pause, text: str) -> None:
    assert Delay(pause).text(TIME) == text
