"""From a picture to its clip with the real daemon: files in, files out, and what the server billed."""

from __future__ import annotations

import io
import os
from pathlib import Path

import av
import pytest
from PIL import Image

from sorawatch import simulator
from sorawatch.core.job import State
from sorawatch.edges.store import Store
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.workspace import Workspace, picture, wait_until


def test_a_dropped_picture_becomes_a_clip(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", "gentle waves", seconds=4)
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert set(workspace.files("processed")) == {"beach.jpg", "beach.yaml"}
    assert workspace.files("inbox") == workspace.files("errors") == {}
    with av.open(str(workspace.outbox / "beach.mp4")) as clip:
        stream = clip.streams.video[0]
        assert (stream.width, stream.height, float(clip.duration or 0) / av.time_base) == (1280, 720, 4.0)
    (video,) = workspace.simulator.ledger().videos
    assert (video.prompt, video.model, video.size, video.seconds) == ("gentle waves", "sora-2", "1280x720", "4")
    assert workspace.states("beach.jpg") == [
        "found", "ready", "submitting", "rendering", "rendered", "delivered", "done",
    ]  # fmt: skip


def test_a_running_daemon_handles_new_pictures_and_keeps_subfolders(workspace: Workspace) -> None:
    with workspace.running():
        workspace.drop("a.png")
        workspace.drop("holiday/spain/b.webp")
        wait_until(lambda: len(workspace.files("processed")) == 4)
        workspace.drop("c.jpg")
        wait_until(lambda: len(workspace.files("processed")) == 6)
    assert set(workspace.files("outbox")) == {"a.mp4", "holiday/spain/b.mp4", "c.mp4"}
    assert set(workspace.files("processed")) >= {"holiday/spain/b.webp", "holiday/spain/b.yaml"}
    assert workspace.simulator.ledger().creates == 3


def test_folder_defaults_are_presets_and_images_need_no_sidecar(workspace: Workspace) -> None:
    (workspace.inbox / "tall").mkdir()
    (workspace.inbox / "_defaults.yaml").write_text("prompt: from the top\nseconds: 4\n")
    (workspace.inbox / "tall/_defaults.yaml").write_text("size: portrait\n")
    picture(workspace.inbox / "tall/tower.jpg", (200, 300))
    (workspace.inbox / "own.txt").write_text("its own words\n")
    picture(workspace.inbox / "own.jpg")
    assert workspace.run_once()
    asked = {video.prompt: (video.size, video.seconds) for video in workspace.simulator.ledger().videos}
    assert asked == {"from the top": ("720x1280", "4"), "its own words": ("1280x720", "4")}
    assert set(workspace.files("inbox")) == {"_defaults.yaml", "tall/_defaults.yaml"}


def test_a_broken_pair_goes_to_errors_with_a_plain_reason(workspace: Workspace) -> None:
    workspace.drop("beach.jpg")
    picture(workspace.inbox / "bad.jpg")
    (workspace.inbox / "bad.yaml").write_text("prompt: waves\nseconds: 7\nsiez: auto\n")
    assert not workspace.run_once()
    assert set(workspace.files("errors")) == {"bad.jpg", "bad.yaml", "bad.error.txt"}
    text = (workspace.errors / "bad.error.txt").read_text()
    assert f'bad.yaml line 3, siez: {texts.UNKNOWN_KEY}. Did you mean "size"?' in text
    assert "bad.yaml line 2, seconds: is 7" in text
    assert "Allowed: 4, 8, 12" in text
    assert f"{texts.WAS_IT_CHARGED}\n    No." in text
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.simulator.ledger().creates == 1


def test_an_existing_file_is_never_overwritten(workspace: Workspace) -> None:
    (workspace.outbox / "beach.mp4").write_bytes(b"mine")
    (workspace.processed / "beach.yaml").write_bytes(b"mine too")
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    assert set(workspace.files("outbox")) == {"beach.mp4", "beach (2).mp4"}
    assert (workspace.outbox / "beach.mp4").read_bytes() == b"mine"
    assert set(workspace.files("processed")) == {"beach.yaml", "beach (2).jpg", "beach (2).yaml"}


def test_a_pair_with_a_missing_half_waits(workspace: Workspace) -> None:
    picture(workspace.inbox / "lonely.jpg")
    (workspace.inbox / "other.yaml").write_text("prompt: where is my picture?\n")
    assert workspace.run_once()
    assert set(workspace.files("inbox")) == {"lonely.jpg", "other.yaml"}
    status = workspace.cli("status")
    assert texts.NO_SIDECAR in status
    assert "no image of this name" in status


def test_deleting_a_picture_before_it_is_submitted_cancels_it(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: "ready" in workspace.states("beach.jpg"))
        (workspace.inbox / "beach.jpg").unlink()
        wait_until(lambda: "cancelled" in workspace.states("beach.jpg"))
        (workspace.inbox / "PAUSE").unlink()
        workspace.drop("next.jpg")
        wait_until(lambda: "done" in workspace.states("next.jpg"))
    assert workspace.simulator.ledger().creates == 1


@pytest.mark.slow
def test_a_command_ignores_the_claims_of_a_killed_daemon(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1})
    killed, _ = Store.create_or_open(workspace.root / "state.db", "killed")
    with killed.transaction() as tx:
        assert tx.claims.take([State.READY], 1, 0)
    killed.close()
    assert "no daemon is running" in workspace.cli("cancel", "beach.jpg")
    assert workspace.counts() == {"withdrawn": 1}


@pytest.mark.parametrize("name", ["Pause", "pause.TXT"])
def test_nothing_is_bought_while_a_file_named_pause_is_there(workspace: Workspace, name: str) -> None:
    (workspace.inbox / name).touch()
    workspace.drop("beach.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1} and workspace.status().pauses, told=workspace.told)
        assert f"a file named {name} is in the inbox; remove it to continue" in workspace.told()
        assert workspace.status().published.waiting == ()
        assert workspace.simulator.ledger().creates == 0
        (workspace.inbox / name).unlink()
        workspace.wait_for_clips(1)


@pytest.mark.slow
def test_the_sidecar_of_a_picture_named_pause_stops_nothing(workspace: Workspace) -> None:
    picture(workspace.inbox / "pause.jpg")
    (workspace.inbox / "pause.txt").write_text("waves pause, then go on")
    assert workspace.run_once()
    assert [video.prompt for video in workspace.simulator.ledger().videos] == ["waves pause, then go on"]


def test_changing_a_sidecar_before_the_submit_orders_only_the_new_version(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop("beach.jpg", "first thoughts")
    with workspace.running():
        wait_until(lambda: "ready" in workspace.states("beach.jpg"))
        (workspace.inbox / "beach.yaml").write_text("prompt: second and better thoughts\n")
        wait_until(lambda: workspace.states("beach.jpg").count("ready") == 2)
        (workspace.inbox / "PAUSE").unlink()
        wait_until(lambda: "done" in workspace.states("beach.jpg"))
    assert [video.prompt for video in workspace.simulator.ledger().videos] == ["second and better thoughts"]


def test_touching_a_pair_while_it_renders_buys_nothing(tmp_path: Path) -> None:
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as sim:
        workspace = Workspace(tmp_path, sim)
        image = workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            os.utime(image, (1, 1))
            os.utime(workspace.inbox / "beach.yaml", (2, 2))
            wait_until(lambda: "cancelled" in workspace.states("beach.jpg"))
            sim.finish_all()
            wait_until(lambda: "done" in workspace.states("beach.jpg"))
        assert sim.ledger().creates == 1
        assert set(workspace.files("processed")) == {"beach.jpg", "beach.yaml"}


def test_a_picture_replaced_while_it_renders_is_another_order(tmp_path: Path) -> None:
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as sim:
        workspace = Workspace(tmp_path, sim)
        workspace.drop("beach.jpg")
        with workspace.running():
            wait_until(lambda: "rendering" in workspace.states("beach.jpg"))
            picture(workspace.inbox / "beach.jpg", (400, 300), (250, 1, 1))
            wait_until(lambda: workspace.states("beach.jpg").count("rendering") == 2)
            sim.finish_all()
            wait_until(lambda: workspace.states("beach.jpg").count("done") == 2)
        assert sim.ledger().creates == 2
        assert set(workspace.files("outbox")) == {"beach.mp4", "beach (2).mp4"}
        assert set(workspace.files("processed")) == {"beach.jpg", "beach.yaml"}
        with Image.open(workspace.processed / "beach.jpg") as archived:
            assert archived.size == (400, 300)


def test_the_same_order_is_not_bought_again(workspace: Workspace) -> None:
    original = workspace.drop("beach.jpg", "waves").read_bytes()
    sidecar = (workspace.inbox / "beach.yaml").read_bytes()
    assert workspace.run_once()
    (workspace.inbox / "hill.jpg").write_bytes(original)
    (workspace.inbox / "hill.yaml").write_bytes(sidecar)
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 1
    text = (workspace.errors / "hill.error.txt").read_text()
    assert texts.SAME_ORDER in text
    assert "delivered as beach.mp4" in text
    assert "duplicates: allow" in text


def test_the_same_order_under_two_names_at_once_is_bought_once(workspace: Workspace) -> None:
    original = workspace.drop("a.jpg", "waves").read_bytes()
    (workspace.inbox / "b.jpg").write_bytes(original)
    (workspace.inbox / "b.yaml").write_text("prompt: waves\n")
    assert not workspace.run_once()
    assert workspace.simulator.ledger().creates == 1
    assert len(workspace.files("outbox")) == 1
    assert len(workspace.files("errors")) == 3


@pytest.mark.slow
def test_duplicates_can_be_allowed(workspace: Workspace) -> None:
    workspace.set("duplicates", value="allow")
    original = workspace.drop("a.jpg", "waves").read_bytes()
    assert workspace.run_once()
    (workspace.inbox / "a.jpg").write_bytes(original)
    (workspace.inbox / "a.yaml").write_text("prompt: waves\n")
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    assert set(workspace.files("outbox")) == {"a.mp4", "a (2).mp4"}


def test_a_pair_moved_back_is_a_retry(workspace: Workspace) -> None:
    workspace.set("retries", failed_generations=0)
    workspace.simulator.inject(Fault("generation_fails", times=1))
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    assert "Failed generations are not billed" in (workspace.errors / "beach.error.txt").read_text()
    for name in ("beach.jpg", "beach.yaml"):
        (workspace.errors / name).rename(workspace.inbox / name)
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert workspace.simulator.ledger().usd == pytest.approx(0.80)


def test_a_failed_generation_is_ordered_again(workspace: Workspace) -> None:
    workspace.simulator.inject(Fault("generation_fails", times=1))
    workspace.drop("beach.jpg")
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2
    assert list(workspace.files("outbox")) == ["beach.mp4"]


def test_moderation_is_final(workspace: Workspace) -> None:
    workspace.simulator.inject(
        Fault(
            "generation_fails", code="moderation_blocked", message="Your request was blocked by our moderation system."
        )
    )
    workspace.drop("beach.jpg")
    assert not workspace.run_once()
    text = (workspace.errors / "beach.error.txt").read_text()
    assert texts.MODERATION in text
    assert texts.CHANGE_PROMPT_OR_PICTURE in text
    assert workspace.simulator.ledger().creates == 1


@pytest.mark.slow
def test_identical_prompts_for_different_pictures_all_arrive(workspace: Workspace) -> None:
    for number in range(6):
        workspace.drop(f"{number}.jpg", "the same words for all")
    assert workspace.run_once()
    assert len(workspace.files("outbox")) == 6
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (6, 0)


def test_at_most_in_flight_videos_run_at_once(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=2)
    for number in range(7):
        workspace.drop(f"{number}.jpg")
    assert workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.max_in_flight) == (7, 2)


def test_the_daily_spending_cap_is_not_exceeded(workspace: Workspace) -> None:
    workspace.set("limits", usd_per_day=2.0)
    for number in range(4):
        workspace.drop(f"{number}.jpg", seconds=8)
    assert not workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert ledger.creates == 2
    assert float(ledger.usd) == pytest.approx(1.60)
    status = workspace.cli("status")
    assert "today: $1.60 spent, $0.00 reserved, $0.40 left of $2.00, 2 clips delivered" in status
    assert len(workspace.files("outbox")) == 2
    assert len(workspace.files("inbox")) == 4


def test_higher_priority_goes_first(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=1)
    (workspace.inbox / "PAUSE").touch()
    with workspace.running():
        for number in range(3):
            workspace.drop(f"{number}.jpg", f"prompt {number}", priority=number)
        wait_until(lambda: all("ready" in workspace.states(f"{number}.jpg") for number in range(3)))
        (workspace.inbox / "PAUSE").unlink()
        wait_until(lambda: len(workspace.files("outbox")) == 3)
    by_time = sorted(workspace.simulator.ledger().videos, key=lambda video: acceptance_order(workspace, video.id))
    assert [video.prompt for video in by_time] == ["prompt 2", "prompt 1", "prompt 0"]


def acceptance_order(workspace: Workspace, video_id: str) -> int:
    return next(number for number, (_, job) in enumerate(workspace.changes) if job.video_id == video_id)


def test_pictures_are_uploaded_upright_in_the_exact_size(workspace: Workspace) -> None:
    image = Image.new("RGB", (300, 500), (10, 200, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(workspace.inbox / "turned.jpg", exif=exif)
    (workspace.inbox / "turned.yaml").write_text("prompt: turn\nsize: auto\nseconds: 4\n")
    alpha = io.BytesIO()
    Image.new("RGBA", (800, 300), (255, 0, 0, 128)).save(alpha, "PNG")
    (workspace.inbox / "alpha.png").write_bytes(alpha.getvalue())
    (workspace.inbox / "alpha.yaml").write_text("prompt: pad it\nfit: pad\nseconds: 4\n")
    assert workspace.run_once()
    assert {video.prompt: video.size for video in workspace.simulator.ledger().videos} == {
        "turn": "1280x720",
        "pad it": "1280x720",
    }


def test_a_lost_share_pauses_and_comes_back(workspace: Workspace) -> None:
    workspace.drop("one.jpg")
    with workspace.running():
        wait_until(lambda: "done" in workspace.states("one.jpg"))
        workspace.inbox.rename(workspace.root / "unmounted")
        workspace.inbox.mkdir()
        workspace.drop("local.jpg")
        wait_until(lambda: "share is not mounted" in workspace.told())
        assert set(workspace.files("inbox")) == {"local.jpg", "local.yaml"}
        for path in workspace.inbox.iterdir():
            path.unlink()
        workspace.inbox.rmdir()
        (workspace.root / "unmounted").rename(workspace.inbox)
        workspace.drop("two.jpg")
        wait_until(lambda: "done" in workspace.states("two.jpg"))
    assert workspace.simulator.ledger().creates == 2
    assert workspace.states("local.jpg") == []
