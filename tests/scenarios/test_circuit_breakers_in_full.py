"""Nothing piles up: what stops an inbox from being bought, or refused, picture by picture, and what it lets through."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorawatch import simulator
from sorawatch.core.job import Charged, State
from sorawatch.simulator import Fault
from tests.scenarios.test_server_answers import NO_LIST, assert_delivered, drained, each, only_job, told_of
from tests.support import server_answers as rows
from tests.support.server_answers import Row
from tests.support.workspace import Yard, wait_until

pytestmark = pytest.mark.slow

FREE = {"sora-2": {"usd_per_second": 0}}

MANY = 30

LOST = [row for row in rows.LOST if row.name in {"504 page", "500 OpenAI", "200 another name for the id"}]


def fill(yard: Yard, count: int = MANY) -> None:
    for number in range(count):
        yard.drop(f"{number:03}.jpg", f"picture {number:03}")


def untouched(yard: Yard, count: int = MANY) -> None:
    """Every pair is where it was dropped."""
    assert yard.files("errors") == {}
    assert len(yard.files("inbox")) == 2 * count


# Lost answers


@each(LOST)
def test_lost_answers_stop_the_paid_orders_also_after_restarts(yard: Yard, row: Row) -> None:
    fill(yard)
    yard.simulator.inject(row.fault("answer_after", "create"), NO_LIST)
    for _ in range(3):
        assert not drained(yard, 20)
        assert yard.simulator.ledger().creates <= 4
    untouched(yard)
    counts = yard.counts()
    assert counts["held"] == yard.simulator.ledger().creates
    assert counts["held"] + counts.get("ready", 0) + counts.get("found", 0) == MANY


def test_lost_answers_pause_with_the_reason_and_what_to_do(yard: Yard) -> None:
    fill(yard, 5)
    yard.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), NO_LIST)
    with yard.running():
        wait_until(lambda: yard.status().pauses, 20, yard.told)
        told = told_of(yard)
        assert yard.simulator.ledger().creates <= 4
        yard.simulator.clear_faults()
        assert "504" in told
        assert "sorawatch resume" in told
        yard.cli("resume")
        wait_until(lambda: yard.counts().get("done", 0) + yard.counts().get("held", 0) == 5, 20, yard.told)
    assert yard.simulator.ledger().duplicates == 0


def test_lost_answers_between_answers_that_came_stop_nobody(yard: Yard) -> None:
    yard.simulator.inject(
        Fault("answer_after", on="create", status=504, shape="html", prompt="lost", times=None), NO_LIST
    )
    with yard.running():
        for number in range(3):
            for name, end in ((f"lost {number}.jpg", "held"), (f"heard {number}.jpg", "done")):
                yard.drop(name)
                wait_until(lambda name=name, end=end: yard.states(name)[-1:] == [end], 20, yard.told)
    assert yard.counts() == {"done": 3, "held": 3}
    assert yard.simulator.ledger().creates == 6


def test_a_free_order_goes_on_while_paid_ones_wait_for_lost_answers(yard: Yard) -> None:
    yard.set("models", **{"sora-2-pro": {"usd_per_second": 0}})
    for number in range(5):
        yard.drop(f"paid {number}.jpg", f"paid {number}", priority=1)
    for number in range(3):
        yard.drop(f"free {number}.jpg", f"free {number}", model="sora-2-pro")
    yard.simulator.inject(
        Fault("answer_after", on="create", status=504, shape="html", prompt="paid", times=None), NO_LIST
    )
    with yard.running():
        wait_until(lambda: yard.counts().get("done") == 3 and yard.status().pauses, 20, yard.told)
    bought = [video.prompt for video in yard.simulator.ledger().videos]
    assert sum(prompt.startswith("paid") for prompt in bought) <= 4
    assert sum(prompt.startswith("free") for prompt in bought) == 3


@pytest.mark.parametrize("count", [8, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
@each([LOST[0]])
def test_with_a_good_list_lost_answers_go_on_by_adoption_each_bought_once(yard: Yard, row: Row, count: int) -> None:
    fill(yard, count)
    yard.simulator.inject(row.fault("answer_after", "create"))
    assert drained(yard, 2 * count + 20)
    assert_delivered(yard, count, count)


def test_a_probe_that_is_answered_ends_the_pause(yard: Yard) -> None:
    yard.set("limits", in_flight=1)
    fill(yard, 6)
    yard.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=2), NO_LIST)
    assert not drained(yard, 20)
    assert yard.counts() == {"done": 4, "held": 2}
    assert yard.simulator.ledger().creates == 6


# Refusals that say the same


SAME = [
    Row("422", 422, {"detail": [{"loc": ["body", "fps"], "msg": "Field required", "type": "missing"}]}, ("Field required",)),
    Row("400 numbered", 400, {"error": {"message": "Request 8f31: 'fps' is required", "code": "missing_required_parameter"}}, ("is required",)),
    Row("400 xAI", 400, {"code": "invalid-argument", "error": "Zero Data Retention teams must provide output.upload_url for video generation."}, ("Zero Data Retention",)),
    Row("400 Gemini's country", 400, [{"error": {"code": 400, "message": "User location is not supported for the API use.", "status": "FAILED_PRECONDITION"}}], ("User location",)),
    Row("200", 200, {"error": {"message": "Unknown parameter: fps", "type": "invalid_request_error"}}, ("Unknown parameter",)),
    *(row for row in rows.CREDIT if row.status == 400),
]  # fmt: skip


def paused_for_all_alike(yard: Yard, count: int) -> str:
    """What is told once submissions pause and every pair is back where it was dropped."""
    with yard.running():
        wait_until(lambda: yard.status().pauses, 10, yard.told)
        told = yard.told()
        wait_until(lambda: yard.counts().keys() <= {"ready", "found", "cancelled"}, 10, yard.told)
    untouched(yard, count)
    assert yard.simulator.ledger().creates == 0
    return told


@each(SAME)
def test_one_wrong_setting_does_not_empty_the_inbox(yard: Yard, row: Row) -> None:
    fill(yard, 6)
    yard.simulator.inject(row.fault("answer_before", "create"))
    told = paused_for_all_alike(yard, 6)
    assert "API key" not in told
    for words in row.says:
        assert words in told


def test_a_wrong_setting_that_is_mended_costs_no_order(yard: Yard) -> None:
    fill(yard)
    yard.simulator.inject(SAME[0].fault("answer_before", "create"))
    # Nor does a restart refuse the next three.
    for _ in range(2):
        paused_for_all_alike(yard, MANY)
    assert yard.simulator.ledger().rejected <= 12
    yard.simulator.clear_faults()
    assert drained(yard, 60)
    assert yard.counts()["done"] == MANY
    assert (yard.simulator.ledger().creates, yard.simulator.ledger().duplicates) == (MANY, 0)


ABOUT_THE_PICTURE = {
    "moderation": rows.openai("Your request was blocked by our moderation system.", "moderation_blocked"),
    "size": rows.openai("Inpaint image must match the requested width and height"),
}


@pytest.mark.parametrize("body", ABOUT_THE_PICTURE.values(), ids=ABOUT_THE_PICTURE)
def test_refusals_of_pictures_stop_nobody(yard: Yard, body: object) -> None:
    fill(yard, 6)
    yard.simulator.inject(Row("", 400, body).fault("answer_before", "create", times=5))
    assert not drained(yard)
    assert yard.counts() == {"failed": 5, "done": 1}
    assert yard.simulator.ledger().creates == 1


def test_refusals_that_differ_stop_nobody(yard: Yard) -> None:
    words = ("prompt is too rude", "seconds must be 4", "the picture has no horizon", "the moon is not for sale")
    for number, message in enumerate(words):
        yard.drop(f"{number}.jpg", f"picture {number}")
        yard.simulator.inject(
            Fault("answer_before", on="create", status=400, message=message, prompt=f"picture {number}")
        )
    yard.drop("fine.jpg")
    assert not drained(yard)
    assert yard.counts() == {"failed": 4, "done": 1}


# What costs nothing


def test_a_free_order_whose_answer_was_lost_is_sent_again(yard: Yard) -> None:
    yard.set("models", value=FREE)
    yard.drop("beach.jpg")
    yard.simulator.inject(Fault("lost_before", on="create"), NO_LIST)
    assert drained(yard)
    assert_delivered(yard)


def test_a_free_order_is_sent_three_times_more_and_then_held(yard: Yard) -> None:
    yard.set("models", value=FREE)
    yard.drop("beach.jpg")
    yard.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), NO_LIST)
    assert not drained(yard)
    assert only_job(yard).state is State.HELD
    assert yard.simulator.ledger().creates == 4
    assert "charged" not in told_of(yard)


def test_free_orders_do_not_stop_for_lost_answers(yard: Yard) -> None:
    yard.set("models", value=FREE)
    fill(yard, 8)
    yard.simulator.inject(Fault("lost_before", on="create", times=6), NO_LIST)
    assert drained(yard)
    assert_delivered(yard, 8, 8)


def test_a_free_video_that_a_restarted_server_forgot_is_ordered_again(tmp_path: Path) -> None:
    quick = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"))) as before:
        port = int(before.root.rpartition(":")[2])
        yard = Yard(tmp_path, before)
        yard.set("models", value=FREE)
        yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: yard.counts() == {"rendering": 1})
    with simulator.running(quick, port=port) as after:
        assert drained(yard)
        assert after.ledger().creates == 1
    assert list(yard.files("outbox")) == ["beach.mp4"]
    assert any("probably restarted" in job.reason for _, job in yard.changes)
    assert not any("charged" in job.reason + job.hint for _, job in yard.changes)


def test_a_free_video_that_is_always_forgotten_is_ordered_three_times_more(yard: Yard) -> None:
    yard.set("models", value=FREE)
    yard.drop("beach.jpg")
    yard.simulator.inject(Row("", 404, {"detail": "Video not found"}).fault("answer_before", "retrieve"))
    assert not drained(yard, 30)
    assert yard.simulator.ledger().creates <= 4
    assert only_job(yard).state in {State.HELD, State.FAILED}
    assert only_job(yard).charged is Charged.NO or "charged" not in told_of(yard)


def test_a_free_order_does_not_wait_behind_a_paid_one_at_a_cap(yard: Yard) -> None:
    yard.set("models", **{"sora-2-pro": {"usd_per_second": 0}})
    yard.set("limits", usd_per_day=1, in_flight=1)
    yard.drop("paid.jpg")
    assert drained(yard)
    yard.drop("capped.jpg", priority=1)
    yard.drop("free.jpg", model="sora-2-pro")
    with yard.running():
        wait_until(lambda: yard.counts() == {"done": 2, "ready": 1}, 20, yard.told)
    assert set(yard.files("outbox")) == {"free.mp4", "paid.mp4"}
    assert set(yard.files("inbox")) == {"capped.jpg", "capped.yaml"}
