"""The clip over HTTP: readiness, ranges, expiry."""

from __future__ import annotations

import pytest

from tests.support.simulator_client import Client, Start


def test_a_clip_is_not_there_before_its_time(client: Client) -> None:
    video_id = client.create()

    assert client.content(video_id).status_code == 404

    client.simulator.complete(video_id)
    answer = client.content(video_id)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "video/mp4")
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert client.simulator.ledger().videos[0].downloads == 1


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-99", slice(0, 100)),
        ("bytes=100-", slice(100, None)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=5-999999999", slice(5, None)),
    ],
)
def test_a_range_is_that_part_of_the_clip(client: Client, wanted: str, part: slice) -> None:
    video_id = client.finished()
    whole = client.content(video_id)

    answer = client.content(video_id, headers={"Range": wanted, "If-Range": whole.headers["ETag"]})

    start, stop, _ = part.indices(len(whole.content))
    assert answer.status_code == 206
    assert answer.content == whole.content[part]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole.content)}"


@pytest.mark.parametrize("headers", [{"If-Range": '"another"'}, {"Range": "bytes=0-1,4-5"}, {"Range": "lines=1-2"}])
def test_what_cannot_be_honoured_gives_the_whole_clip(client: Client, headers: dict[str, str]) -> None:
    video_id = client.finished()

    answer = client.content(video_id, headers={"Range": "bytes=1-2", **headers})

    assert answer.status_code == 200
    assert answer.content[4:8] == b"ftyp"


def test_a_range_beyond_the_end_is_refused_with_the_length(client: Client) -> None:
    video_id = client.finished()
    length = len(client.content(video_id).content)

    answer = client.content(video_id, headers={"Range": f"bytes={length}-"})

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{length}")


def test_an_expired_clip_is_gone_while_its_video_stays_paid(start: Start) -> None:
    client = start(clip_lifetime_seconds=0)
    video_id = client.finished()

    answer = client.content(video_id)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "video_expired")
    assert client.video(video_id).json()["status"] == "completed"
    assert client.simulator.ledger().usd == 0.4


def test_only_the_video_itself_is_to_be_had(client: Client) -> None:
    assert client.content(client.finished(), params={"variant": "thumbnail"}).status_code == 400
