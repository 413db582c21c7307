"""The official SDK, unchanged, against the simulator."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from openai.types import Video

from sorawatch.simulator import Simulator
from tests.support.simulator_client import Start

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")


@pytest.fixture
def simulated(start: Start) -> Simulator:
    return start(generation_seconds=0).simulator


@pytest.fixture
def sdk(simulated: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=simulated.url, api_key="sk-simulated", max_retries=0) as client:
        yield client


@pytest.fixture
def reference(tmp_path: Path, picture: Callable[..., bytes]) -> Path:
    path = tmp_path / "reference.png"
    path.write_bytes(picture(file_format="PNG"))
    return path


def order(sdk: openai.OpenAI, reference: Path, **fields: Any) -> Video:
    chosen: dict[str, Any] = {"model": "sora-2", "prompt": "Waves", "size": "1280x720", "seconds": "4", **fields}
    return sdk.videos.create_and_poll(input_reference=reference, poll_interval_ms=10, **chosen)


def test_create_and_poll_ends_with_a_completed_video(sdk: openai.OpenAI, reference: Path) -> None:
    video = order(sdk, reference)

    assert (video.status, video.progress, video.size, video.seconds) == ("completed", 100, "1280x720", "4")
    assert video.completed_at is not None
    assert video.expires_at == pytest.approx(video.completed_at + 3600, abs=1)


def test_a_clip_downloads_to_a_file(sdk: openai.OpenAI, reference: Path, tmp_path: Path) -> None:
    video = order(sdk, reference)

    sdk.videos.download_content(video.id).write_to_file(tmp_path / "clip.mp4")

    assert (tmp_path / "clip.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_listing_pages_through_everything_in_order(
    sdk: openai.OpenAI, reference: Path, direction: Literal["asc", "desc"]
) -> None:
    ids = [order(sdk, reference, prompt=f"Wave {number}").id for number in range(7)]

    listed = [video.id for video in sdk.videos.list(limit=3, order=direction)]

    assert listed == (ids if direction == "asc" else ids[::-1])


def test_a_deleted_video_is_gone_but_stays_paid_for(sdk: openai.OpenAI, simulated: Simulator, reference: Path) -> None:
    video = order(sdk, reference)

    answer = sdk.videos.delete(video.id)

    assert (answer.id, answer.deleted, answer.object) == (video.id, True, "video.deleted")
    with pytest.raises(openai.NotFoundError):
        sdk.videos.retrieve(video.id)
    assert list(sdk.videos.list()) == []
    ledger = simulated.ledger()
    assert (ledger.deletes, ledger.usd, ledger.videos[0].status) == (1, 0.4, "deleted")


def test_errors_arrive_as_the_sdks_own_classes(sdk: openai.OpenAI, simulated: Simulator, reference: Path) -> None:
    with pytest.raises(openai.BadRequestError, match="Inpaint image must match the requested width and height"):
        order(sdk, reference, size="720x1280")
    with pytest.raises(openai.BadRequestError, match="Invalid file format"):
        sdk.videos.create(model="sora-2", prompt="Waves", input_reference=("x.png", io.BytesIO(b"x"), "image/png"))
    with pytest.raises(openai.NotFoundError) as unknown:
        order(sdk, reference, model="sora-9")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        sdk.videos.retrieve("video_unknown")
    with pytest.raises(openai.AuthenticationError) as stranger:
        sdk.with_options(api_key="sk-wrong").videos.list()
    assert stranger.value.code == "invalid_api_key"
    assert simulated.ledger().creates == 0


def test_models_are_listed(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["sora-2", "sora-2-pro"]
