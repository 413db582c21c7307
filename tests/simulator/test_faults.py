"""Each family of faults: what the client sees, and what was billed all the same."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import requests

from sorawatch.simulator import Fault
from sorawatch.simulator.error_bodies import SHAPES
from sorawatch.simulator.faults import KINDS
from tests.support.simulator_client import Client, Start


def billed(client: Client) -> tuple[int, int, float]:
    ledger = client.simulator.ledger()
    return ledger.creates, ledger.rejected, ledger.usd


NOTHING, ONE = (0, 1, 0.0), (1, 0, 0.4)
BILLING = [("before", NOTHING), ("after", ONE)]


@pytest.mark.parametrize(("stage", "bill"), BILLING)
def test_a_lost_answer_is_billed_only_after_acceptance(
    client: Client, stage: str, bill: tuple[int, int, float]
) -> None:
    client.simulator.inject(Fault(f"lost_{stage}"))

    with pytest.raises(requests.ConnectionError, match="reset"):
        client.post()

    assert billed(client) == bill
    assert client.post().status_code == 200


@pytest.mark.parametrize(("stage", "bill"), BILLING)
def test_a_hanging_request_is_billed_only_after_acceptance(
    client: Client, stage: str, bill: tuple[int, int, float]
) -> None:
    client.simulator.inject(Fault(f"hang_{stage}"))

    with pytest.raises(requests.ReadTimeout):
        client.post(timeout=0.5)

    client.simulator.wait_for(lambda _: billed(client) == bill)


@pytest.mark.parametrize(("stage", "bill"), BILLING)
@pytest.mark.parametrize("status", [200, 400, 500, 502])
def test_any_answer_can_stand_for_the_real_one(
    client: Client, stage: str, bill: tuple[int, int, float], status: int
) -> None:
    client.simulator.inject(Fault(f"answer_{stage}", status=status, shape="html"))

    answer = client.post()

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")
    assert billed(client) == bill


@pytest.mark.parametrize(("stage", "bill"), BILLING)
def test_a_delay_only_delays(client: Client, stage: str, bill: tuple[int, int, float]) -> None:
    client.simulator.inject(Fault(f"delay_{stage}", seconds=0.2))

    answer = client.post()

    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.2
    assert billed(client) == ONE


BODIES = {
    "openai": {"error": {"message": "Sorry", "type": "server_error", "param": None, "code": 7}},
    "error_text": {"error": "Sorry"},
    "detail_text": {"detail": "Sorry"},
    "detail_list": {"detail": [{"loc": ["body"], "msg": "Sorry", "type": "value_error"}]},
    "code_message": {"code": 7, "message": "Sorry", "data": None},
    "litellm": {"error": {"message": "Sorry", "type": "internal_server_error", "param": None, "code": "503"}},
    "vllm": {"error": {"message": "Sorry", "type": "Service Unavailable", "param": None, "code": 503}},
    "comfyui": {"error": {"type": 7, "message": "Sorry", "details": "", "extra_info": {}}, "node_errors": {}},
    "html": "<html><body><h1>503</h1><p>Sorry</p></body></html>",
    "unparsable": '{"id": "video_',
    "empty": "",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_takes_any_shape(client: Client, shape: str) -> None:
    wishes: dict[str, Any] = {"retry_after": "7", "retry_after_ms": 7000}
    client.simulator.inject(
        Fault("answer_before", on="list", status=503, shape=shape, message="Sorry", code=7, **wishes)
    )

    answer = client.get("/videos")

    expected = BODIES[shape]
    assert answer.text == expected if isinstance(expected, str) else answer.json() == expected
    assert (answer.headers["Retry-After"], answer.headers["retry-after-ms"]) == ("7", "7000")


@pytest.mark.parametrize(("stage", "bill"), BILLING)
def test_an_answer_can_be_written_out(client: Client, stage: str, bill: tuple[int, int, float]) -> None:
    written: dict[str, Any] = {"body": "<Error>Slow down</Error>", "media_type": "application/xml"}
    client.simulator.inject(
        Fault(f"answer_{stage}", status=503, headers={"Retry-After": "7", "X-Amz-Id": "1"}, **written)
    )

    answer = client.post()

    assert (answer.status_code, answer.text, answer.headers["Content-Type"]) == (503, *written.values())
    assert (answer.headers["Retry-After"], answer.headers["X-Amz-Id"]) == ("7", "1")
    assert billed(client) == bill


@pytest.mark.parametrize(
    "body",
    [{"data": {"task": {"id": "{id}"}}}, {"taskId": "{id}"}, {"result": {"id": "{id}"}}, {"data": "{id}"}],
    ids=json.dumps,
)
def test_an_id_can_be_told_in_another_place(client: Client, body: dict[str, Any]) -> None:
    client.simulator.inject(Fault("answer_after", status=200, body=json.dumps(body)))

    answer = client.post()

    (video,) = client.simulator.ledger().videos
    assert answer.json() == json.loads(json.dumps(body).replace("{id}", video.id))
    assert answer.headers["Content-Type"] == "application/json"


def test_a_word_replaces_the_status(client: Client) -> None:
    client.simulator.inject(Fault("status_word", word="SUCCEEDED", when="completed", times=None))
    video_id = client.create()

    assert client.video(video_id).json()["status"] == "queued"
    client.simulator.complete(video_id)
    assert client.video(video_id).json()["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("kind", "progress"),
    [("progress_missing", None), ("progress_text", "0%"), ("progress_stuck", 99), ("progress_back", 100)],
)
def test_progress_is_told_in_odd_ways(client: Client, kind: str, progress: str | int | None) -> None:
    video_id = client.create()
    client.simulator.inject(Fault(kind))

    told = client.video(video_id).json()

    assert told.get("progress") == progress
    assert ("progress" in told) == (kind != "progress_missing")
    assert client.video(video_id).json()["progress"] == 0


@pytest.mark.parametrize("code", ["moderation_blocked", "video_generation_failed", None])
def test_a_failed_generation_gives_its_reason_and_costs_nothing(client: Client, code: str | None) -> None:
    client.simulator.inject(Fault("generation_fails", code=code, message="No."))
    video_id = client.create()
    assert client.simulator.ledger().usd == 0.4

    client.simulator.complete(video_id)

    video = client.video(video_id).json()
    assert video["status"] == "failed"
    assert video["error"] == ({"message": "No."} if code is None else {"code": code, "message": "No."})
    assert client.content(video_id).status_code == 400
    assert client.simulator.ledger().usd == 0


@pytest.mark.parametrize("status", [404, 500])
def test_a_failed_video_may_come_with_an_error_status(client: Client, status: int) -> None:
    client.simulator.inject(Fault("generation_fails", code="x"), Fault("failed_as_error", status=status, times=None))
    video_id = client.create()
    assert client.video(video_id).status_code == 200

    client.simulator.complete(video_id)

    answer = client.video(video_id)
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (status, video_id, "failed")


def test_a_generation_can_hang(start: Start) -> None:
    client = start(generation_seconds=0)
    client.simulator.inject(Fault("generation_hangs"))
    hanging, other = client.create(prompt="1"), client.create(prompt="2")

    client.simulator.wait_for(lambda ledger: ledger.in_flight == 1)

    assert client.video(other).json()["status"] == "completed"
    assert client.video(hanging).json()["status"] in {"queued", "in_progress"}


def test_a_poll_may_name_another_id_but_always_the_same(client: Client) -> None:
    video_id = client.create()
    client.simulator.inject(Fault("other_id", times=2))

    one, two = client.video(video_id).json()["id"], client.video(video_id).json()["id"]

    assert one == two != video_id


def test_long_ids_with_slashes_work_everywhere(client: Client) -> None:
    client.simulator.inject(Fault("long_id"))
    video_id = client.finished()

    assert len(video_id) >= 130
    assert {"=", "/"} <= set(video_id)
    assert client.video(video_id).json()["id"] == video_id
    assert client.content(video_id).content[4:8] == b"ftyp"
    assert client.get("/videos", params={"after": video_id}).json()["data"] == []


@pytest.mark.parametrize("status", [404, 405, 501])
def test_the_list_can_be_off(client: Client, status: int) -> None:
    client.simulator.inject(Fault("answer_before", on="list", status=status, times=None))
    video_id = client.create()

    assert client.get("/videos").status_code == status
    assert client.video(video_id).status_code == 200


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("prompt_hidden", lambda page: [video["prompt"] for video in page["data"]] == [None]),
        ("prompt_other", lambda page: [video["prompt"] for video in page["data"]] == [""]),
        ("model_other", lambda page: [video["model"] for video in page["data"]] == [""]),
        ("list_empty", lambda page: page["data"] == [] and not page["has_more"]),
        ("list_without_has_more", lambda page: "has_more" not in page and len(page["data"]) == 1),
    ],
)
def test_the_list_leaves_things_out(client: Client, kind: str, seen: Callable[[dict[str, Any]], bool]) -> None:
    client.create()
    client.simulator.inject(Fault(kind))

    assert seen(client.get("/videos").json())
    assert not seen(client.get("/videos").json())


def listed(client: Client) -> list[str]:
    page = client.get("/videos").json()
    assert page["has_more"] is False
    return [video["prompt"] for video in page["data"]]


def test_a_list_can_lag(client: Client) -> None:
    client.create(prompt="1")
    client.simulator.inject(Fault("list_lagging", seconds=3600), Fault("list_lagging", seconds=-3600, after=1))

    assert [listed(client), listed(client)] == [[], ["1"]]


def test_a_list_can_be_of_finished_videos_only(client: Client) -> None:
    client.finished(prompt="1")
    client.create(prompt="2")
    client.simulator.inject(Fault("list_unfinished_hidden"))

    assert [listed(client), listed(client)] == [["1"], ["2", "1"]]


def test_a_list_can_hide_some_videos(client: Client) -> None:
    hidden = client.create(prompt="a dog")
    client.create(prompt="a cat")
    client.simulator.inject(Fault("list_hidden", word="dog"))

    assert [listed(client), listed(client)] == [["a cat"], ["a cat", "a dog"]]
    assert client.video(hidden).status_code == 200


def test_a_list_can_be_filtered_and_give_itself_away(client: Client) -> None:
    client.create(prompt="a cat")
    hidden = client.create(prompt="a dog")
    client.simulator.inject(Fault("list_filtered", word="dog"))

    page = client.get("/videos").json()

    assert [video["prompt"] for video in page["data"]] == ["a cat"]
    assert page["first_id"] == hidden


def test_a_list_can_be_of_another_account(client: Client) -> None:
    client.create(prompt="1")
    client.simulator.inject(Fault("list_foreign", times=None))

    assert "1" not in listed(client)
    assert {client.video(video["id"]).status_code for video in client.get("/videos").json()["data"]} == {404}


@pytest.mark.parametrize("status", [400, 404, 410, 502])
def test_a_clip_can_be_late_or_gone(client: Client, status: int) -> None:
    video_id = client.finished()
    client.simulator.inject(Fault("answer_before", on="content", status=status, times=2))

    assert [client.content(video_id).status_code for _ in range(3)] == [status, status, 200]
    assert client.simulator.ledger().downloads == 1


CORRUPT: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda clip: clip[: len(clip) // 2],
    "half_zero": lambda clip: clip[: len(clip) // 2] + bytes(len(clip) - len(clip) // 2),
    "html_as_mp4": lambda clip: b"<!doctype html><html><body>Bad gateway</body></html>",
    "json_as_mp4": lambda clip: b'{"error": {"message": "The video is not available"}}',
    "gzip": lambda clip: clip,
    "trickle": lambda clip: clip,
}


@pytest.mark.parametrize("kind", CORRUPT)
def test_a_clip_can_arrive_changed(client: Client, kind: str) -> None:
    video_id = client.finished()
    clip = client.content(video_id).content
    client.simulator.inject(Fault(kind))

    answer = client.content(video_id)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "video/mp4")
    assert answer.content == CORRUPT[kind](clip)
    # Gzip alone announces another length than what comes out of it.
    assert (int(answer.headers["Content-Length"]) == len(answer.content)) == (kind != "gzip")
    assert client.content(video_id).content == clip


def test_a_whole_clip_can_be_told_to_be_something_else(client: Client) -> None:
    video_id = client.finished()
    client.simulator.inject(Fault("mistyped", media_type="application/json"))

    told, real = client.content(video_id), client.content(video_id)

    assert (told.headers["Content-Type"], told.content) == ("application/json", real.content)


def test_a_range_of_a_changed_clip_is_changed_too(client: Client) -> None:
    video_id = client.finished()
    length = len(client.content(video_id).content)
    client.simulator.inject(Fault("half_zero"))

    answer = client.content(video_id, headers={"Range": f"bytes={length - 8}-"})

    assert (answer.status_code, answer.content) == (206, bytes(8))


def test_a_clip_can_be_cut_off(client: Client) -> None:
    video_id = client.finished()
    client.simulator.inject(Fault("cut"))

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        client.content(video_id)


def test_a_clip_can_stall_half_way(client: Client) -> None:
    video_id = client.finished()
    clip = client.content(video_id).content
    client.simulator.inject(Fault("stall"))

    with closing(http.client.HTTPConnection(client.simulator.root.removeprefix("http://"), timeout=20)) as connection:
        connection.request("GET", f"/v1/videos/{video_id}/content", headers={"Authorization": f"Bearer {client.key}"})
        answer = connection.getresponse()
        assert answer.headers["Content-Length"] == str(len(clip))
        assert answer.read(len(clip) // 2) == clip[: len(clip) // 2]
        connection.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            answer.read(1)


def test_a_range_can_be_ignored(client: Client) -> None:
    video_id = client.finished()
    client.simulator.inject(Fault("range_ignored"))

    answer = client.content(video_id, headers={"Range": "bytes=10-"})

    assert answer.status_code == 200
    assert "Accept-Ranges" not in answer.headers
    assert answer.content[4:8] == b"ftyp"


def test_a_redirect_leads_to_another_host_that_remembers_what_it_was_sent(client: Client) -> None:
    video_id = client.finished()
    clip = client.content(video_id).content
    client.simulator.inject(Fault("redirect", times=2))

    followed = client.content(video_id)
    location = client.content(video_id, allow_redirects=False).headers["Location"]

    assert followed.content == clip
    assert not location.startswith(client.simulator.root)
    assert "authorization" not in client.simulator.storage_requests()[0]
    requests.get(location, headers={"Authorization": "Bearer careless"}, timeout=5)
    assert client.simulator.storage_requests()[1]["authorization"] == "Bearer careless"


def test_faults_choose_their_requests(client: Client) -> None:
    client.simulator.inject(Fault("answer_before", status=503, prompt="dog", after=1, times=2))

    prompts = ["cat", "dog", "dog", "cat", "a dog", "dog"]

    assert [client.post(prompt=prompt).status_code for prompt in prompts] == [200, 200, 503, 200, 503, 200]


def test_a_fault_on_any_operation_hits_them_all(client: Client) -> None:
    client.simulator.inject(Fault("answer_before", on="any", status=503, times=None))
    client.simulator.inject(Fault("lost_before", on="delete"))

    assert {client.post().status_code, client.get("/videos").status_code, client.get("/models").status_code} == {503}
    client.simulator.clear_faults()
    assert client.post().status_code == 200


def test_an_after_fault_waits_for_a_success(client: Client) -> None:
    client.simulator.inject(Fault("lost_after"))

    assert client.post(prompt="").status_code == 400
    with pytest.raises(requests.ConnectionError):
        client.post()


def test_faults_are_switched_over_http(client: Client) -> None:
    url = f"{client.simulator.root}/faults"

    active = requests.post(url, json=[{"kind": "answer_before", "on": "list", "status": 503}], timeout=5).json()
    assert [fault["kind"] for fault in active["active"]] == ["answer_before"]
    assert client.get("/videos").status_code == 503

    requests.post(url, json={"kind": "answer_before", "on": "list", "times": None}, timeout=5)
    assert requests.delete(url, timeout=5).json() == {"active": []}
    assert client.get("/videos").status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"kind": "gremlin"}, "'gremlin'"),
        ({"kind": "gzip", "on": "moon"}, "'moon'"),
        ({"kind": "answer_before", "shape": "round"}, "'round'"),
        ({"kind": "gzip", "colour": "red"}, "colour"),
        ([7], "7"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_by_name(
    client: Client, body: dict[str, Any] | list[int], named: str
) -> None:
    answer = requests.post(f"{client.simulator.root}/faults", data=json.dumps(body), timeout=5)

    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"] or named == "7"
    assert client.get("/videos").status_code == 200


def test_every_kind_belongs_to_an_operation() -> None:
    assert {Fault(kind).kind for kind in KINDS} == set(KINDS)
