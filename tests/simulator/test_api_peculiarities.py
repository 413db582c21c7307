"""What only one of the simulated APIs does."""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import Any, cast

import pytest

from sorawatch.simulator import Fault
from tests.support.simulated_apis import PICTURE, ComfyUiClient, StartApi, graph
from tests.support.simulator_client import draw

SHA = hashlib.sha256(PICTURE).hexdigest()
URI = "data:image/jpeg;base64," + base64.b64encode(PICTURE).decode()


def comfy(start_api: StartApi, **settings: Any) -> ComfyUiClient:
    return cast(ComfyUiClient, start_api("comfyui", **settings))


def test_comfyui_queues_a_repeated_prompt_id_again(start_api: StartApi) -> None:
    client = comfy(start_api)
    prompt_id = str(uuid.uuid4())

    answers = [client.post(prompt_id=prompt_id) for _ in range(2)]

    assert [client.id_of(answer) for answer in answers] == [prompt_id, prompt_id]
    assert client.simulator.ledger().duplicates == 1
    queue = client.send("GET", "/queue").json()
    assert [[row[1] for row in queue[key]] for key in ("queue_running", "queue_pending")] == [[prompt_id], [prompt_id]]


@pytest.mark.parametrize(
    "prompt_id", ["5016DD25-6D53-42D5-BD6B-1BB0CFDBEEC6", "5016dd256d5342d5bd6b1bb0cfdbeec6", "", 7]
)
def test_comfyui_takes_only_a_canonical_uuid(start_api: StartApi, prompt_id: object) -> None:
    answer = comfy(start_api).post(prompt_id=prompt_id)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_prompt_id")


def test_comfyui_says_nothing_of_a_prompt_that_runs(start_api: StartApi) -> None:
    client = comfy(start_api)
    video_id = client.id_of(client.post())

    assert client.poll(video_id).json() == {} == client.poll("unknown").json()
    assert client.send("GET", "/queue").json()["queue_running"][0][1] == video_id

    client.simulator.complete(video_id)
    entry = client.poll(video_id).json()[video_id]
    assert entry["status"]["status_str"] == "success"
    file = entry["outputs"]["58"]["images"][0]
    assert (file["subfolder"], file["type"]) == ("video", "output")
    assert client.send("GET", "/api/view", params=file).content[4:8] == b"ftyp"
    assert client.send("GET", "/view", params={**file, "filename": "other.mp4"}).status_code == 404


def test_comfyui_names_the_nodes_that_are_wrong(start_api: StartApi) -> None:
    client = comfy(start_api)
    nodes = graph("Waves", "missing.jpg")
    del nodes["57"]["inputs"]["fps"]

    answer = client.send("POST", "/prompt", json={"prompt": nodes})

    assert answer.status_code == 400
    document = answer.json()
    assert document["error"]["type"] == "prompt_outputs_failed_validation"
    assert document["node_errors"]["56"]["errors"][0]["details"] == "image - Invalid image file: missing.jpg"
    assert document["node_errors"]["57"]["errors"][0]["type"] == "required_input_missing"
    assert document["node_errors"]["57"]["dependent_outputs"] == ["58"]


def test_comfyui_keeps_pictures_apart_that_have_one_name(start_api: StartApi) -> None:
    client = comfy(start_api)

    names = [client.upload(draw(32, 32, shade=shade)).json()["name"] for shade in (0, 0, 1)]
    replaced = client.upload(draw(32, 32, shade=2), overwrite="true").json()["name"]

    assert (names, replaced) == (["a.jpg", "a.jpg", "a (1).jpg"], "a.jpg")


def test_lightx2v_refuses_a_task_id_that_it_has(start_api: StartApi) -> None:
    client = start_api("lightx2v")
    assert client.id_of(client.post(task_id="mine")) == "mine"

    answer = client.post(task_id="mine")

    assert (answer.status_code, answer.json()) == (503, {"detail": "Task ID mine already exists"})
    assert client.simulator.ledger().creates == 1
    assert client.simulator.ledger().videos[0].reference_sha256 == SHA


def test_lightx2v_takes_a_create_only_with_the_last_slash(start_api: StartApi) -> None:
    client = start_api("lightx2v")

    answer = client.send("POST", "/tasks/video", json={"prompt": "x"}, allow_redirects=False)

    # Without the slash the path is that of the task "video", which can only be deleted.
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert client.simulator.ledger().creates == 0


def test_lightx2v_takes_ten_tasks_and_renders_one(start_api: StartApi) -> None:
    client = start_api("lightx2v")
    ids = [client.id_of(client.post(str(number))) for number in range(10)]

    refused = client.post("one too many")

    assert (refused.status_code, refused.json()) == (503, {"detail": "Task queue is full (max 10 tasks)"})
    tasks = client.send("GET", "/tasks/").json()
    assert [tasks[task]["status"] for task in ids[1:]] == ["pending"] * 9
    stopped = client.send("DELETE", f"/tasks/{ids[9]}").json()
    assert stopped["stop_status"] == "success"
    assert client.state(ids[9]) == "running"
    assert client.poll(ids[9]).json()["status"] == "cancelled"
    client.id_of(client.post("now there is room"))


def test_lightx2v_sends_the_whole_clip_for_any_range(start_api: StartApi) -> None:
    client = start_api("lightx2v")
    video_id = client.id_of(client.post())
    assert client.clip(video_id).json() == {"detail": "Task not completed"}
    client.simulator.complete(video_id)

    answer = client.clip(video_id, headers={"Range": "bytes=100-"})

    assert (answer.status_code, answer.headers["Accept-Ranges"]) == (200, "bytes")
    assert answer.content[4:8] == b"ftyp"


def test_lightx2v_reads_any_other_text_as_a_path_and_fails_later(start_api: StartApi) -> None:
    client = start_api("lightx2v", generation_seconds=0)
    video_id = client.id_of(client.post(image_path="/home/me/beach.jpg", model="wan"))

    client.simulator.wait_for(lambda ledger: ledger.in_flight == 0)

    assert client.poll(video_id).json()["error"] == "[Errno 2] No such file or directory: '/home/me/beach.jpg'"
    assert client.simulator.submits()[0].ignored == {"model"}


def test_fastvideo_says_queued_until_the_end_and_renders_all_at_once(start_api: StartApi) -> None:
    client = start_api("fastvideo", generation_seconds=1000)
    ids = [client.id_of(client.post(str(number))) for number in range(3)]
    while {video.status for video in client.simulator.ledger().videos} != {"in_progress"}:
        pass

    polls = [client.poll(video_id).json() for video_id in ids]

    assert {(poll["status"], poll["progress"]) for poll in polls} == {("queued", 0)}
    page = client.send("GET", "/videos").json()
    assert set(page) == {"data", "object"}
    assert "prompt" not in page["data"][0]
    assert client.clip(ids[0]).json() == {"detail": "Video still being generated"}


@pytest.mark.parametrize("api", ["fastvideo", "sglang"])
def test_a_picture_may_be_a_data_uri_in_json(start_api: StartApi, api: str) -> None:
    client = start_api(api)

    answer = client.send("POST", "/videos", json={"prompt": "Waves", "reference_url": URI, "seconds": 1, "fps": 16})

    client.id_of(answer)
    assert client.simulator.ledger().videos[0].reference_sha256 == SHA


@pytest.mark.parametrize("api", ["fastvideo", "sglang"])
def test_a_json_body_without_a_prompt_is_a_bad_request(start_api: StartApi, api: str) -> None:
    answer = start_api(api).send("POST", "/videos", json={"seconds": "many"})

    assert answer.status_code == 400
    detail = answer.json()["detail"]
    assert detail.startswith("Invalid request body: 2 validation errors for VideoGenerationsRequest\n")
    assert "prompt\n  Field required [type=missing" in detail


def test_sglang_lists_pages_without_prompts(start_api: StartApi) -> None:
    client = start_api("sglang")
    ids = [client.id_of(client.post(str(number))) for number in range(3)]

    page = client.send("GET", "/videos?limit=2").json()

    assert ([video["id"] for video in page["data"]], page["has_more"]) == (ids[:0:-1], True)
    assert "prompt" not in page["data"][0]
    assert client.send("GET", "/videos?limit=0").status_code == 422


def test_vllm_omni_answers_with_an_error_about_a_failed_video(start_api: StartApi) -> None:
    client = start_api("vllm-omni")
    client.simulator.inject(Fault("generation_fails", message="CUDA out of memory"))
    video_id = client.id_of(client.post())
    client.simulator.complete(video_id)

    answer = client.poll(video_id)

    assert answer.status_code == 500
    assert (answer.json()["status"], answer.json()["id"]) == ("failed", video_id)
    assert answer.json()["error"] == {"code": 500, "message": "CUDA out of memory"}
    assert client.clip(video_id).status_code == 422


def test_vllm_omni_lists_prompts_and_ignores_what_it_does_not_know(start_api: StartApi) -> None:
    client = start_api("vllm-omni")
    client.id_of(client.post("Waves", quality2="high"))

    page = client.send("GET", "/videos").json()

    assert [video["prompt"] for video in page["data"]] == ["Waves"]
    assert client.simulator.submits()[0].ignored == {"quality2"}


def test_vllm_omni_asks_for_a_key_that_it_was_given(start_api: StartApi) -> None:
    client = start_api("vllm-omni", key="sk-mine")

    answer = client.post()

    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize(
    ("model", "field", "text"),
    [
        ("kling-v2-6", "image", URI.partition(",")[2]),
        ("doubao-seedance-1-0-pro-250528", "images", URI),
        ("wan2.5-i2v-preview", "input_reference", URI),
    ],
)
def test_new_api_drops_a_file_that_its_channel_does_not_read(
    start_api: StartApi, model: str, field: str, text: str
) -> None:
    client = start_api("new-api")
    size = None if model.startswith("wan") else "1280x720"

    client.id_of(client.post("as a file", model=model, seconds="5", size=size))
    fields = {"model": model, "prompt": "as text", "seconds": "5", field: text}
    client.id_of(client.send("POST", "/videos", files=[(name, (None, value)) for name, value in fields.items()]))

    as_file, as_text = client.simulator.ledger().videos
    assert (as_file.reference_sha256, as_text.reference_sha256) == ("", SHA)
    assert as_file.billed == as_text.billed > 0


def test_new_api_has_no_list_and_its_own_refusals(start_api: StartApi) -> None:
    client = start_api("new-api")
    client.simulator.inject(Fault("refused", word="credit"))

    refused = client.post()

    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_user_quota")
    assert client.send("GET", "/videos").status_code == 404
    with pytest.raises(ValueError, match="what new-api does not have"):
        client.simulator.inject(Fault("list_empty"))


def test_litellm_has_long_ids_and_lists_nothing(start_api: StartApi) -> None:
    client = start_api("litellm")
    video_id = client.id_of(client.post())

    assert len(video_id) > 200
    assert "prompt" not in client.poll(video_id).json()
    assert "LLM Provider NOT provided" in client.send("GET", "/videos").text


def test_litellm_repeats_a_refusal_without_its_retry_after(start_api: StartApi) -> None:
    client = start_api("litellm")
    client.simulator.inject(Fault("refused", word="capacity"))

    answer = client.post()

    assert answer.status_code == 503
    assert "Retry-After" not in answer.headers
    assert "litellm.ServiceUnavailableError" in answer.json()["error"]["message"]
