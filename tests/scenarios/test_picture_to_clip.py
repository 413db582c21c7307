"""The whole path through the real daemon: files in, files out, and what the server billed."""

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
from tests.support.workspace import Yard, picture, wait_until


def test_a_dropped_picture_becomes_a_clip(yard: Yard) -> None:
    yard.drop("beach.jpg", "gentle waves", seconds=4)
    assert yard.run_once()
    assert list(yard.files("outbox")) == ["beach.mp4"]
    assert set(yard.files("processed")) == {"beach.jpg", "beach.yaml"}
    assert yard.files("inbox") == yard.files("errors") == {}
    with av.open(str(yard.outbox / "beach.mp4")) as clip:
        stream = clip.streams.video[0]
        assert (stream.width, stream.height, float(clip.duration or 0) / av.time_base) == (1280, 720, 4.0)
    (video,) = yard.simulator.ledger().videos
    assert (video.prompt, video.model, video.size, video.seconds) == ("gentle waves", "sora-2", "1280x720", "4")
    assert yard.states("beach.jpg") == [
        "found", "ready", "submitting", "rendering", "rendered", "delivered", "done",
    ]  # fmt: skip


def test_a_running_daemon_takes_what_comes_and_keeps_subfolders(yard: Yard) -> None:
    with yard.running():
        yard.drop("a.png")
        yard.drop("holiday/spain/b.webp")
        wait_until(lambda: len(yard.files("processed")) == 4)
        yard.drop("c.jpg")
        wait_until(lambda: len(yard.files("processed")) == 6)
    assert set(yard.files("outbox")) == {"a.mp4", "holiday/spain/b.mp4", "c.mp4"}
    assert set(yard.files("processed")) >= {"holiday/spain/b.webp", "holiday/spain/b.yaml"}
    assert yard.simulator.ledger().creates == 3


def test_folder_defaults_are_presets_and_images_need_no_sidecar(yard: Yard) -> None:
    (yard.inbox / "tall").mkdir()
    (yard.inbox / "_defaults.yaml").write_text("prompt: from the top\nseconds: 4\n")
    (yard.inbox / "tall/_defaults.yaml").write_text("size: portrait\n")
    picture(yard.inbox / "tall/tower.jpg", (200, 300))
    (yard.inbox / "own.txt").write_text("its own words\n")
    picture(yard.inbox / "own.jpg")
    assert yard.run_once()
    asked = {video.prompt: (video.size, video.seconds) for video in yard.simulator.ledger().videos}
    assert asked == {"from the top": ("720x1280", "4"), "its own words": ("1280x720", "4")}
    assert set(yard.files("inbox")) == {"_defaults.yaml", "tall/_defaults.yaml"}


def test_a_broken_pair_goes_to_errors_with_a_plain_reason(yard: Yard) -> None:
    yard.drop("beach.jpg")
    picture(yard.inbox / "bad.jpg")
    (yard.inbox / "bad.yaml").write_text("prompt: waves\nseconds: 7\nsiez: auto\n")
    assert not yard.run_once()
    assert set(yard.files("errors")) == {"bad.jpg", "bad.yaml", "bad.error.txt"}
    text = (yard.errors / "bad.error.txt").read_text()
    assert 'bad.yaml line 3, siez: is not a known key. Did you mean "size"?' in text
    assert "bad.yaml line 2, seconds: is 7" in text
    assert "Allowed: 4, 8, 12" in text
    assert "Was it charged?\n    No." in text
    assert list(yard.files("outbox")) == ["beach.mp4"]
    assert yard.simulator.ledger().creates == 1


def test_a_taken_name_is_never_overwritten(yard: Yard) -> None:
    (yard.outbox / "beach.mp4").write_bytes(b"mine")
    (yard.processed / "beach.yaml").write_bytes(b"mine too")
    yard.drop("beach.jpg")
    assert yard.run_once()
    assert set(yard.files("outbox")) == {"beach.mp4", "beach (2).mp4"}
    assert (yard.outbox / "beach.mp4").read_bytes() == b"mine"
    assert set(yard.files("processed")) == {"beach.yaml", "beach (2).jpg", "beach (2).yaml"}


def test_a_pair_with_a_missing_half_waits(yard: Yard) -> None:
    picture(yard.inbox / "lonely.jpg")
    (yard.inbox / "other.yaml").write_text("prompt: where is my picture?\n")
    assert yard.run_once()
    assert set(yard.files("inbox")) == {"lonely.jpg", "other.yaml"}
    status = yard.cli("status")
    assert "no sidecar yet, and no default prompt" in status
    assert "no image of this name" in status


def test_deleting_a_picture_before_it_is_submitted_cancels_it(yard: Yard) -> None:
    (yard.inbox / "PAUSE").touch()
    yard.drop("beach.jpg")
    with yard.running():
        wait_until(lambda: "ready" in yard.states("beach.jpg"))
        (yard.inbox / "beach.jpg").unlink()
        wait_until(lambda: "cancelled" in yard.states("beach.jpg"))
        (yard.inbox / "PAUSE").unlink()
        yard.drop("next.jpg")
        wait_until(lambda: "done" in yard.states("next.jpg"))
    assert yard.simulator.ledger().creates == 1


def test_a_command_minds_no_claim_of_a_daemon_that_was_killed(yard: Yard) -> None:
    (yard.inbox / "PAUSE").touch()
    yard.drop("beach.jpg")
    with yard.running():
        wait_until(lambda: yard.counts() == {"ready": 1})
    killed, _ = Store.create_or_open(yard.root / "state.db", "killed")
    with killed.transaction() as tx:
        assert tx.claim([State.READY], 1, 0, 600_000)
    killed.close()
    assert "no daemon is running" in yard.cli("cancel", "beach.jpg")
    assert yard.counts() == {"withdrawn": 1}


def test_changing_a_sidecar_before_it_is_submitted_orders_the_change_alone(yard: Yard) -> None:
    (yard.inbox / "PAUSE").touch()
    yard.drop("beach.jpg", "first thoughts")
    with yard.running():
        wait_until(lambda: "ready" in yard.states("beach.jpg"))
        (yard.inbox / "beach.yaml").write_text("prompt: second and better thoughts\n")
        wait_until(lambda: yard.states("beach.jpg").count("ready") == 2)
        (yard.inbox / "PAUSE").unlink()
        wait_until(lambda: "done" in yard.states("beach.jpg"))
    assert [video.prompt for video in yard.simulator.ledger().videos] == ["second and better thoughts"]


def test_touching_a_pair_while_it_renders_buys_nothing(tmp_path: Path) -> None:
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as sim:
        yard = Yard(tmp_path, sim)
        image = yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
            os.utime(image, (1, 1))
            os.utime(yard.inbox / "beach.yaml", (2, 2))
            wait_until(lambda: "cancelled" in yard.states("beach.jpg"))
            sim.finish_all()
            wait_until(lambda: "done" in yard.states("beach.jpg"))
        assert sim.ledger().creates == 1
        assert set(yard.files("processed")) == {"beach.jpg", "beach.yaml"}


def test_a_picture_replaced_while_it_renders_is_another_order(tmp_path: Path) -> None:
    with simulator.running(simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1)) as sim:
        yard = Yard(tmp_path, sim)
        yard.drop("beach.jpg")
        with yard.running():
            wait_until(lambda: "rendering" in yard.states("beach.jpg"))
            picture(yard.inbox / "beach.jpg", (400, 300), (250, 1, 1))
            wait_until(lambda: yard.states("beach.jpg").count("rendering") == 2)
            sim.finish_all()
            wait_until(lambda: yard.states("beach.jpg").count("done") == 2)
        assert sim.ledger().creates == 2
        assert set(yard.files("outbox")) == {"beach.mp4", "beach (2).mp4"}
        assert set(yard.files("processed")) == {"beach.jpg", "beach.yaml"}
        with Image.open(yard.processed / "beach.jpg") as kept:
            assert kept.size == (400, 300)


def test_the_same_order_is_not_bought_again(yard: Yard) -> None:
    original = yard.drop("beach.jpg", "waves").read_bytes()
    sidecar = (yard.inbox / "beach.yaml").read_bytes()
    assert yard.run_once()
    (yard.inbox / "beach.jpg").write_bytes(original)
    (yard.inbox / "beach.yaml").write_bytes(sidecar)
    assert not yard.run_once()
    assert yard.simulator.ledger().creates == 1
    text = (yard.errors / "beach.error.txt").read_text()
    assert "it is the same order as job" in text
    assert "delivered as beach.mp4" in text
    assert "duplicates: allow" in text


def test_the_same_order_under_two_names_at_once_is_bought_once(yard: Yard) -> None:
    original = yard.drop("a.jpg", "waves").read_bytes()
    (yard.inbox / "b.jpg").write_bytes(original)
    (yard.inbox / "b.yaml").write_text("prompt: waves\n")
    assert not yard.run_once()
    assert yard.simulator.ledger().creates == 1
    assert len(yard.files("outbox")) == 1
    assert len(yard.files("errors")) == 3


def test_duplicates_can_be_allowed(yard: Yard) -> None:
    yard.set("duplicates", value="allow")
    original = yard.drop("a.jpg", "waves").read_bytes()
    assert yard.run_once()
    (yard.inbox / "a.jpg").write_bytes(original)
    (yard.inbox / "a.yaml").write_text("prompt: waves\n")
    assert yard.run_once()
    assert yard.simulator.ledger().creates == 2
    assert set(yard.files("outbox")) == {"a.mp4", "a (2).mp4"}


def test_a_pair_moved_back_is_a_retry(yard: Yard) -> None:
    yard.set("retries", failed_generations=0)
    yard.simulator.inject(Fault("generation_fails", times=1))
    yard.drop("beach.jpg")
    assert not yard.run_once()
    assert "Failed generations are not billed" in (yard.errors / "beach.error.txt").read_text()
    for name in ("beach.jpg", "beach.yaml"):
        (yard.errors / name).rename(yard.inbox / name)
    assert yard.run_once()
    assert list(yard.files("outbox")) == ["beach.mp4"]
    assert yard.simulator.ledger().usd == pytest.approx(0.80)


def test_a_failed_generation_is_ordered_again(yard: Yard) -> None:
    yard.simulator.inject(Fault("generation_fails", times=1))
    yard.drop("beach.jpg")
    assert yard.run_once()
    assert yard.simulator.ledger().creates == 2
    assert list(yard.files("outbox")) == ["beach.mp4"]


def test_moderation_is_final(yard: Yard) -> None:
    yard.simulator.inject(
        Fault(
            "generation_fails", code="moderation_blocked", message="Your request was blocked by our moderation system."
        )
    )
    yard.drop("beach.jpg")
    assert not yard.run_once()
    text = (yard.errors / "beach.error.txt").read_text()
    assert "moderation refused" in text
    assert "Change the prompt or the picture" in text
    assert yard.simulator.ledger().creates == 1


def test_identical_prompts_for_different_pictures_all_arrive(yard: Yard) -> None:
    for number in range(6):
        yard.drop(f"{number}.jpg", "the same words for all")
    assert yard.run_once()
    assert len(yard.files("outbox")) == 6
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (6, 0)


def test_no_more_than_in_flight_run_at_once(yard: Yard) -> None:
    yard.set("limits", in_flight=2)
    for number in range(7):
        yard.drop(f"{number}.jpg")
    assert yard.run_once()
    ledger = yard.simulator.ledger()
    assert (ledger.creates, ledger.max_in_flight) == (7, 2)


def test_the_days_money_is_not_exceeded(yard: Yard) -> None:
    yard.set("limits", usd_per_day=2.0)
    for number in range(4):
        yard.drop(f"{number}.jpg", seconds=8)
    assert not yard.run_once()
    ledger = yard.simulator.ledger()
    assert (ledger.creates, float(ledger.usd)) == (2, pytest.approx(1.60))
    status = yard.cli("status")
    assert "today: $1.60 spent, $0.00 reserved, $0.40 left of $2.00, 2 clips delivered" in status
    assert len(yard.files("outbox")) == 2
    assert len(yard.files("inbox")) == 4


def test_higher_priority_goes_first(yard: Yard) -> None:
    yard.set("limits", in_flight=1)
    (yard.inbox / "PAUSE").touch()
    with yard.running():
        for number in range(3):
            yard.drop(f"{number}.jpg", f"prompt {number}", priority=number)
        wait_until(lambda: all("ready" in yard.states(f"{number}.jpg") for number in range(3)))
        (yard.inbox / "PAUSE").unlink()
        wait_until(lambda: len(yard.files("outbox")) == 3)
    by_time = sorted(yard.simulator.ledger().videos, key=lambda video: yard_order(yard, video.id))
    assert [video.prompt for video in by_time] == ["prompt 2", "prompt 1", "prompt 0"]


def yard_order(yard: Yard, video_id: str) -> int:
    return next(number for number, (_, job) in enumerate(yard.changes) if job.video_id == video_id)


def test_pictures_are_uploaded_upright_in_the_exact_size(yard: Yard) -> None:
    image = Image.new("RGB", (300, 500), (10, 200, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(yard.inbox / "turned.jpg", exif=exif)
    (yard.inbox / "turned.yaml").write_text("prompt: turn\nsize: auto\nseconds: 4\n")
    alpha = io.BytesIO()
    Image.new("RGBA", (800, 300), (255, 0, 0, 128)).save(alpha, "PNG")
    (yard.inbox / "alpha.png").write_bytes(alpha.getvalue())
    (yard.inbox / "alpha.yaml").write_text("prompt: pad it\nfit: pad\nseconds: 4\n")
    assert yard.run_once()
    assert {video.prompt: video.size for video in yard.simulator.ledger().videos} == {
        "turn": "1280x720",
        "pad it": "1280x720",
    }


def test_a_lost_share_pauses_and_comes_back(yard: Yard) -> None:
    yard.drop("one.jpg")
    with yard.running():
        wait_until(lambda: "done" in yard.states("one.jpg"))
        yard.inbox.rename(yard.root / "unmounted")
        yard.inbox.mkdir()
        yard.drop("local.jpg")
        wait_until(lambda: "share is not mounted" in yard.told())
        assert set(yard.files("inbox")) == {"local.jpg", "local.yaml"}
        for path in yard.inbox.iterdir():
            path.unlink()
        yard.inbox.rmdir()
        (yard.root / "unmounted").rename(yard.inbox)
        yard.drop("two.jpg")
        wait_until(lambda: "done" in yard.states("two.jpg"))
    assert yard.simulator.ledger().creates == 2
    assert yard.states("local.jpg") == []
