"""The books: what was ordered, how often, and what it cost."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from sorawatch.simulator import MODELS
from tests.support.simulator_client import Client, Start

PRICES = {
    ("sora-2", "720x1280"): 0.10,
    ("sora-2", "1280x720"): 0.10,
    ("sora-2-pro", "720x1280"): 0.30,
    ("sora-2-pro", "1280x720"): 0.30,
    ("sora-2-pro", "1024x1792"): 0.50,
    ("sora-2-pro", "1792x1024"): 0.50,
    ("sora-2-pro", "1080x1920"): 0.70,
    ("sora-2-pro", "1920x1080"): 0.70,
}


@pytest.mark.parametrize(("model", "size"), PRICES)
@pytest.mark.parametrize("seconds", ["4", "8", "12"])
def test_an_order_is_billed_by_model_size_and_length(
    client: Client, picture: Callable[..., bytes], model: Any, size: Any, seconds: str
) -> None:
    width, height = map(int, size.split("x"))

    client.create(model=model, size=size, seconds=seconds, picture=picture(width, height))

    ledger = client.simulator.ledger()
    assert ledger.usd == pytest.approx(PRICES[model, size] * int(seconds), abs=1e-9)
    assert ledger.videos[0].billed == ledger.usd


def test_the_models_sell_these_sizes_and_no_others() -> None:
    assert {(card.name, size) for card in MODELS for size in card.usd_per_second} == set(PRICES)


def test_sums_of_cents_are_exact(client: Client) -> None:
    for number in range(3):
        client.create(prompt=str(number))

    assert client.simulator.ledger().usd == 1.2


def test_the_same_picture_and_prompt_again_is_a_duplicate(client: Client, picture: Callable[..., bytes]) -> None:
    client.create()
    client.create()
    client.create(seconds="8")
    client.create(prompt="Another")
    client.create(picture=picture(shade=9))

    ledger = client.simulator.ledger()
    assert (ledger.creates, ledger.duplicates) == (5, 2)


def test_requests_are_counted_as_what_they_are(client: Client) -> None:
    video_id = client.finished()
    client.video(video_id)
    client.video(video_id)
    client.video("video_unknown")
    client.get("/videos")
    client.content(video_id)
    client.post(prompt="")

    ledger = client.simulator.ledger()
    assert (ledger.requests, ledger.creates, ledger.rejected) == (7, 1, 1)
    assert (ledger.polls, ledger.lists, ledger.downloads, ledger.deletes) == (3, 1, 1, 0)
    assert (ledger.videos[0].polls, ledger.videos[0].downloads) == (2, 1)


def test_what_is_in_flight_is_counted_and_its_peak_kept(client: Client) -> None:
    first, _ = client.create(prompt="1"), client.create(prompt="2")
    assert client.simulator.ledger().in_flight == 2

    client.simulator.complete(first)
    assert client.simulator.ledger().in_flight == 1

    client.simulator.finish_all()
    ledger = client.simulator.ledger()
    assert (ledger.in_flight, ledger.max_in_flight) == (0, 2)


def test_the_ledger_is_the_same_over_http(client: Client) -> None:
    client.finished()

    answer = client.http.get(f"{client.simulator.root}/ledger").json()

    assert answer == json.loads(json.dumps(dataclasses.asdict(client.simulator.ledger())))


def test_progress_never_goes_back_and_ends_at_a_hundred(start: Start) -> None:
    client = start(generation_seconds=0.3)
    video_id = client.create()
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["status"] != "completed":
        seen.append(client.video(video_id).json())

    assert [video["progress"] for video in seen] == sorted(video["progress"] for video in seen)
    assert seen[-1]["progress"] == 100
    assert {video["status"] for video in seen} <= {"queued", "in_progress", "completed"}
    assert all(video["completed_at"] is None for video in seen[:-1])
