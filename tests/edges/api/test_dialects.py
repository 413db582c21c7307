"""What the client makes of dialects that differ from the reference contract in each way that servers do."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sorawatch.config import dialect_file
from sorawatch.core.dialect import Dialect
from sorawatch.core.video_responses import Status
from sorawatch.edges.api import OrderTerms, Picture, VideoApi
from sorawatch.errors import Blocked, Deferred, ModelUnknown, Rejected, Unresolved
from tests.edges.api.test_client import CLIP, KEY, Reply, Request, Server, client, reply

PICTURE = Picture(b"\xff\xd8picture", "a.jpg", "image/jpeg")
TAG = "12345678-1234-1234-1234-123456789abc"
TERMS = OrderTerms("m", "waves", "1280x720", "5", TAG)

KLING = """
name: kling
about: errors with HTTP 200, states by words, the tag in the list
server: {url: "http://127.0.0.1:1"}
create:
  url: /videos
  json: {model_name: <model>, image: <image.base64>, prompt: <prompt>, duration: <seconds_text>, external_task_id: <tag>}
  id: /data/task_id
poll:
  url: /videos/<id>
  done: {/data/task_status: succeed}
  failed: {/data/task_status: failed}
  refused: {/data/moderated: true}
  gone: {/data/task_status: unknown}
  percent: /data/progress
  text: /data/task_status_msg
clip: {url: <answer/data/task_result/videos/0/url>}
errors:
  ok: {/code: 0}
  code: /code
  text: /message
  credit: [1101, 1102]
  busy: [1303]
  moderation: [risk control]
  model: [1203]
  exists: [duplicated]
  unknown: [try to query]
resolve:
  - {url: /videos, query: {external_task_id: <tag>}, items: /data, id: /task_id, match: {tag: /external_id}}
check: {url: /account}
"""

FAL = """
name: fal
about: addresses from answers, one more GET before the clip
server: {url: "http://127.0.0.1:1", key: {header: Authorization, prefix: "Key "}, headers: {X-Version: 2024-11-06}, query: {v: preview}}
create:
  url: /<model.raw>
  json: {prompt: <prompt>, image_url: <image.data_uri>, duration: <seconds>s, aspect_ratio: <aspect>, resolution: <resolution>, seed: <seed>}
  id: /request_id
poll:
  url: [<answer/status_url>, /<app.raw>/requests/<id>/status]
  done: {/status: COMPLETED}
  failed: {/error: present}
clip:
  result: /<app.raw>/requests/<id>
  url: <answer/video/url>
resolve:
  - url: /requests
    query: {endpoint_id: <model>}
    items: /items
    id: /request_id
    match: {prompt: /input/prompt, created: /started_at}
    pages: {next: /next}
models:
  fal-ai/kling/pro: {sizes: [1280x720], seconds: [5], values: {app: fal-ai/kling}, json: {resolution: null}}
"""


def dialect(folder: Path, text: str) -> Dialect:
    (folder / "mine.yaml").write_text(text)
    return dialect_file.from_file(folder / "mine.yaml")


Speaking = Callable[..., Any]


@pytest.fixture
def speaking(tmp_path: Path) -> Speaking:
    @contextmanager
    def opened(text: str, *script: Reply) -> Iterator[tuple[Server, VideoApi]]:
        with Server(*script) as server:
            api = client(server, dialect=dialect(tmp_path, text))
            try:
                yield server, api
            finally:
                api.close()

    return opened


def body(request: Request) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(request.body)
    return document


def test_the_body_is_json_with_the_types_of_the_template(speaking: Speaking) -> None:
    with speaking(KLING, reply(200, {"code": 0, "data": {"task_id": "k1"}})) as (server, api):
        assert api.submit(TERMS, PICTURE).id == "k1"
    (request,) = server.requests
    assert request.headers["Content-Type"] == "application/json"
    assert body(request) == {
        "model_name": "m",
        "prompt": "waves",
        "duration": "5",
        "external_task_id": TAG,
        "image": base64.b64encode(PICTURE.data).decode(),
    }


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (reply(429, {"code": 1102, "message": "pack used up"}), Blocked, "no credit left"),
        (reply(200, {"code": 1101, "message": "arrears"}), Blocked, "no credit left"),
        (reply(429, {"code": 1303, "message": "parallel task over resource pack limit"}), Deferred, "wants us to wait"),
        (reply(400, {"code": 1301, "message": "failed by risk control"}), Rejected, "moderation"),
        (reply(404, {"code": 1203, "message": "no"}), ModelUnknown, "does not offer the model"),
        (reply(400, {"code": 1201, "message": "bad ratio"}), Rejected, "bad ratio"),
        (reply(400, {"code": 9, "message": "duplicated task"}), Unresolved, "may have been accepted"),
        (reply(400, {"code": 9, "message": "try to query it"}), Unresolved, "may have been accepted"),
        (reply(200, {"code": 77, "message": "something else"}), Unresolved, "may have been accepted"),
        (reply(200, {"code": 0, "data": {}}), Unresolved, "may have been accepted"),
        (reply(500, {"code": 1101, "message": "arrears"}), Unresolved, "may have been accepted"),
    ],
)
def test_what_a_refusal_means(speaking: Speaking, answer: Reply, error: type[Exception], told: str) -> None:
    with speaking(KLING, answer) as (server, api), pytest.raises(error, match=told):
        api.submit(TERMS, PICTURE)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "status", "progress"),
    [
        ({"task_status": "processing", "progress": 40}, Status.RUNNING, 40),
        ({"task_status": "Succeed"}, Status.COMPLETED, None),
        ({"task_status": "failed", "task_status_msg": "no capacity"}, Status.FAILED, None),
        ({"task_status": "succeed", "moderated": True}, Status.FAILED, None),
    ],
)
def test_states(speaking: Speaking, answer: Any, status: Status, progress: int | None) -> None:
    with speaking(KLING, reply(200, {"code": 0, "data": answer})) as (_, api):
        video = api.retrieve("k1")
    assert (video.status, video.progress) == (status, progress)
    if video.failure:
        assert video.failure.moderated is ("moderated" in answer)


def test_a_job_that_the_server_does_not_know(speaking: Speaking) -> None:
    with (
        speaking(KLING, reply(200, {"code": 0, "data": {"task_status": "UNKNOWN"}})) as (_, api),
        pytest.raises(Rejected),
    ):
        api.retrieve("k1")


def test_202_without_a_body_is_running_to_a_poll_and_lost_to_an_order(speaking: Speaking) -> None:
    with speaking(KLING, reply(202, b"")) as (_, api):
        assert api.retrieve("k1").status is Status.RUNNING
        with pytest.raises(Unresolved):
            api.submit(TERMS, PICTURE)


def test_the_look_up_by_tag(speaking: Speaking) -> None:
    listed = {"code": 0, "data": [{"task_id": "k0", "external_id": "other"}, {"task_id": "k1", "external_id": TAG}]}
    with speaking(KLING, reply(200, listed), reply(200, {"code": 0, "data": []})) as (server, api):
        assert api.find_tagged(TAG) == ("k1",)
        assert api.find_tagged(TAG) == ()
    assert server.requests[0].target == f"/v1/videos?external_task_id={TAG}"


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_look_up_that_fails_proves_nothing(speaking: Speaking, status: int) -> None:
    answer = reply(status, {"code": 1, "message": "later"})
    with speaking(KLING, answer) as (_, api), pytest.raises((Deferred, Blocked)):
        api.find_tagged(TAG)


def test_the_key_goes_to_no_other_host(speaking: Speaking) -> None:
    with Server(reply(200, CLIP, Content_Type="video/mp4")) as storage:
        link = f"http://localhost:{storage.url.rpartition(':')[2]}/clip.mp4?signature=1"
        answer = {"code": 0, "data": {"task_status": "succeed", "task_result": {"videos": [{"url": link}]}}}
        with speaking(KLING, reply(200, answer)) as (server, api):
            clip = io.BytesIO()
            assert api.download("k1", clip) == len(CLIP)
    assert [request.headers.get("Authorization") for request in server.requests] == [f"Bearer {KEY}"]
    assert [request.headers.get("Authorization") for request in storage.requests] == [None]
    assert KEY not in str([[*request.headers.items()] for request in storage.requests])


def test_a_clip_without_an_address_is_asked_for_later(speaking: Speaking) -> None:
    with (
        speaking(KLING, reply(200, {"code": 0, "data": {}})) as (_, api),
        pytest.raises(Deferred, match="does not say"),
    ):
        api.download("k1", io.BytesIO())


def test_addresses_from_answers_and_a_second_get(speaking: Speaking) -> None:
    script = (
        reply(200, {"request_id": "f1", "status_url": "/queue/f1?x=1"}),
        reply(200, {"status": "IN_PROGRESS"}),
        reply(200, {"status": "COMPLETED"}),
        reply(200, {"video": {"url": "/files/f1.mp4"}}),
        reply(200, CLIP, Content_Type="video/mp4"),
    )
    model = "fal-ai/kling/pro"
    with speaking(FAL, *script) as (server, api):
        terms = OrderTerms(model, "waves", "1280x720", "5", TAG, fields={"seed": 7, "resolution": "480p"})
        video = api.submit(terms, PICTURE)
        assert api.retrieve(video.id, model).status is Status.RUNNING
        assert api.download(video.id, io.BytesIO(), model=model) == len(CLIP)
    assert [request.target for request in server.requests] == [
        "/v1/fal-ai/kling/pro?v=preview",
        "/queue/f1?x=1",
        "/queue/f1?x=1",
        "/v1/fal-ai/kling/requests/f1?v=preview",
        "/files/f1.mp4",
    ]
    assert body(server.requests[0]) == {
        "prompt": "waves",
        "image_url": f"data:image/jpeg;base64,{base64.b64encode(PICTURE.data).decode()}",
        "duration": "5s",
        "aspect_ratio": "16:9",
        "seed": 7,
        "resolution": "480p",
    }
    assert {request.headers["Authorization"] for request in server.requests} == {f"Key {KEY}"}
    assert server.requests[0].headers["X-Version"] == "2024-11-06"


def test_after_a_restart_a_job_is_polled_by_its_id(speaking: Speaking) -> None:
    with speaking(FAL, reply(500, {"error": "busy"}), reply(200, {"error": "no", "status": "COMPLETED"})) as (
        server,
        api,
    ):
        with pytest.raises(Deferred):  # presence in an HTTP error proves nothing
            api.retrieve("f1", "fal-ai/kling/pro")
        assert api.retrieve("f1", "fal-ai/kling/pro").status is Status.FAILED
    assert server.requests[0].target == "/v1/fal-ai/kling/requests/f1/status?v=preview"


def test_a_list_that_goes_on_at_an_address(speaking: Speaking) -> None:
    entry = {"request_id": "f1", "input": {"prompt": "waves"}, "started_at": "2026-11-29T02:00:00Z"}
    script = (reply(200, {"items": [entry], "next": "/more?c=2"}), reply(200, {"items": [], "next": None}))
    with speaking(FAL, *script) as (server, api):
        page = api.page(model="m")
        assert [(video.id, video.prompt) for video in page.videos] == [("f1", "waves")]
        assert page.videos[0].created_at == 1795917600
        assert api.page(after=page.next, model="m").has_more is False
    assert [request.target for request in server.requests] == ["/v1/requests?endpoint_id=m&v=preview", "/more?c=2"]


@pytest.mark.parametrize("name", ["duration", "prompt", "seconds_text"])
def test_fields_may_not_replace_what_the_order_sets(speaking: Speaking, name: str) -> None:
    with speaking(KLING, reply(200, {})) as (server, api), pytest.raises(Rejected, match=f'fields has "{name}"'):
        api.submit(OrderTerms("m", "waves", "1280x720", "5", TAG, fields={name: "10"}), PICTURE)
    assert server.requests == []


def test_fields_are_a_merge_patch_of_the_body(speaking: Speaking) -> None:
    with speaking(FAL, reply(200, {"request_id": "f1"})) as (server, api):
        fields = {"seed": None, "negative_prompt": "blur", "camera": {"zoom": 1.5}, "tags": ["a"]}
        api.submit(OrderTerms("m", "waves", "1280x720", "5", TAG, fields=fields), PICTURE)
    sent = body(server.requests[0])
    assert "seed" not in sent
    assert (sent["negative_prompt"], sent["camera"], sent["tags"]) == ("blur", {"zoom": 1.5}, ["a"])


UPLOADING = """
name: pixverse
about: the picture first
server: {url: "http://127.0.0.1:1", key: {header: API-KEY}}
upload: {url: /image, multipart: {image: <image.file>}, id: /Resp/img_id}
create: {url: /generate, json: {img_id: <upload>, prompt: <prompt>}, id: /Resp/video_id, fields: /settings}
poll: {url: /result/<id>, done: {/Resp/status: 1}, failed: {/Resp/status: [7, 8]}}
clip: {url: <answer/Resp/url>}
errors: {ok: {/ErrCode: 0}}
"""


def test_the_picture_is_uploaded_first(speaking: Speaking) -> None:
    script = (reply(200, {"ErrCode": 0, "Resp": {"img_id": 9}}), reply(200, {"ErrCode": 0, "Resp": {"video_id": 31}}))
    with speaking(UPLOADING, *script) as (server, api):
        terms = OrderTerms("m", "waves", "1280x720", "5", fields={"motion": "fast"})
        assert api.submit(terms, PICTURE).id == "31"
    upload, create = server.requests
    assert upload.form[0][1] == "a.jpg"
    assert body(create) == {"img_id": "9", "prompt": "waves", "settings": {"motion": "fast"}}
    assert create.headers["API-KEY"] == KEY


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(500, b"oops"), Deferred),
        (reply(200, {"ErrCode": 0, "Resp": {}}), Deferred),
        (Reply(b"", "reset"), Deferred),
        (reply(401, {"error": {"message": "invalid api key"}}), Blocked),
        (reply(413, {"error": {"message": "too large"}}), Rejected),
    ],
)
def test_an_upload_that_fails_orders_nothing(speaking: Speaking, answer: Reply, error: type[Exception]) -> None:
    with speaking(UPLOADING, answer) as (server, api), pytest.raises(error):
        api.submit(TERMS, PICTURE)
    assert {request.target for request in server.requests} == {"/v1/image"}


def test_literal_addresses_lose_the_key_where_the_server_is_another(tmp_path: Path) -> None:
    with Server(reply(200, {"items": []})) as lists, Server(reply(200, {})) as server:
        text = FAL.replace("url: /requests\n", f"url: {lists.url}/requests\n")
        for base, expected in (("", f"Key {KEY}"), (f"{server.url}/v1", None)):
            described = dialect(tmp_path, text.replace("http://127.0.0.1:1", f"{server.url}/own"))
            api = VideoApi(described, base, lambda: KEY, timeout_seconds=5, user_agent="x")
            api.page(model="m")
            api.close()
            assert lists.requests[-1].headers.get("Authorization") == expected


def test_a_failed_job_is_found_by_its_tag_although_it_shows_an_error(tmp_path: Path) -> None:
    failed = {"task_id": TAG, "status": "failed", "error": "CUDA out of memory"}
    with Server(reply(200, failed)) as server:
        api = client(server, dialect=dialect_file.shipped("lightx2v"))
        assert api.find_tagged(TAG) == (TAG,)
        video = api.retrieve(TAG)
        api.close()
    assert video.failure is not None
    assert video.failure.message == "CUDA out of memory"


def test_an_id_is_kept_although_an_error_stands_beside_it(tmp_path: Path) -> None:
    answer = {"task_id": TAG, "task_status": "pending", "error": "the prompt was shortened"}
    with Server(reply(200, answer)) as server:
        api = client(server, dialect=dialect_file.shipped("lightx2v"))
        assert api.submit(TERMS, PICTURE).id == TAG
        api.close()


CONFIRMING = """
name: dashscope
about: the list shows no prompt, the finished job does
server: {url: "http://127.0.0.1:1"}
create: {url: /jobs, json: {prompt: <prompt>, image: <image.data_uri>}, id: /output/task_id}
poll: {url: /tasks/<id>, done: {/output/task_status: SUCCEEDED}, failed: {/output/task_status: FAILED}}
clip: {url: <answer/output/video_url>}
resolve:
  - url: /tasks
    query: {page_size: <limit>}
    items: /data
    id: /task_id
    match: {model: /model_name, created: /gmt_create}
    confirm: /output/orig_prompt
    pages: {number: page_no}
"""


def test_a_prompt_that_only_the_job_itself_shows_and_numbered_pages(speaking: Speaking) -> None:
    script = (
        reply(200, {"data": [{"task_id": "d1", "model_name": "wan", "gmt_create": 1795917600000}]}),
        reply(200, {"data": []}),
        reply(200, {"output": {"task_status": "SUCCEEDED", "orig_prompt": "waves"}}),
        reply(200, {"output": {"task_status": "FAILED"}}),
    )
    with speaking(CONFIRMING, *script) as (server, api):
        page = api.page(limit=20)
        assert [(video.id, video.prompt, video.created_at) for video in page.videos] == [("d1", None, 1795917600)]
        assert (page.next, api.page(after=page.next, limit=20).next) == ("2", None)
        assert (api.prompt_of("d1"), api.prompt_of("d2")) == ("waves", None)
    assert [request.target for request in server.requests[:2]] == [
        "/v1/tasks?page_size=20",
        "/v1/tasks?page_size=20&page_no=2",
    ]
