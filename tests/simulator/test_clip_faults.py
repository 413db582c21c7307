"""Clips in other forms and other places: what the client sees of each fault."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import av
import pytest
import requests

from sorawatch.simulator import Fault
from tests.support.simulator_client import Client


def test_a_clip_can_have_any_type_or_none(client: Client) -> None:
    video_id = client.finished()
    clip = client.content(video_id).content
    client.simulator.inject(Fault("content_type", word="application/json"), Fault("content_type", after=1))

    typed, untyped = client.content(video_id), client.content(video_id)

    assert typed.headers["Content-Type"] == "application/json"
    assert "Content-Type" not in untyped.headers
    assert clip == typed.content == untyped.content


@pytest.mark.parametrize(("word", "padding"), [("", bytes(4096)), ("\n", b"\n")])
def test_a_clip_can_be_padded(client: Client, word: str, padding: bytes) -> None:
    video_id = client.finished()
    clip = client.content(video_id).content
    client.simulator.inject(Fault("padded", word=word))

    assert client.content(video_id).content == clip + padding


def test_a_clip_can_have_its_index_twice(client: Client) -> None:
    video_id = client.finished()
    clip = client.content(video_id).content
    client.simulator.inject(Fault("indexed_twice"))

    twice = client.content(video_id).content

    assert twice.startswith(clip)
    assert twice.count(b"moov") == 2
    with av.open(io.BytesIO(twice), "r") as played:
        assert len(list(played.decode(video=0))) == 4


@pytest.mark.parametrize("container", ["webm", "matroska", "avi", "gif", "mpegts", "mpeg", "flv", "mov"])
def test_a_clip_can_be_of_another_kind(client: Client, container: str) -> None:
    video_id = client.finished()
    client.simulator.inject(Fault("container", word=container, times=2))

    clip = client.content(video_id).content
    part = client.content(video_id, headers={"Range": "bytes=100-"})

    assert (part.status_code, part.content) == (206, clip[100:])
    with av.open(io.BytesIO(clip), "r") as played:
        assert container in played.format.name
        assert len(list(played.decode(video=0))) == 8


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("url", lambda job: job["url"]),
        ("metadata.url", lambda job: job["metadata"]["url"]),
        ("data.videos[].url", lambda job: job["data"]["videos"][0]["url"]),
        ("output[]", lambda job: job["output"][0]),
    ],
)
def test_a_job_can_have_a_link_once_it_is_done(
    client: Client, where: str, found: Callable[[dict[str, Any]], str]
) -> None:
    client.simulator.inject(Fault("link", word=where, times=None))
    video_id = client.create()
    assert client.video(video_id).json().keys() & {"url", "metadata", "data", "output"} == set()

    client.simulator.complete(video_id)

    job = client.video(video_id).json()
    assert (job["id"], job["status"]) == (video_id, "completed")
    clip = requests.get(found(job), timeout=5)
    assert clip.content == client.content(video_id).content
    assert len(client.simulator.storage_requests()) == 1


def test_the_content_can_be_nothing_but_a_link(client: Client) -> None:
    video_id = client.finished()
    client.simulator.inject(Fault("link", on="content"), Fault("link", on="content", location="{path}?x=1", after=1))

    full, relative = client.content(video_id).json(), client.content(video_id).json()

    assert requests.get(full["url"], timeout=5).content[4:8] == b"ftyp"
    assert requests.get(client.simulator.root + relative["url"], timeout=5).content[4:8] == b"ftyp"


def test_the_storage_host_has_faults_of_its_own(client: Client) -> None:
    video_id = client.finished()
    client.simulator.inject(
        Fault("link"), Fault("answer_before", on="storage", status=403), Fault("truncated", on="storage")
    )
    link = client.video(video_id).json()["url"]

    answers = [requests.get(link, timeout=5) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [403, 200, 200]
    assert len(answers[1].content) < len(answers[2].content)
