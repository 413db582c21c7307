"""Paid clips are delivered, whatever their form, and wherever the server stores them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import av
import pytest
from PIL import Image

from sorawatch.simulator import Fault
from tests.support import texts
from tests.support.sampling import sampled
from tests.support.workspace import KEY, Workspace, wait_until

pytestmark = pytest.mark.slow

MISSING = Fault("answer_before", on="content", status=404, shape="detail_text", message="Not Found", times=None)


@pytest.fixture
def beach(workspace: Workspace) -> Workspace:
    workspace.set("api", headers={"X-Team": "film"})
    workspace.drop("beach.jpg")
    return workspace


def frames(path: Path) -> int:
    """How many frames of a clip can be decoded."""
    with av.open(str(path)) as clip:
        return sum(1 for _ in clip.decode(video=0))


def make_noisy(path: Path) -> None:
    """Replace a picture by noise, so that its clip has some hundred thousand bytes."""
    Image.effect_noise((640, 360), 100).convert("RGB").save(path)


def delivered(workspace: Workspace, name: str = "beach.mp4") -> Path:
    """The path of the clip, after asserting that exactly one order was accepted."""
    assert workspace.run_once()
    assert list(workspace.files("outbox")) == [name]
    assert workspace.simulator.ledger().creates == 1
    assert frames(workspace.outbox / name) > 1
    return workspace.outbox / name


def held(workspace: Workspace) -> str:
    """The text about the only job, after asserting that it is held and has no clip."""
    assert not workspace.run_once()
    assert workspace.counts() == {"held": 1}
    assert workspace.files("outbox") == {}
    assert workspace.simulator.ledger().creates == 1
    return " ".join(workspace.cli("show", "beach.jpg").split())


@pytest.mark.parametrize("media_type", sampled(["application/json", "text/html; charset=utf-8", "text/plain", ""], 4))
def test_a_clip_is_recognized_by_its_bytes_whatever_its_content_type(beach: Workspace, media_type: str) -> None:
    beach.simulator.inject(Fault("content_type", word=media_type, times=None))
    delivered(beach)
    assert beach.simulator.ledger().downloads == 1


@pytest.mark.parametrize("media_type", sampled(["application/json", "video/mp4"], 2))
def test_an_interrupted_download_of_any_content_type_is_resumed(beach: Workspace, media_type: str) -> None:
    beach.simulator.inject(Fault("content_type", word=media_type, times=None), Fault("cut", times=3))
    delivered(beach)


@pytest.mark.parametrize("padding", sampled(["", "\n", "-- end of file --", "\r\n\r\n0\r\n\r\n"], 4))
def test_padding_after_a_complete_clip_is_accepted(beach: Workspace, padding: str) -> None:
    beach.simulator.inject(Fault("padded", word=padding, times=None))
    clip = delivered(beach).read_bytes()
    assert clip.endswith(padding.encode() or bytes(4096))
    assert beach.simulator.ledger().downloads == 1


@pytest.mark.parametrize(
    ("container", "suffix", "name"),
    [("webm", ".webm", "a WebM video"), ("gif", ".gif", "a GIF"), ("mpegts", ".ts", "an MPEG transport stream")],
)
def test_other_containers_are_delivered_with_their_own_extension(
    beach: Workspace, container: str, suffix: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    beach.simulator.inject(Fault("container", word=container, times=None))
    delivered(beach, f"beach{suffix}")
    assert f"is {name} and not an MP4" in beach.cli("show", "beach.jpg")
    (warning,) = [each for each in caplog.messages if "so it was delivered" in each]
    assert "beach.jpg" in warning
    assert json.loads(beach.cli("show", "--json", "beach.jpg"))["clip"] == f"beach{suffix}"
    assert beach.files("processed").keys() == {"beach.jpg", "beach.yaml"}


def test_an_unusual_mp4_that_stays_the_same_is_delivered_after_all_attempts(beach: Workspace) -> None:
    beach.set("retries", attempts=2)
    beach.simulator.inject(Fault("indexed_twice", times=None))
    delivered(beach)
    assert "it has 2 moov boxes and not one; it is what the server has" in " ".join(
        beach.cli("show", "beach.jpg").split()
    )


def test_a_complete_clip_that_comes_later_is_delivered(beach: Workspace) -> None:
    beach.simulator.inject(Fault("container", word="webm", times=1))
    delivered(beach)
    assert "not an MP4" not in json.loads(beach.cli("show", "--json", "beach.jpg"))["note"]


def test_a_repeated_download_is_remembered_over_a_restart(beach: Workspace) -> None:
    beach.set("retries", first_seconds=0.2, max_seconds=0.2)
    beach.simulator.inject(Fault("container", word="webm", times=None))
    with beach.running():
        wait_until(lambda: "if the server still sends the same" in beach.told())
    (sighting,) = (beach.root / "state.db.work").glob("*/sighting.json")
    seen_at = json.loads(sighting.read_text())["seen_at"]
    with beach.running():
        wait_until(lambda: beach.simulator.ledger().downloads > 2)
        assert json.loads(sighting.read_text())["seen_at"] == seen_at
        wait_until(lambda: beach.counts() == {"done": 1})
    assert list(beach.files("outbox")) == ["beach.webm"]


@pytest.mark.parametrize(
    "spoiled",
    [Fault("truncated", times=None), Fault("half_zero", times=None)],
    ids=lambda fault: fault.kind,
)
@pytest.mark.parametrize("container", sampled(["", "webm"], 2))
def test_a_truncated_or_zeroed_clip_is_held(beach: Workspace, spoiled: Fault, container: str) -> None:
    if container:
        beach.simulator.inject(Fault("container", word=container, times=None))
    beach.simulator.inject(spoiled)
    assert "tried 8 times" in held(beach)


def test_a_clip_that_differs_in_every_download_is_held(beach: Workspace) -> None:
    beach.simulator.inject(Fault("container", word="webm", times=None))
    for number in range(50):
        beach.simulator.inject(Fault("padded", word=f"-- {number} --", after=number))
    assert "is a WebM video and not an MP4" in held(beach)


def assert_fetched_without_secrets(workspace: Workspace) -> None:
    """Assert that the storage host got a request, but no secrets of the server."""
    requests = workspace.simulator.storage_requests()
    assert requests
    for headers in requests:
        assert "authorization" not in headers
        assert "x-team" not in headers
        assert KEY not in str(headers)


@pytest.mark.parametrize("where", sampled(["url", "metadata.url", "output[]", "data.videos[].url", "video"], 3))
def test_the_link_in_the_job_is_followed_where_there_is_no_content(beach: Workspace, where: str) -> None:
    beach.simulator.inject(MISSING, Fault("link", word=where, times=None))
    delivered(beach)
    assert_fetched_without_secrets(beach)


@pytest.mark.parametrize(
    "refusal",
    sampled(
        [
            Fault("answer_before", on="content", status=405, shape="html", times=None),
            Fault("answer_before", on="content", status=501, shape="empty", times=None),
            Fault("answer_before", on="content", status=403, message="Forbidden", times=None),
            Fault("answer_before", on="content", status=500, message="Failed to fetch video content", times=None),
            Fault("answer_before", on="content", status=502, message="Failed to fetch video content", times=None),
            Fault("answer_before", on="content", status=200, shape="html", times=None),
            Fault("answer_before", on="content", status=200, shape="code_message", code="success", times=None),
            Fault("answer_before", on="content", status=410, message="The video has expired", times=None),
            Fault("answer_before", on="content", status=402, message="insufficient balance", times=None),
        ],
        3,
    ),
    ids=lambda fault: f"{fault.status}-{fault.shape}",
)
def test_the_link_in_the_job_is_followed_whatever_the_content_is_refused_with(beach: Workspace, refusal: Fault) -> None:
    beach.simulator.inject(refusal, Fault("link", word="video_url", times=None))
    delivered(beach)
    assert_fetched_without_secrets(beach)


@pytest.mark.parametrize("where", ["url", "data.url", "video_url", "output[]"])
def test_the_link_in_the_contents_own_answer_is_followed(beach: Workspace, where: str) -> None:
    beach.simulator.inject(
        Fault("link", on="content", word=where, times=None),
        Fault("answer_before", on="retrieve", status=500, when="completed", after=1, times=None),
    )
    delivered(beach)
    assert_fetched_without_secrets(beach)


def test_a_link_may_be_relative(beach: Workspace) -> None:
    beach.simulator.inject(MISSING, Fault("link", location="{path}", times=None))
    delivered(beach)
    assert_fetched_without_secrets(beach)


def test_a_new_link_is_requested_after_the_old_one_has_expired(beach: Workspace) -> None:
    beach.simulator.inject(
        Fault("link", on="content", word="url", location="/storage/gone", times=None),
        Fault("link", word="metadata.url", times=None),
    )
    delivered(beach)


def test_an_interrupted_download_by_a_link_is_resumed_and_checked(beach: Workspace) -> None:
    make_noisy(beach.inbox / "beach.jpg")
    beach.simulator.inject(
        MISSING,
        Fault("link", times=None),
        Fault("cut", on="storage", times=1),
        Fault("half_zero", on="storage", times=2, after=1),
    )
    delivered(beach)
    assert any("range" in headers for headers in beach.simulator.storage_requests())
    assert_fetched_without_secrets(beach)


def test_a_broken_link_is_reported(beach: Workspace) -> None:
    beach.simulator.inject(
        MISSING,
        Fault("link", times=None),
        Fault("answer_before", on="storage", status=403, shape="html", message="signature expired", times=None),
    )
    text = held(beach)
    (video,) = beach.simulator.ledger().videos
    assert f"/storage/{quote(video.id)}, {texts.NO_CLIP_EITHER}: HTTP 403" in text
    assert "tried 8 times" in text
    beach.simulator.clear_faults()
    beach.cli("retry", "beach.jpg")
    delivered(beach)


@pytest.mark.parametrize("link", ["ftp://127.0.0.1/clip.mp4", "file:///etc/hostname", "s3://bucket/clip.mp4"])
def test_links_of_other_schemes_are_not_followed(beach: Workspace, link: str) -> None:
    beach.simulator.inject(MISSING, Fault("link", location=link, times=None))
    assert "Not Found" in held(beach)


def test_an_expired_clip_whose_link_does_not_work_either_is_failed(beach: Workspace) -> None:
    beach.simulator.inject(
        Fault("answer_before", on="content", status=410, message="The video has expired", times=None),
        Fault("link", times=None),
        Fault("answer_before", on="storage", status=404, times=None),
    )
    assert not beach.run_once()
    text = (beach.errors / "beach.error.txt").read_text()
    assert "The video has expired" in text
    assert "/storage/video_" in text
    assert "Yes ($0.80)" in text


def test_a_download_by_a_link_is_resumed_after_a_kill(beach: Workspace) -> None:
    make_noisy(beach.inbox / "beach.jpg")
    beach.simulator.inject(MISSING, Fault("link", times=None), Fault("stall", on="storage"))
    process = beach.spawn("run")
    (part,) = wait_until(lambda: [each for each in beach.root.glob("state.db.work/*/clip.part") if each.stat().st_size])
    process.kill()
    process.wait()
    had = part.stat().st_size
    delivered(beach)
    *_, last = beach.simulator.storage_requests()
    assert 0 < int(last["range"].removeprefix("bytes=").removesuffix("-")) < had
    assert_fetched_without_secrets(beach)
