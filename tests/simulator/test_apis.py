"""What holds for every simulated API: an order becomes a clip, mistakes are refused as there, and all is counted."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest
import requests

from sorawatch.simulator import APIS, Fault, SimulatorSettings
from tests.support.simulated_apis import CLIENTS, StartApi

ALL = pytest.mark.parametrize("api", CLIENTS)


def test_every_api_is_tested() -> None:
    assert set(CLIENTS) == set(APIS)


@ALL
def test_an_order_becomes_a_clip_that_plays(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    video_id = client.id_of(client.post("Waves at dusk"))
    assert client.state(video_id) == "running"

    client.simulator.complete(video_id)

    assert client.state(video_id) == "done"
    answer = client.clip(video_id)
    assert answer.status_code == 200
    with av.open(io.BytesIO(answer.content), mode="r") as clip:
        assert clip.format.name.startswith("mov,mp4")
        assert len(list(clip.decode(video=0))) >= 2
    ledger = client.simulator.ledger()
    assert (ledger.creates, ledger.rejected, ledger.duplicates, ledger.downloads) == (1, 0, 0, 1)
    (video,) = ledger.videos
    assert (video.id, video.prompt, video.status) == (video_id, "Waves at dusk", "completed")


@ALL
def test_a_video_ends_by_itself(start_api: StartApi, api: str) -> None:
    client = start_api(api, generation_seconds=0.05)
    ids = [client.id_of(client.post(prompt)) for prompt in ("one", "two")]

    client.simulator.wait_for(lambda ledger: ledger.in_flight == 0)

    assert [client.state(video_id) for video_id in ids] == ["done", "done"]


def said(answer: requests.Response) -> tuple[int, str]:
    """The status of an answer, and what it says."""
    return answer.status_code, answer.text


WRONG_KEY = {
    "openai": (401, "Incorrect API key provided"),
    "litellm": (400, '"message": "No connected db.", "type": "no_db_connection"'),
    "new-api": (401, '"message": "Invalid token (request id: '),
    "vllm-omni": (200, ""),
    "sglang": (200, ""),
    "fastvideo": (200, ""),
    "lightx2v": (200, ""),
    "comfyui": (200, ""),
}


@ALL
def test_a_wrong_key_is_refused_where_there_is_one(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    client.key = "sk-another-one"

    status, text = said(client.post())

    assert status == WRONG_KEY[api][0]
    assert WRONG_KEY[api][1] in text
    assert client.simulator.ledger().creates == (1 if status == 200 else 0)
    assert client.simulator.keys() == {"Bearer sk-another-one"}


UNKNOWN_MODEL = {
    "openai": (404, "The model `no-such-model` does not exist"),
    "litellm": (400, "/videos: Invalid model name passed in model=no-such-model."),
    "new-api": (503, "No available channel for model no-such-model under group default (distributor)"),
    "vllm-omni": (400, "Model mismatch: request specifies 'no-such-model' but server is running 'Wan-AI/"),
    "sglang": (200, '"model": "no-such-model"'),
    "fastvideo": (200, '"model": "no-such-model"'),
    "lightx2v": (200, ""),
    "comfyui": (400, "unet_name: 'no-such-model' not in ['wan2.2_ti2v_5B_fp16.safetensors']"),
}


@ALL
def test_an_unknown_model_is_refused_where_the_server_looks_at_it(start_api: StartApi, api: str) -> None:
    client = start_api(api)

    status, text = said(client.post(model="no-such-model"))

    assert status == UNKNOWN_MODEL[api][0]
    assert UNKNOWN_MODEL[api][1] in text


BAD_BODY: dict[str, tuple[dict[str, Any], int, str]] = {
    "openai": ({"seconds": "5"}, 400, 'seconds must be one of \\"4\\", \\"8\\", \\"12\\"'),
    "litellm": ({"seconds": "5"}, 400, "litellm.BadRequestError: OpenAIException - {"),
    "new-api": ({"seconds": "5"}, 400, '{"code": "fail_to_fetch_task", "message": "{'),
    "vllm-omni": (
        {"size": "large"},
        400,
        "String should match pattern '^\\\\\\\\d+x\\\\\\\\d+$'",
    ),
    "sglang": ({"size": "large"}, 400, '{"detail": "size must be formatted as positive WIDTHxHEIGHT"}'),
    "fastvideo": (
        {"fps": "many"},
        422,
        '"msg": "Input should be a valid integer, unable to parse string as an integer"',
    ),
    "lightx2v": (
        {"seed": "seven"},
        422,
        '{"type": "int_parsing", "loc": ["body", "seed"], "msg": "Input should be a valid integer, unable to parse '
        'string as an integer", "input": "seven"}',
    ),
    "comfyui": ({"prompt_id": "7"}, 400, "prompt_id must be a valid UUID"),
}


@ALL
def test_a_bad_body_is_refused_in_the_words_of_the_server(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    changes, status, text = BAD_BODY[api]

    answer = client.post(**changes)

    assert answer.status_code == status, answer.text
    assert text in answer.text
    ledger = client.simulator.ledger()
    assert (ledger.creates, ledger.rejected) == (0, 1)


UNKNOWN_ID = {
    "openai": (404, "Video with id 'nowhere' not found."),
    "litellm": (500, "litellm.InternalServerError"),
    "new-api": (400, '{"code": "task_not_exist", "message": "task_not_exist", "data": null}'),
    "vllm-omni": (404, '"message": "Video not found", "type": "Not Found", "param": null, "code": 404'),
    "sglang": (404, '{"detail": "Video not found"}'),
    "fastvideo": (404, '{"detail": "Video not found"}'),
    "lightx2v": (404, '{"detail": "Task not found"}'),
    "comfyui": (200, "{}"),
}


@ALL
def test_an_unknown_video_is_not_found(start_api: StartApi, api: str) -> None:
    status, text = said(start_api(api).poll("nowhere"))

    assert status == UNKNOWN_ID[api][0]
    assert UNKNOWN_ID[api][1] in text


@ALL
def test_a_lost_answer_is_an_accepted_order(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    client.simulator.inject(Fault("lost_after"))

    with pytest.raises(requests.ConnectionError):
        client.post()

    assert client.simulator.ledger().creates == 1


@ALL
def test_an_error_has_the_form_of_the_server(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    client.simulator.inject(Fault("answer_before", status=503, message="Out of memory"))

    answer = client.post()

    assert answer.status_code == 503
    assert "Out of memory" in answer.json().get("detail", answer.json().get("message", str(answer.json())))
    assert client.simulator.ledger().creates == 0


@ALL
def test_a_failed_generation_says_why_and_costs_nothing(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    client.simulator.inject(Fault("generation_fails", message="The prompt was refused by moderation"))
    video_id = client.id_of(client.post())

    client.simulator.complete(video_id)

    assert client.state(video_id) == "failed"
    assert "The prompt was refused by moderation" in client.poll(video_id).text
    assert client.simulator.ledger().usd == 0


EXPIRED = {
    "openai": (404, "Video content has expired."),
    "litellm": (404, "Video content has expired."),
    "new-api": (502, "Upstream service returned status 404"),
    "vllm-omni": (404, "Generated video file not found on disk"),
    "sglang": (404, "Video variant None not found"),
    "fastvideo": (404, "Video still being generated"),
    "lightx2v": (404, "File not found: "),
    "comfyui": (404, ""),
}


@ALL
def test_an_expired_clip_is_missed_in_the_words_of_the_server(start_api: StartApi, api: str) -> None:
    client = start_api(api, clip_lifetime_seconds=0)
    video_id = client.id_of(client.post())
    client.simulator.complete(video_id)

    status, text = said(client.clip(video_id))

    assert status == EXPIRED[api][0]
    assert EXPIRED[api][1] in text


@ALL
def test_restarting_forgets_the_videos_but_not_their_cost(start_api: StartApi, api: str) -> None:
    client = start_api(api)
    video_id = client.id_of(client.post())
    before = client.simulator.ledger().usd

    client.simulator.restart()

    answer = client.poll(video_id)
    assert answer.status_code == (404 if api == "litellm" else UNKNOWN_ID[api][0])
    assert "object" not in answer.json()
    ledger = client.simulator.ledger()
    assert (ledger.creates, ledger.usd, ledger.in_flight) == (1, before, 0)
    assert ledger.videos[0].status == "forgotten"


@ALL
def test_a_fault_that_an_api_cannot_have_is_not_taken(start_api: StartApi, api: str) -> None:
    client = start_api(api)

    with pytest.raises(ValueError, match="never for 'whim'"):
        client.simulator.inject(Fault("refused", word="whim"))


def test_an_api_that_does_not_exist_is_named_with_those_that_do() -> None:
    with pytest.raises(ValueError, match="'sora' is none of openai, "):
        SimulatorSettings(api="sora")
