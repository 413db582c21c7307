"""The circuit breakers of the whole daemon: how many orders are paid for while a server gives wrong answers."""

from __future__ import annotations

import pytest

from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.workspace import Workspace, wait_until

NO_LIST = Fault("answer_before", on="list", status=404, shape="detail_text", times=None)
LOST = Fault("answer_after", on="create", status=504, shape="html", times=None)


def drop_many(workspace: Workspace, count: int = 30) -> None:
    for number in range(count):
        workspace.drop(f"{number:02}.jpg")


@pytest.mark.parametrize("in_flight", [4, 20])
def test_at_most_three_orders_are_paid_for_if_every_answer_is_lost(workspace: Workspace, in_flight: int) -> None:
    workspace.set("limits", in_flight=in_flight)
    drop_many(workspace)
    workspace.simulator.inject(LOST, NO_LIST)
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 3, "two that open the breaker, and one probe"
    assert not workspace.run_once(), "nothing is forgotten over a restart"
    assert workspace.simulator.ledger().creates == 3
    assert workspace.files("errors") == {}
    assert len(workspace.files("inbox")) == 60


def test_an_accepted_probe_closes_the_breaker_and_proves_earlier_losses(workspace: Workspace) -> None:
    workspace.set("api", timeout_seconds=1)
    drop_many(workspace, 8)
    workspace.simulator.inject(Fault("answer_before", on="create", status=504, shape="html", times=2))
    assert workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (8, 0)
    assert len(workspace.files("outbox")) == 8


def test_an_answer_with_the_video_of_another_job_counts_as_lost(workspace: Workspace) -> None:
    workspace.drop("first.jpg")
    assert workspace.run_once()
    (video,) = workspace.simulator.ledger().videos
    workspace.drop("second.jpg")
    workspace.simulator.inject(Fault("answer_after", on="create", status=200, body=f'{{"id": "{video.id}"}}'), NO_LIST)
    assert not workspace.run_once()
    assert workspace.counts() == {"done": 1, "held": 1}
    assert "another job's video" in workspace.cli("show", "second.jpg")
    assert workspace.simulator.ledger().creates == 2


def test_a_lost_answer_that_names_a_cause_stops_the_others_at_once(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    drop_many(workspace, 6)
    workspace.set("limits", in_flight=1)
    workspace.simulator.inject(
        Fault("answer_after", on="create", status=500, message="用户额度不足", code="insufficient_user_quota", times=1),
        NO_LIST,
    )
    with workspace.running():
        wait_until(lambda: len(workspace.files("outbox")) == 5)
    (pause,) = (entry for entry in caplog.messages if texts.NOTHING_IS_SUBMITTED in entry)
    assert "用户额度不足" in pause
    assert workspace.simulator.ledger().creates == 6


def test_repeated_refusals_do_not_empty_the_inbox(workspace: Workspace) -> None:
    drop_many(workspace, 12)
    workspace.simulator.inject(
        Fault("answer_before", on="create", status=422, shape="detail_list", message="Field required", times=None)
    )
    with workspace.running():
        wait_until(lambda: f"3 different pictures were refused in {texts.SAME_WORDS}" in workspace.told())
        wait_until(lambda: workspace.files("errors") == {} and len(workspace.files("inbox")) == 24)
        wait_until(lambda: set(workspace.counts()) <= {"found", "ready"})
        assert workspace.simulator.ledger().rejected <= 5
        workspace.simulator.clear_faults()
        workspace.cli("resume")
        wait_until(lambda: len(workspace.files("outbox")) == 12)
    assert workspace.simulator.ledger().creates == 12


def test_an_unknown_model_stops_only_its_own_orders(workspace: Workspace) -> None:
    for number in range(8):
        workspace.drop(f"{number}.jpg", prompt=f"gone {number}", model="sora-2-pro")
    workspace.drop("9.jpg", prompt="there")
    workspace.simulator.inject(
        Fault("answer_before", on="create", status=404, code="model_not_found", prompt="gone", times=None)
    )
    assert not workspace.run_once()
    assert workspace.files("errors") == {}
    assert workspace.counts()["done"] == 1
    assert workspace.simulator.ledger().rejected <= 2
    with workspace.running():
        wait_until(lambda: f"{texts.NOTHING_IS_SUBMITTED} for the model sora-2-pro" in workspace.told())


def test_free_orders_are_submitted_although_a_spending_cap_is_reached(workspace: Workspace) -> None:
    workspace.set("models", **{"sora-2": {"usd_per_second": 0.1}, "sora-2-pro": {"usd_per_second": 0}})
    workspace.set("limits", usd_per_day=1)
    for number in range(12):
        workspace.drop(f"dear {number:02}.jpg", priority=5)
    for number in range(4):
        workspace.drop(f"free {number}.jpg", model="sora-2-pro")
    assert not workspace.run_once()
    assert len([name for name in workspace.files("outbox") if name.startswith("free")]) == 4
    assert len([name for name in workspace.files("outbox") if name.startswith("dear")]) == 1


def test_videos_of_an_earlier_run_are_polled_before_anything_is_ordered(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.drop("early.jpg")
    workspace.simulator.inject(Fault("generation_hangs"))
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
    workspace.simulator.finish_all()
    workspace.drop("late.jpg")
    caplog.set_level("INFO")
    assert workspace.run_once()
    assert "of the videos that were ordered before this start: 1 fetched (early.jpg)" in caplog.text
    states = [(after.pair.image, after.state.value) for _, after in workspace.changes]
    assert states.index(("early.jpg", "delivered")) < states.index(("late.jpg", "submitting"))


@pytest.mark.slow
def test_a_clip_that_expired_before_the_start_is_logged_at_once(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("kept", "gone", "slow"):
        workspace.drop(f"{name}.jpg", prompt=name)
    workspace.simulator.inject(Fault("generation_hangs", times=3))
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 3})
    for video in workspace.simulator.ledger().videos:
        if video.prompt != "slow":
            workspace.simulator.complete(video.id)
    workspace.simulator.inject(
        Fault("answer_before", on="content", status=410, message="The video has expired", prompt="gone", times=None)
    )
    caplog.set_level("INFO")
    with workspace.running():
        wait_until(lambda: "ordered before this start" in caplog.text)
    message = next(line for line in caplog.messages if "ordered before this start" in line)
    assert message.endswith(
        ": 1 fetched (kept.jpg); 1 still being made (slow.jpg); 1 came too late or failed (gone.jpg)"
    )
