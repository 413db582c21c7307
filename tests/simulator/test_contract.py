"""Every refusal, in the words of the real API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.support.simulator_client import Client, Start

SCHEMA = {
    "id",
    "object",
    "model",
    "status",
    "progress",
    "created_at",
    "completed_at",
    "expires_at",
    "prompt",
    "size",
    "seconds",
    "quality",
    "remixed_from_video_id",
    "error",
}
"""The required keys of ``VideoResource`` in the OpenAPI schema, and the reference's ``quality``."""


def refusal(answer: requests.Response) -> tuple[int, str, object]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    return answer.status_code, error["message"], error["code"]


REFUSED: dict[str, tuple[dict[str, Any], Any]] = {
    "other pixels": (
        {"size": "720x1280"},
        (400, "Inpaint image must match the requested width and height", None),
    ),
    "not a picture": ({"picture": b"GIF89a"}, (400, "Invalid file format", None)),
    "another type": ({"media_type": "image/gif"}, (400, "Invalid file format", None)),
    "text instead of a picture": (
        {"picture": None, "input_reference": "x"},
        (400, "Missing required parameter: input_reference", "missing_required_parameter"),
    ),
    "picture under another name": (
        {"picture": None, "image": "x"},
        (400, "Unknown parameter: 'image'.", "unknown_parameter"),
    ),
    "seconds": ({"seconds": "5"}, (400, 'seconds must be one of "4", "8", "12"', "invalid_value")),
    "unknown model": (
        {"model": "sora-3"},
        (404, "The model `sora-3` does not exist or you do not have access to it.", "model_not_found"),
    ),
    "size of the dearer model": (
        {"size": "1920x1080"},
        (400, "Invalid value: '1920x1080'. Supported values are: '720x1280', and '1280x720'.", "invalid_value"),
    ),
    "no prompt": ({"prompt": None}, (400, "Missing required parameter: prompt", "missing_required_parameter")),
    "empty prompt": (
        {"prompt": ""},
        (
            400,
            "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            "empty_string",
        ),
    ),
    "long prompt": (
        {"prompt": "x" * 32_001},
        (
            400,
            "Invalid 'prompt': string too long. Expected a string with maximum length 32000, "
            "but got a string with length 32001 instead.",
            "string_above_max_length",
        ),
    ),
    "unknown field": ({"fps": "24"}, (400, "Unknown parameter: 'fps'.", "unknown_parameter")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_order_is_refused_and_costs_nothing(client: Client, case: str) -> None:
    fields, expected = REFUSED[case]

    assert refusal(client.post(**fields)) == expected

    ledger = client.simulator.ledger()
    assert (ledger.creates, ledger.rejected, ledger.usd) == (0, 1, 0)


def test_a_damaged_picture_is_refused(client: Client, picture: Callable[..., bytes]) -> None:
    whole = picture(file_format="PNG")

    assert refusal(client.post(picture=whole[: len(whole) // 2], media_type="image/png"))[1] == "Invalid file format"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_each_format_of_the_reference_is_taken(client: Client, picture: Callable[..., bytes], file_format: str) -> None:
    client.create(picture=picture(file_format=file_format), media_type=f"image/{file_format.lower()}")


def test_the_longest_prompt_is_taken(client: Client) -> None:
    client.create(prompt="é" * 32_000)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"seconds": 4}, 'seconds must be one of "4", "8", "12"'),
        ({"seconds": "4"}, "Content-Type must be multipart/form-data"),
    ],
)
def test_a_json_body_is_refused(client: Client, body: dict[str, Any], message: str) -> None:
    answer = client.http.post(f"{client.simulator.url}/videos", json={"model": "sora-2", "prompt": "x", **body})

    assert refusal(answer)[:2] == (400, message)
    assert client.simulator.ledger().rejected == 1


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_a_body_that_is_not_multipart_is_refused(client: Client, media_type: str) -> None:
    url = f"{client.simulator.url}/videos"

    answer = client.http.post(url, data=b"{nonsense", headers={"Content-Type": media_type})

    assert refusal(answer)[:2] == (400, "Content-Type must be multipart/form-data")


def test_a_multipart_body_without_boundary_is_refused(client: Client) -> None:
    url = f"{client.simulator.url}/videos"

    answer = client.http.post(url, data=b"x", headers={"Content-Type": "multipart/form-data"})

    assert refusal(answer)[0] == 400


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer sk-wrong-and-secret", "Basic sk-simulated"])
def test_every_operation_asks_for_the_key(client: Client, header: str | None) -> None:
    client.authorize(header)

    for answer in (client.post(), client.get("/videos"), client.video("x"), client.content("x"), client.get("/models")):
        status, message, code = refusal(answer)
        assert (status, code) == (401, "invalid_api_key")
        assert "secret" not in message
    assert client.simulator.ledger().creates == 0


def test_without_a_key_set_none_is_asked_for(start: Start) -> None:
    client = start(key=None)
    client.authorize(None)

    client.create()


def test_an_unknown_video_is_not_found(client: Client) -> None:
    for answer in (client.video("video_x"), client.content("video_x"), client.get("/videos?after=video_x")):
        assert refusal(answer)[:2] == (404, "Video with id 'video_x' not found.")


@pytest.mark.parametrize("query", ["limit=101", "limit=-1", "limit=many", "order=sideways"])
def test_a_wrong_list_query_is_refused(client: Client, query: str) -> None:
    assert refusal(client.get(f"/videos?{query}"))[0] == 400


def test_only_a_finished_video_can_be_deleted(client: Client) -> None:
    video_id = client.create()
    url = f"{client.simulator.url}/videos/{video_id}"

    assert refusal(client.http.delete(url))[0] == 400

    client.simulator.complete(video_id)
    assert client.http.delete(url).json() == {"id": video_id, "object": "video.deleted", "deleted": True}


def test_a_resource_has_every_key_of_the_schema(client: Client) -> None:
    created = client.post().json()

    assert set(created) == SCHEMA
    assert (created["status"], created["progress"], created["quality"]) == ("queued", 0, "standard")
    assert created["error"] is None
    assert set(client.video(created["id"]).json()) == SCHEMA


def test_defaults_are_those_of_the_reference(client: Client, picture: Callable[..., bytes]) -> None:
    created = client.post(picture=picture(720, 1280), size=None, seconds=None).json()

    assert (created["size"], created["seconds"]) == ("720x1280", "4")


def test_model_and_picture_may_be_left_out(client: Client) -> None:
    created = client.post(picture=None, model=None).json()

    assert created["model"] == "sora-2"
    assert client.simulator.ledger().videos[0].reference_sha256 == ""
    client.simulator.complete(created["id"])
    assert client.content(created["id"]).content[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/videos/video_1/remix"),
        ("POST", "/videos/extensions"),
        ("POST", "/videos/edits"),
        ("POST", "/videos/characters"),
        ("GET", "/videos/characters/char_1"),
    ],
)
def test_what_makes_videos_of_videos_does_not_exist(client: Client, method: str, path: str) -> None:
    answer = client.http.request(method, f"{client.simulator.url}{path}")

    assert refusal(answer)[:2] == (404, f"Invalid URL ({method} /v1{path})")


def test_too_many_running_tasks_are_refused_until_one_ends(start: Start) -> None:
    client = start(max_running=1)
    first = client.create()

    refused = client.post(prompt="Another")
    assert (refused.status_code, refused.json()["error"]["message"]) == (429, "too many running tasks")

    client.simulator.complete(first)
    client.create(prompt="Another")
    assert client.simulator.ledger().max_in_flight == 1


def test_an_empty_list_has_every_key(client: Client) -> None:
    expected: dict[str, Any] = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}

    assert client.get("/videos?limit=0").json() == expected


def test_pages_join_without_gap_or_overlap(client: Client) -> None:
    ids = [client.create(prompt=str(number)) for number in range(5)]

    first = client.get("/videos?limit=2").json()
    second = client.get(f"/videos?limit=3&after={first['last_id']}").json()

    assert [video["id"] for video in first["data"] + second["data"]] == ids[::-1]
    assert (first["first_id"], first["has_more"], second["has_more"]) == (ids[4], True, False)


def test_unknown_paths_and_methods_answer_in_the_apis_form(client: Client) -> None:
    assert refusal(client.get("/elsewhere"))[0] == 404
    assert refusal(client.http.put(f"{client.simulator.url}/videos"))[0] == 405


def test_the_front_page_says_what_this_is(client: Client) -> None:
    page = client.http.get(client.simulator.root)

    assert "simulated" in page.text.lower()
    assert page.headers["Content-Type"].startswith("text/html")
