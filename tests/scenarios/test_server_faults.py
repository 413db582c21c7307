"""All observed kinds of wrong answers (design §7) with the whole daemon, checked by what was billed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sorawatch import simulator
from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.sampling import nightly
from tests.support.workspace import Workspace, wait_until


def rare(*values: object) -> Any:
    """A case for the night. Another covers the same kind of answer, and `test_video_responses` how each one is read."""
    return nightly(values)


def delivered(workspace: Workspace, creates: int = 1) -> None:
    """Assert that there is one complete clip, and exactly so many accepted orders."""
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == ["beach.mp4"]
    assert set(workspace.files("processed")) == {"beach.jpg", "beach.yaml"}
    assert workspace.simulator.ledger().creates == creates


@pytest.fixture
def beach(workspace: Workspace) -> Workspace:
    workspace.drop("beach.jpg")
    return workspace


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer_before", on="create", status=503, shape="error_text", message="overloaded", times=3),
        rare(Fault("answer_before", on="create", status=503, retry_after="0")),
        rare(Fault("answer_before", on="create", status=529, message="The queue is full")),
        Fault("answer_before", on="create", status=429, message="Rate limit reached", times=3),
        rare(Fault("answer_before", on="create", status=429, retry_after_ms=20)),
        Fault("answer_before", on="create", status=429, message="too many running tasks"),
    ],
    ids=lambda fault: f"{fault.status}-{fault.shape}-{fault.message[:12]}",
)
def test_a_temporarily_refused_submit_is_sent_again(beach: Workspace, fault: Fault) -> None:
    beach.simulator.inject(fault)
    delivered(beach)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("lost_after", on="create"),
        rare(Fault("answer_after", on="create", status=502, shape="html")),
        Fault("answer_after", on="create", status=504, shape="html"),
        rare(Fault("answer_after", on="create", status=504, shape="openai")),
        rare(Fault("answer_after", on="create", status=500, shape="code_message")),
        Fault("answer_after", on="create", status=503),
        rare(Fault("answer_after", on="create", status=307, shape="empty")),
        rare(Fault("answer_after", on="create", status=200, shape="openai")),
        Fault("answer_after", on="create", status=200, shape="html"),
        rare(Fault("answer_after", on="create", status=200, shape="unparsable")),
        rare(Fault("answer_after", on="create", status=200, shape="empty")),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.shape}",
)
def test_a_lost_answer_to_an_accepted_submit_is_found_in_the_list(beach: Workspace, fault: Fault) -> None:
    beach.simulator.inject(fault)
    delivered(beach)
    assert "uncertain" in beach.states("beach.jpg")


def test_an_answer_that_never_comes_is_found_in_the_list(beach: Workspace) -> None:
    beach.set("api", timeout_seconds=0.5)
    beach.simulator.inject(Fault("hang_after", on="create"))
    delivered(beach)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        Fault("lost_before", on="create"),
        Fault("answer_before", on="create", status=502, shape="html"),
        Fault("answer_before", on="create", status=200, shape="html"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_submit_that_never_arrived_is_sent_again_after_two_lists_without_it(
    workspace: Workspace, fault: Fault
) -> None:
    workspace.drop("earlier.jpg")
    assert workspace.run_once()
    workspace.drop("beach.jpg")
    workspace.simulator.inject(fault)
    assert workspace.run_once()
    assert set(workspace.files("outbox")) == {"beach.mp4", "earlier.mp4"}
    assert workspace.simulator.ledger().creates == 2
    assert workspace.simulator.ledger().lists >= 2


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "not accepted"])
def test_without_a_list_a_lost_answer_is_held_with_the_possible_commands(beach: Workspace, accepted: bool) -> None:
    beach.simulator.inject(
        Fault("lost_after" if accepted else "lost_before", on="create"),
        Fault("answer_before", on="list", status=404, shape="detail_text", times=None),
    )
    assert not beach.run_once()
    output = beach.cli("show", "beach.jpg")
    for words in ("held", f"It {texts.MAYBE_CHARGED}", "sorawatch adopt", "sorawatch retry", "VIDEO_ID"):
        assert words in output
    assert set(beach.files("inbox")) == {"beach.jpg", "beach.yaml"}
    assert beach.simulator.ledger().creates == (1 if accepted else 0)
    if accepted:
        (video,) = beach.simulator.ledger().videos
        beach.cli("adopt", "beach.jpg", video.id)
    else:
        beach.cli("retry", "beach.jpg")
    delivered(beach)


def test_a_wrongly_adopted_video_can_be_replaced(beach: Workspace) -> None:
    beach.simulator.inject(
        Fault("lost_after", on="create"),
        Fault("answer_before", on="list", status=404, shape="detail_text", times=None),
    )
    assert not beach.run_once()
    beach.cli("adopt", "beach.jpg", "video_misspelt")
    assert not beach.run_once()
    output = beach.cli("show", "beach.jpg")
    for words in ("held", f"{texts.NO_LONGER_KNOWN} the video", f"It {texts.MAYBE_CHARGED}", "sorawatch adopt"):
        assert words in output
    assert set(beach.files("inbox")) == {"beach.jpg", "beach.yaml"}
    (video,) = beach.simulator.ledger().videos
    beach.cli("adopt", "beach.jpg", video.id)
    delivered(beach)


@pytest.mark.slow
def test_a_wrongly_adopted_video_can_be_replaced_at_once(beach: Workspace) -> None:
    beach.set("retries", attempts=1000)
    beach.simulator.inject(
        Fault("lost_after", on="create"),
        Fault("answer_before", on="list", status=404, shape="detail_text", times=None),
    )
    assert not beach.run_once()
    beach.cli("adopt", "beach.jpg", "video_misspelt")
    with beach.running():
        wait_until(lambda: texts.NO_LONGER_KNOWN in beach.told())
        (video,) = beach.simulator.ledger().videos
        beach.cli("adopt", "beach.jpg", video.id)
        wait_until(lambda: beach.counts() == {"done": 1})
    assert beach.simulator.ledger().creates == 1


def test_a_held_job_is_not_given_the_video_of_another(workspace: Workspace) -> None:
    workspace.drop("a.jpg")
    workspace.drop("b.jpg")
    workspace.simulator.inject(
        Fault("lost_after", on="create", prompt="around b"),
        Fault("answer_before", on="list", status=404, shape="detail_text", times=None),
    )
    assert not workspace.run_once()
    theirs, own = sorted(workspace.simulator.ledger().videos, key=lambda video: video.prompt)
    assert f"{theirs.id} is the video of a.jpg" in workspace.cli("adopt", "b.jpg", theirs.id, status=1)
    assert workspace.counts() == {"done": 1, "held": 1}
    workspace.cli("adopt", "b.jpg", own.id)
    assert workspace.run_once()
    assert workspace.simulator.ledger().creates == 2


def test_without_a_list_the_configuration_can_choose_to_resubmit(beach: Workspace) -> None:
    beach.set("api", unresolved_submit="resubmit")
    beach.simulator.inject(Fault("lost_before", on="create"), Fault("answer_before", on="list", status=404, times=None))
    delivered(beach)


def test_a_list_without_prompts_proves_nothing(beach: Workspace) -> None:
    beach.simulator.inject(Fault("lost_after", on="create"), Fault("prompt_hidden", on="list", times=None))
    assert not beach.run_once()
    assert beach.counts() == {"held": 1}
    assert beach.simulator.ledger().creates == 1


def test_an_empty_list_without_an_end_marker_proves_nothing(beach: Workspace) -> None:
    beach.simulator.inject(
        Fault("lost_after", on="create"),
        Fault("list_empty", on="list", times=None),
        Fault("list_without_has_more", on="list", times=None),
    )
    assert not beach.run_once()
    assert beach.simulator.ledger().creates == 1


@pytest.mark.parametrize("word", ["openai/sora-2", "sora-2-2025-12-08"])
def test_a_list_with_longer_model_names_shows_lost_orders(beach: Workspace, word: str) -> None:
    beach.simulator.inject(Fault("lost_after", on="create"), Fault("model_other", word=word, times=None))
    delivered(beach)


@pytest.mark.slow
def test_a_lost_order_that_is_listed_under_another_model_is_not_bought_again(beach: Workspace) -> None:
    beach.set("api", timeout_seconds=0.5)
    beach.simulator.inject(Fault("lost_after", on="create"), Fault("model_other", word="deployment-7", times=None))
    assert not beach.run_once()
    assert beach.counts() == {"held": 1}
    assert beach.simulator.ledger().creates == 1


def test_a_list_that_does_not_show_what_the_server_has_proves_nothing(workspace: Workspace) -> None:
    workspace.set("api", timeout_seconds=0.5)
    workspace.drop("a.jpg", priority=1)
    workspace.drop("b.jpg")
    workspace.simulator.inject(Fault("lost_after", on="create", prompt="b"), Fault("list_empty", on="list", times=None))
    assert not workspace.run_once()
    assert workspace.counts() == {"done": 1, "held": 1}
    (reason,) = [job.reason for job in workspace.status().jobs if job.pair.image == "b.jpg"]
    assert "its list does not show video_" in reason or "its list shows no video of ours" in reason
    assert workspace.simulator.ledger().creates == 2


@pytest.mark.slow
def test_a_list_that_is_always_empty_proves_nothing(beach: Workspace) -> None:
    beach.set("api", timeout_seconds=0.5)
    beach.simulator.inject(Fault("lost_after", on="create", times=None), Fault("list_empty", on="list", times=None))
    assert not beach.run_once()
    assert beach.counts() == {"held": 1}
    assert "its list shows no video of ours" in beach.status().jobs[0].reason
    assert beach.simulator.ledger().creates == 1


def test_two_lost_answers_with_the_same_prompt_are_not_matched_by_guess(workspace: Workspace) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        workspace.drop(name, "the same words")
    workspace.simulator.inject(Fault("lost_after", on="create", times=2))
    assert workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (3, 0)
    assert len(workspace.files("outbox")) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("answer_before", on="create", status=400, code="sentinel_block", message="blocked"), "moderation"),
        (Fault("answer_before", on="create", status=400, message="Inpaint image must match the requested width and height"), "size"),
        rare(Fault("answer_before", on="create", status=422, shape="detail_list", message="bad field"), "bad field"),
        rare(Fault("answer_before", on="create", status=400, shape="code_message", message="no such thing"), "no such thing"),
        (Fault("answer_before", on="create", status=200, shape="code_message", code=400, message="too rude"), "too rude"),
    ],
    ids=lambda value: getattr(value, "shape", None),
)  # fmt: skip
def test_a_permanent_refusal_goes_to_errors_uncharged(beach: Workspace, fault: Fault, words: str) -> None:
    beach.simulator.inject(fault)
    assert not beach.run_once()
    text = (beach.errors / "beach.error.txt").read_text()
    assert words in text
    assert f"{texts.WAS_IT_CHARGED}\n    No." in text
    assert beach.simulator.ledger().creates == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("answer_before", on="create", status=401, times=None), "refuses the API key"),
        rare(Fault("answer_before", on="create", status=403, message="Forbidden", times=None), texts.ORDER_REFUSED),
        rare(Fault("answer_before", on="create", status=400, message="No connected db.", times=None), "refuses the API key"),
        rare(Fault("answer_before", on="create", status=400, message="Your credit balance is too low", times=None), "no credit left"),
        pytest.param(Fault("answer_before", on="create", status=422, shape="detail_list", message="Field required", times=None), "Field required", marks=pytest.mark.slow),
        pytest.param(Fault("answer_before", on="create", status=402, times=None), "no credit left", marks=pytest.mark.slow),
        rare(Fault("answer_before", on="create", status=403, code="insufficient_user_quota", times=None), "no credit left"),
        rare(Fault("answer_before", on="create", status=429, code="insufficient_quota", times=None), "no credit left"),
        (Fault("answer_before", on="create", status=404, code="model_not_found", message="The model does not exist", times=None), "video.model"),
        rare(Fault("answer_before", on="create", status=400, code="model_not_found", message="sora-2 was retired", times=None), "It offers: sora-2, sora-2-pro."),
        rare(Fault("answer_before", on="create", status=503, message="no available channel for model sora-2", times=None), "video.model"),
    ],
    ids=["401", "403", "no db", "low", "422", "402", "403-quota", "429-quota", "404-model", "400-model", "503-channel"],
)  # fmt: skip
def test_a_general_problem_fails_no_job(workspace: Workspace, fault: Fault, words: str) -> None:
    for number in range(6):
        workspace.drop(f"{number}.jpg")
    workspace.simulator.inject(fault)
    with workspace.running():
        wait_until(lambda: texts.NOTHING_IS_SUBMITTED in workspace.told())
        assert words in workspace.told()
        assert {job.attempts for job in workspace.status().jobs} == {0}
        workspace.simulator.clear_faults()
        workspace.cli("resume")
        wait_until(lambda: len(workspace.files("outbox")) == 6)
    assert workspace.files("errors") == {}
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (6, 0)
    assert ledger.rejected <= 8


@pytest.mark.parametrize("word", ["SUCCEEDED", rare("success"), rare("Completed"), rare("complete")])
def test_words_for_a_finished_video(beach: Workspace, word: str) -> None:
    beach.simulator.inject(Fault("status_word", on="retrieve", when="completed", word=word, times=None))
    delivered(beach)


MEANWHILE = [
    Fault("status_word", on="retrieve", word="pending", times=2),
    Fault("status_word", on="retrieve", word="warming_up_the_oven", times=2),
    Fault("status_word", on="create", word="submitted"),
    Fault("progress_missing", times=None),
    Fault("progress_text", times=None),
    Fault("progress_stuck", times=None),
    Fault("progress_back", times=None),
    Fault("other_id", times=None),
    Fault("long_id"),
    Fault("answer_before", on="retrieve", status=500, times=2),
    Fault("answer_before", on="retrieve", status=502, shape="html", times=4),
    Fault("answer_before", on="retrieve", status=404, shape="html", times=2),
    Fault("answer_before", on="retrieve", status=200, shape="html", times=2),
    Fault("answer_before", on="retrieve", status=401, times=2),
    Fault("lost_before", on="retrieve", times=4),
    Fault("answer_before", on="content", status=404, shape="detail_text", times=2),
    Fault("answer_before", on="content", status=400, message="Video is not ready yet", times=2),
    Fault("answer_before", on="content", status=502, shape="html", times=4),
    Fault("answer_before", on="content", status=200, shape="openai", times=2),
    Fault("gzip", times=None),
    Fault("cut", times=2),
    Fault("truncated", times=2),
    Fault("half_zero", times=2),
    Fault("html_as_mp4", times=2),
    Fault("json_as_mp4", times=2),
    Fault("range_ignored", times=None),
    Fault("redirect", times=None),
]
"""What a server may answer while a clip is made and fetched."""


def test_paid_clips_are_delivered_whatever_the_server_answers_meanwhile(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=len(MEANWHILE))
    for number, fault in enumerate(MEANWHILE):
        workspace.drop(f"{number:02}.jpg", f"picture {number:02}", seconds=4)
        workspace.simulator.inject(replace(fault, prompt=f"picture {number:02}"))
    assert workspace.run_once(), workspace.told()
    assert [*sorted(workspace.files("outbox"))] == [f"{number:02}.mp4" for number in range(len(MEANWHILE))]
    assert len(workspace.files("processed")) == 2 * len(MEANWHILE)
    assert workspace.simulator.ledger().creates == len(MEANWHILE)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "fault",
    MEANWHILE,
    ids=lambda fault: "-".join(str(part) for part in (fault.kind, fault.on, fault.status, fault.shape, fault.word)),
)
def test_a_paid_clip_is_delivered_whatever_the_server_answers_meanwhile(beach: Workspace, fault: Fault) -> None:
    beach.simulator.inject(fault)
    delivered(beach)


def test_the_key_does_not_follow_a_redirect_to_another_host(beach: Workspace) -> None:
    beach.simulator.inject(Fault("redirect", times=None))
    delivered(beach)
    (headers,) = beach.simulator.storage_requests()
    assert "authorization" not in headers


@pytest.mark.parametrize("status", [200, rare(404), 500])
def test_a_failed_generation_is_recognized_with_any_http_status(beach: Workspace, status: int) -> None:
    beach.set("retries", failed_generations=0)
    beach.simulator.inject(Fault("generation_fails", message="The oven went out"))
    if status != 200:
        beach.simulator.inject(Fault("failed_as_error", status=status, times=None))
    assert not beach.run_once()
    assert "The oven went out" in (beach.errors / "beach.error.txt").read_text()
    assert beach.simulator.ledger().usd == 0


def test_an_expired_clip_is_failed_and_reported_as_charged(beach: Workspace) -> None:
    beach.simulator.inject(
        Fault("answer_before", on="content", status=410, message="The video has expired", times=None)
    )
    assert not beach.run_once()
    text = (beach.errors / "beach.error.txt").read_text()
    (video,) = beach.simulator.ledger().videos
    assert "expired" in text
    assert "Yes ($0.80)" in text
    assert video.id in text
    assert beach.simulator.ledger().creates == 1


def test_a_clip_that_stays_broken_is_held_and_not_bought_again(beach: Workspace) -> None:
    beach.simulator.inject(Fault("half_zero", times=None))
    assert not beach.run_once()
    assert beach.counts() == {"held": 1}
    assert beach.files("outbox") == {}
    beach.simulator.clear_faults()
    beach.cli("retry", "beach.jpg")
    delivered(beach)


@pytest.mark.slow
def test_the_daemon_waits_for_an_unreachable_server(tmp_path: Path) -> None:
    with simulator.running(simulator.SimulatorSettings(frames_per_second=1)) as gone:
        port = int(gone.root.rpartition(":")[2])
    workspace = Workspace(tmp_path, gone)
    for number in range(3):
        workspace.drop(f"{number}.jpg")
    with workspace.running():
        wait_until(lambda: "cannot be reached" in workspace.told())
        settings = simulator.SimulatorSettings(generation_seconds=0.1, frames_per_second=1)
        with simulator.running(settings, port=port) as back:
            wait_until(lambda: len(workspace.files("outbox")) == 3)
            assert back.ledger().creates == 3
    assert workspace.files("errors") == {}
