"""The circuit breakers in detail: which answers stop the orders of a whole inbox, and which orders are still sent."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sorawatch import simulator
from sorawatch.core.job import Charged, State
from sorawatch.simulator import Fault
from tests.scenarios.test_server_answers import NO_LIST, assert_delivered, drained, each, only_job, told_of
from tests.support import server_answers as rows
from tests.support import texts
from tests.support.sampling import sampled
from tests.support.server_answers import Row
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

FREE = {"sora-2": {"usd_per_second": 0}}

MANY = 30

LOST = [row for row in rows.LOST if row.name in {"504 page", "500 OpenAI", "200 another name for the id"}]


def is_in(workspace: Workspace, name: str, state: str) -> bool:
    return workspace.states(name)[-1:] == [state]


def fill(workspace: Workspace, count: int = MANY) -> None:
    for number in range(count):
        workspace.drop(f"{number:03}.jpg", f"picture {number:03}")


def untouched(workspace: Workspace, count: int = MANY) -> None:
    """Assert that every pair is still where it was dropped."""
    assert workspace.files("errors") == {}
    assert len(workspace.files("inbox")) == 2 * count


# Lost answers


@each(LOST)
def test_lost_answers_stop_paid_orders_even_after_restarts(workspace: Workspace, row: Row) -> None:
    fill(workspace)
    workspace.simulator.inject(row.fault("answer_after", "create"), NO_LIST)
    for _ in range(3):
        assert not drained(workspace)
        assert workspace.simulator.ledger().creates <= 4
    untouched(workspace)
    counts = workspace.counts()
    assert counts["held"] == workspace.simulator.ledger().creates
    assert counts["held"] + counts.get("ready", 0) + counts.get("found", 0) == MANY


def test_lost_answers_pause_with_the_reason_and_what_to_do(workspace: Workspace) -> None:
    fill(workspace, 5)
    workspace.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), NO_LIST)
    with workspace.running():
        wait_until(lambda: workspace.status().pauses, told=workspace.told)
        text = told_of(workspace)
        assert workspace.simulator.ledger().creates <= 4
        workspace.simulator.clear_faults()
        assert "504" in text
        assert "sorawatch resume" in text
        workspace.cli("resume")
        wait_until(
            lambda: workspace.counts().get("done", 0) + workspace.counts().get("held", 0) == 5, 20, workspace.told
        )
    assert workspace.simulator.ledger().duplicates == 0


def test_lost_answers_between_other_answers_stop_no_orders(workspace: Workspace) -> None:
    workspace.simulator.inject(
        Fault("answer_after", on="create", status=504, shape="html", prompt="lost", times=None), NO_LIST
    )
    with workspace.running():
        for number in range(3):
            for name, end in ((f"lost {number}.jpg", "held"), (f"heard {number}.jpg", "done")):
                workspace.drop(name)
                wait_until(partial(is_in, workspace, name, end), told=workspace.told)
    assert workspace.counts() == {"done": 3, "held": 3}
    assert workspace.simulator.ledger().creates == 6


def test_a_free_order_is_submitted_while_paid_ones_wait_for_lost_answers(workspace: Workspace) -> None:
    workspace.set("models", **{"sora-2-pro": {"usd_per_second": 0}})
    for number in range(5):
        workspace.drop(f"paid {number}.jpg", f"paid {number}", priority=1)
    for number in range(3):
        workspace.drop(f"free {number}.jpg", f"free {number}", model="sora-2-pro")
    workspace.simulator.inject(
        Fault("answer_after", on="create", status=504, shape="html", prompt="paid", times=None), NO_LIST
    )
    with workspace.running():
        wait_until(lambda: workspace.counts().get("done") == 3 and workspace.status().pauses, told=workspace.told)
    bought = [video.prompt for video in workspace.simulator.ledger().videos]
    assert sum(prompt.startswith("paid") for prompt in bought) <= 4
    assert sum(prompt.startswith("free") for prompt in bought) == 3


@pytest.mark.parametrize("count", [8, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
@each([LOST[0]])
def test_with_a_reliable_list_the_videos_of_lost_answers_are_adopted(
    workspace: Workspace, row: Row, count: int
) -> None:
    fill(workspace, count)
    workspace.simulator.inject(row.fault("answer_after", "create"))
    assert drained(workspace, 2 * count + 100)
    assert_delivered(workspace, count, count)


def test_a_probe_that_is_answered_ends_the_pause(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=1)
    fill(workspace, 6)
    workspace.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=2), NO_LIST)
    assert not drained(workspace)
    assert workspace.counts() == {"done": 4, "held": 2}
    assert workspace.simulator.ledger().creates == 6


# Repeated refusals


SAME = [
    Row("422", 422, {"detail": [{"loc": ["body", "fps"], "msg": "Field required", "type": "missing"}]}, ("Field required",)),
    Row("400 numbered", 400, {"error": {"message": "Request 8f31: 'fps' is required", "code": "missing_required_parameter"}}, ("is required",)),
    Row("400 xAI", 400, {"code": "invalid-argument", "error": "Zero Data Retention teams must provide output.upload_url for video generation."}, ("Zero Data Retention",)),
    Row("400 Gemini's country", 400, [{"error": {"code": 400, "message": "User location is not supported for the API use.", "status": "FAILED_PRECONDITION"}}], ("User location",)),
    Row("200", 200, {"error": {"message": "Unknown parameter: fps", "type": "invalid_request_error"}}, ("Unknown parameter",)),
    *(row for row in rows.CREDIT if row.status == 400),
]  # fmt: skip


def paused_for_all_alike(workspace: Workspace, count: int) -> str:
    """The status after submissions were paused and every pair was moved back into the inbox."""
    with workspace.running():
        wait_until(lambda: workspace.status().pauses, told=workspace.told)
        text = workspace.told()
        wait_until(lambda: workspace.counts().keys() <= {"ready", "found", "cancelled"}, told=workspace.told)
    untouched(workspace, count)
    assert workspace.simulator.ledger().creates == 0
    return text


@each(SAME)
def test_one_wrong_setting_does_not_empty_the_inbox(workspace: Workspace, row: Row) -> None:
    fill(workspace, 6)
    workspace.simulator.inject(row.fault("answer_before", "create"))
    text = paused_for_all_alike(workspace, 6)
    assert "API key" not in text
    for words in row.says:
        assert words in text


def test_no_order_is_lost_after_a_wrong_setting_is_corrected(workspace: Workspace) -> None:
    fill(workspace)
    workspace.simulator.inject(SAME[0].fault("answer_before", "create"))
    # After a restart no further pictures are refused either.
    for _ in range(2):
        paused_for_all_alike(workspace, MANY)
    assert workspace.simulator.ledger().rejected <= 12
    workspace.simulator.clear_faults()
    assert drained(workspace)
    assert workspace.counts()["done"] == MANY
    assert (workspace.simulator.ledger().creates, workspace.simulator.ledger().duplicates) == (MANY, 0)


ABOUT_THE_PICTURE = {
    "moderation": rows.openai("Your request was blocked by our moderation system.", "moderation_blocked"),
    "size": rows.openai("Inpaint image must match the requested width and height"),
}


@pytest.mark.parametrize("body", sampled(ABOUT_THE_PICTURE.values(), 2), ids=ABOUT_THE_PICTURE)
def test_refusals_of_pictures_stop_no_other_orders(workspace: Workspace, body: object) -> None:
    fill(workspace, 6)
    workspace.simulator.inject(Row("", 400, body).fault("answer_before", "create", times=5))
    assert not drained(workspace)
    assert workspace.counts() == {"failed": 5, "done": 1}
    assert workspace.simulator.ledger().creates == 1


def test_different_refusals_stop_no_other_orders(workspace: Workspace) -> None:
    words = ("prompt is too rude", "seconds must be 4", "the picture has no horizon", "the moon is not for sale")
    for number, message in enumerate(words):
        workspace.drop(f"{number}.jpg", f"picture {number}")
        workspace.simulator.inject(
            Fault("answer_before", on="create", status=400, message=message, prompt=f"picture {number}")
        )
    workspace.drop("fine.jpg")
    assert not drained(workspace)
    assert workspace.counts() == {"failed": 4, "done": 1}


# Free orders


def test_a_free_order_whose_answer_was_lost_is_sent_again(workspace: Workspace) -> None:
    workspace.set("models", value=FREE)
    workspace.drop("beach.jpg")
    workspace.simulator.inject(Fault("lost_before", on="create"), NO_LIST)
    assert drained(workspace)
    assert_delivered(workspace)


def test_a_lost_free_order_is_sent_three_more_times_and_then_held(workspace: Workspace) -> None:
    workspace.set("models", value=FREE)
    workspace.drop("beach.jpg")
    workspace.simulator.inject(Fault("answer_after", on="create", status=504, shape="html", times=None), NO_LIST)
    assert not drained(workspace)
    assert only_job(workspace).state is State.HELD
    assert workspace.simulator.ledger().creates == 4
    assert "charged" not in told_of(workspace)


def test_free_orders_do_not_stop_for_lost_answers(workspace: Workspace) -> None:
    workspace.set("models", value=FREE)
    fill(workspace, 8)
    workspace.simulator.inject(Fault("lost_before", on="create", times=6), NO_LIST)
    assert drained(workspace)
    assert_delivered(workspace, 8, 8)


def test_a_free_video_that_a_restarted_server_lost_is_ordered_again(tmp_path: Path) -> None:
    quick = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as before:
        port = int(before.root.rpartition(":")[2])
        workspace = Workspace(tmp_path, before)
        workspace.set("models", value=FREE)
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: workspace.counts() == {"rendering": 1})
    with simulator.running(quick, port=port) as after:
        assert drained(workspace)
        assert after.ledger().creates == 1
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert any(texts.PROBABLY_RESTARTED in job.reason for _, job in workspace.changes)
    assert not any("charged" in job.reason + job.hint for _, job in workspace.changes)


def test_a_free_video_that_is_always_lost_is_ordered_three_more_times(workspace: Workspace) -> None:
    workspace.set("models", value=FREE)
    workspace.drop("beach.jpg")
    workspace.simulator.inject(Row("", 404, {"detail": "Video not found"}).fault("answer_before", "retrieve"))
    assert not drained(workspace)
    assert workspace.simulator.ledger().creates <= 4
    assert only_job(workspace).state in {State.HELD, State.FAILED}
    assert only_job(workspace).charged is Charged.NO or "charged" not in told_of(workspace)


def test_a_free_order_does_not_wait_for_a_paid_one_at_a_spending_cap(workspace: Workspace) -> None:
    workspace.set("models", **{"sora-2-pro": {"usd_per_second": 0}})
    workspace.set("limits", usd_per_day=1, in_flight=1)
    workspace.drop("paid.jpg")
    assert drained(workspace)
    workspace.drop("capped.jpg", priority=1)
    workspace.drop("free.jpg", model="sora-2-pro")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"done": 2, "ready": 1}, told=workspace.told)
    assert set(workspace.files("outbox")) == {"free.mp4", "paid.mp4"}
    assert set(workspace.files("inbox")) == {"capped.jpg", "capped.yaml"}
