"""What is expected of jobs: in the state of a test whose clock and past renders are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from sorawatch.app.outlook import Circumstances, ShownJob, Total, look, total
from sorawatch.core import outcome as o
from sorawatch.core.budget import Exclusion
from sorawatch.core.calendar import LocalTime
from sorawatch.core.delay import Delay
from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.limits import Limits
from sorawatch.core.order import Aim, Model, Size
from sorawatch.core.pause import Pause
from sorawatch.daemon.actions.render_times import RenderTimes
from sorawatch.edges.store import JobGroup, Transaction
from tests.support.clocked_state import NOW, ClockedState, order

MINUTE = 60_000
SORA = Model("sora-2", (Size(1280, 720), Size(720, 1280)), None, micros_per_second=100_000)
FULL = Delay(Pause("4 of 4 places", limit="limits.in_flight"), lasting=False)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Transaction]:
    state = ClockedState(tmp_path)
    with state.at() as transaction:
        yield transaction
    state.close()


def ready(job_id: str, at: int = 0, folder: str = "", **changes: Any) -> Job:
    job = order(job_id, State.READY, price=None, token=None, submitted_at=None, charged=Charged.NO)
    return replace(job, created_at=NOW + at, pair=Pair(folder, f"{job_id}.jpg", Stamp(1, 1)), **changes)


def rendering(job_id: str, age: int) -> Job:
    return replace(order(job_id, State.RENDERING), changed_at=NOW - age, video_id=job_id)


def learn(tx: Transaction, *minutes: int, size: str = "1280x720") -> None:
    """Let renders have taken so long."""
    for each in minutes:
        job = rendering("past", each * MINUTE)
        assert job.order is not None
        job = replace(job, order=replace(job.order, size=Size.parse(size)))
        took = each * MINUTE
        RenderTimes().record(tx, job, o.Rendered(took), replace(job, state=State.RENDERED))


def now(**changes: Any) -> Circumstances:
    usual: dict[str, Any] = {
        "time": LocalTime(NOW, UTC),
        "delays": [[FULL]],
        "alike": frozenset(),
        "catalogue": {"sora-2": SORA},
        "limits": Limits(in_flight=1),
        "allowed": 1,
        "paced_until": 0,
        "micros_left": None,
    }
    return Circumstances(**usual | changes)


def minutes(tx: Transaction, *jobs: Job, circumstances: Circumstances | None = None) -> dict[str, int | None]:
    """In how many minutes the clip of each of these jobs, which are the only ones, is expected."""
    tx.jobs.add(jobs)
    shown = look(tx, jobs, circumstances or now())
    return {each.job.id: None if each.rendered_in is None else each.rendered_in // MINUTE for each in shown}


def test_a_render_and_those_behind_it(tx: Transaction) -> None:
    learn(tx, 3, 4, 5)
    jobs = (rendering("r", 1 * MINUTE), ready("b", 2), ready("a", 1))
    assert minutes(tx, *jobs) == {"r": 3, "a": 7, "b": 11}


def test_with_more_places_they_go_at_once(tx: Transaction) -> None:
    learn(tx, 4)
    jobs = (rendering("r", 1 * MINUTE), ready("a", 1), ready("b", 2))
    assert minutes(tx, *jobs, circumstances=now(allowed=3)) == {"r": 3, "a": 4, "b": 4}


def test_without_past_renders_nothing_is_promised(tx: Transaction) -> None:
    assert minutes(tx, rendering("r", 1), ready("a")) == {"r": None, "a": None}


def test_a_render_that_takes_longer_than_all_others_is_late(tx: Transaction) -> None:
    learn(tx, 3, 4, 5)
    (shown,) = look(tx, [rendering("r", 6 * MINUTE)], now())
    assert (shown.rendered_in, shown.late_after) == (None, 4 * MINUTE)


def test_while_the_size_is_open_the_renders_of_both_sizes_count(tx: Transaction) -> None:
    learn(tx, 2, size="720x1280")
    job = ready("a", state=State.FOUND)
    assert job.order is not None
    assert minutes(tx, replace(job, order=replace(job.order, size=Aim.AUTO))) == {"a": 2}


@pytest.mark.parametrize(
    "delay",
    [
        Delay(Pause("the model is unknown"), Exclusion(models=("sora-2",))),
        Delay(Pause("cats are full"), Exclusion("cats"), lasting=False),
        Delay(Pause("paused")),
    ],
)
def test_what_waits_for_more_than_its_turn_is_not_promised(tx: Transaction, delay: Delay) -> None:
    learn(tx, 4)
    assert minutes(tx, ready("a", folder="cats"), circumstances=now(delays=[[delay, FULL]])) == {"a": None}


def test_orders_that_wait_for_longer_take_no_place_of_the_others(tx: Transaction) -> None:
    learn(tx, 4)
    cats = Delay(Pause("cats are full"), Exclusion("cats"), lasting=False)
    jobs = (ready("cat", 1, "cats"), ready("dog", 2, "dogs"))
    assert minutes(tx, *jobs, circumstances=now(delays=[[cats, FULL]])) == {"cat": None, "dog": 4}


def test_nothing_is_promised_beyond_the_money_or_without_a_daemon(tx: Transaction) -> None:
    learn(tx, 4)
    jobs = (ready("a", 1), ready("b", 2))
    assert minutes(tx, *jobs, circumstances=now(micros_left=800_000)) == {"a": 4, "b": None}
    assert {each.rendered_in for each in look(tx, jobs, now(delays=[]))} == {None}


def test_one_daemon_that_would_submit_it_is_enough(tx: Transaction) -> None:
    refused = Delay(Pause("the key is refused here"))
    job = ready("a")
    tx.jobs.add([job])

    def why(*delays: list[Delay]) -> str:
        (shown,) = look(tx, [job], now(delays=delays))
        return shown.waits_for

    assert why([refused], []) == "its turn"
    assert why([refused], [FULL]) == "limits.in_flight: 4 of 4 places"
    assert why([refused], [refused]) == "the key is refused here"


@pytest.mark.parametrize(
    ("job", "changes", "text"),
    [
        (ready("a"), {"delays": [[]]}, "its turn"),
        (ready("a", state=State.FOUND), {"delays": [[]]}, "its turn to be prepared"),
        (ready("a", note="upscaled 2.0×"), {"delays": [[]]}, "its turn; upscaled 2.0×"),
        (ready("a", reason="busy", attempts=1, due_at=NOW + MINUTE), {}, "busy; tried again at 08:54"),
        (ready("a", reason="waits for job b", due_at=NOW + 1), {}, "waits for job b"),
        (ready("a", reason="busy", attempts=1), {}, "limits.in_flight: 4 of 4 places; busy"),
        (ready("a", reason="busy"), {"delays": [[Delay(Pause("busy"))]]}, "busy"),
        (
            ready("a"),
            {"alike": frozenset({"a"})},
            "its order could not be told from one whose answer is awaited",
        ),
        (ready("a"), {"delays": []}, "sorawatch is not running"),
    ],
)
def test_the_reason_of_its_own_comes_before_that_of_all(
    tx: Transaction, job: Job, changes: dict[str, Any], text: str
) -> None:
    (shown,) = look(tx, [job], now(**changes))
    assert shown.waits_for == text


def test_the_price_is_that_of_the_catalogue_until_it_was_bought(tx: Transaction) -> None:
    unknown = ready("a")
    assert unknown.order is not None
    other = replace(unknown, order=replace(unknown.order, model="other"))
    bought = rendering("r", 1)
    shown: list[ShownJob] = look(tx, [unknown, other, bought, replace(unknown, order=None)], now())
    assert [each.prices for each in shown] == [(800_000, 800_000), None, (800_000, 800_000), None]


def test_the_sum_of_groups() -> None:
    vary = Model("vary", SORA.sizes, None, None, ((Size(1280, 720), 10), (Size(720, 1280), 30)))
    groups = [
        JobGroup(State.READY, "sora-2", "1280x720", 8, 3, 0),
        JobGroup(State.READY, "vary", "auto", 2, 2, 0),
        JobGroup(State.READY, "other", "auto", 2, 5, 0),
        JobGroup(State.READY, None, None, None, 1, 0),
    ]
    assert total(groups, {"sora-2": SORA, "vary": vary}) == Total(11, 2_400_040, 2_400_120, 6)
    assert total([], {}) == Total()
