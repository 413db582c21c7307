"""What answers mean: one row per behaviour that servers of the contract were seen to have."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sorawatch.core.video_responses import (
    Failure,
    HttpResponse,
    Status,
    Video,
    content_refusal,
    read_models,
    read_page,
    read_refusal,
    read_submit,
    read_video,
    retry_after,
)
from sorawatch.errors import Blocked, Deferred, ModelUnknown, Rejected, SorawatchError, Unresolved

NOW = 1_760_000_000.0

JOB = {
    "id": "video_1",
    "object": "video",
    "model": "sora-2",
    "status": "queued",
    "progress": 0,
    "created_at": 1_712_697_600,
    "expires_at": None,
    "prompt": "waves",
    "size": "1280x720",
    "seconds": "8",
    "error": None,
}
LITELLM = "litellm.InternalServerError: InternalServerError: OpenAIException -"
HTML = "<!DOCTYPE html><html><head><title>502 Bad\nGateway</title></head></html>"


def answer(status: int, body: object = "", **headers: str) -> HttpResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    return HttpResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


def error(message: object, code: object = None, kind: object = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def new_api(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "data": None}


def test_a_created_video_is_read_whole() -> None:
    assert read_submit(answer(200, JOB), NOW) == Video(
        "video_1", Status.QUEUED, 0, "sora-2", "waves", "1280x720", "8", 1_712_697_600
    )


@pytest.mark.parametrize(
    ("headers", "rest"),
    [
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "17"}, 17.0),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "17"}, None),
        ({"Retry-After": "17"}, None),  # of an order taken it says when to look, not when to order
    ],
)
def test_with_the_last_order_that_it_takes_for_now_a_server_says_for_how_long(
    headers: dict[str, str], rest: float | None
) -> None:
    taken = answer(200, JOB)
    assert read_submit(HttpResponse(taken.status, {**taken.headers, **headers}, taken.body), NOW).rest == rest


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", Status.QUEUED),
        ("submitted", Status.QUEUED),
        ("pending", Status.QUEUED),
        ("NOT_START", Status.QUEUED),
        ("in_progress", Status.RUNNING),
        ("In Progress", Status.RUNNING),
        ("processing", Status.RUNNING),
        ("running", Status.RUNNING),
        ("preprocessing", Status.RUNNING),
        ("completed", Status.COMPLETED),
        ("SUCCEEDED", Status.COMPLETED),
        ("success", Status.COMPLETED),
        ("failed", Status.FAILED),
        ("FAILURE", Status.FAILED),
        ("cancelled", Status.FAILED),
        ("canceled", Status.FAILED),
        ("expired", Status.FAILED),
    ],
)
def test_status_words_are_folded(word: str, status: Status) -> None:
    for spelling in (word, word.upper(), f" {word.title()} "):
        video = read_video(answer(200, JOB | {"status": spelling}), NOW)
        assert video.status is status
        assert video.unknown_status is None
        assert (video.failure is not None) == (status is Status.FAILED)


def test_an_unknown_status_word_means_still_running() -> None:
    video = read_video(answer(200, JOB | {"status": "Up\x1bscaling"}), NOW)
    assert (video.status, video.unknown_status) == (Status.RUNNING, "Up scaling")


@pytest.mark.parametrize(
    ("given_progress", "read"),
    [(50, 50), ("50%", 50), ("50", 50), (49.9, 49), (-3, 0), (250, 100), (None, None), ("soon", None), (True, None)],
)
def test_progress_in_every_form(given_progress: object, read: int | None) -> None:
    assert read_video(answer(200, JOB | {"progress": given_progress}), NOW).progress == read


def test_progress_may_be_missing() -> None:
    assert read_video(answer(200, {"id": "v", "status": "queued"}), NOW).progress is None


@pytest.mark.parametrize(
    ("given_time", "read"),
    [
        (1_712_697_600, 1_712_697_600),
        (1_712_697_600.7, 1_712_697_600),
        ("1712697600", 1_712_697_600),
        (1_712_697_600_000, 1_712_697_600),
        ("2024-04-09T21:20:00Z", 1_712_697_600),
        ("2024-04-09T21:20:00", 1_712_697_600),
        (None, None),
        (0, None),
        (-5, None),
        ("tomorrow", None),
        (10**400, None),
    ],
)
def test_times_in_every_form(given_time: object, read: int | None) -> None:
    video = read_video(answer(200, JOB | {"created_at": given_time, "expires_at": given_time}), NOW)
    assert (video.created_at, video.expires_at) == (read, read)


@pytest.mark.parametrize("seconds", [8, "8", 8.0, "8.0"])
def test_seconds_in_every_form(seconds: object) -> None:
    assert read_video(answer(200, JOB | {"seconds": seconds}), NOW).seconds == "8"


@pytest.mark.parametrize(
    ("stated", "failure"),
    [
        ({"code": "server_error", "message": "boom"}, Failure("server_error", "boom", False)),
        ({"message": "boom"}, Failure(None, "boom", False)),
        ({"code": None, "message": "boom"}, Failure(None, "boom", False)),
        ({"code": 500, "message": "boom"}, Failure("500", "boom", False)),
        ("boom", Failure(None, "boom", False)),
        (None, Failure("failed", "the server gives no reason (status failed)", False)),
        ({}, Failure("failed", "the server gives no reason (status failed)", False)),
        ({"code": "moderation_blocked", "message": "no"}, Failure("moderation_blocked", "no", True)),
        ({"code": "input_moderation", "message": "no"}, Failure("input_moderation", "no", True)),
        (
            "This content may violate our guardrails concerning similarity to third-party content.",
            Failure(
                None, "This content may violate our guardrails concerning similarity to third-party content.", True
            ),
        ),
        (
            "Your request was blocked by our moderation system.",
            Failure(None, "Your request was blocked by our moderation system.", True),
        ),
        ({"message": "line\none\x00" + "x" * 1000}, Failure(None, "line one " + "x" * 290 + "…", False)),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 404, 500])
def test_a_failed_job_with_any_http_status(stated: object, failure: Failure, status: int) -> None:
    video = read_video(answer(status, JOB | {"status": "failed", "error": stated}), NOW)
    assert (video.status, video.failure) == (Status.FAILED, failure)


@pytest.mark.parametrize(("word", "code"), [("expired", "expired"), ("Canceled", "cancelled"), ("failed", "x")])
def test_a_video_that_ended_without_failing_can_be_told(word: str, code: str) -> None:
    """It must not be bought again as a failed generation is: an expired one was charged."""
    video = read_video(answer(200, JOB | {"status": word, "error": {"code": "x", "message": "gone"}}), NOW)
    assert video.failure == Failure(code, "gone", moderated=False)


def test_a_submit_answered_with_a_failed_job_was_accepted() -> None:
    assert read_submit(answer(500, JOB | {"status": "failed", "error": "boom"}), NOW).status is Status.FAILED


@pytest.mark.parametrize("video_id", ["a" * 130, "video_a=/b+c", 12345])
def test_ids_of_every_kind(video_id: object) -> None:
    assert read_submit(answer(201, {"id": video_id}), NOW).id == str(video_id)


def test_the_gateway_form_is_unwrapped() -> None:
    body = {"code": "success", "message": "", "data": {"task_id": "task_1", "status": "SUCCESS", "progress": "100%"}}
    video = read_video(answer(200, body), NOW)
    assert (video.id, video.status, video.progress) == ("task_1", Status.COMPLETED, 100)


NESTED = json.dumps(error("blocked", "sentinel_block"))

REFUSED_SUBMITS = [
    # Wait
    (answer(429, error("slow down", "rate_limit_exceeded"), Retry_After="7"), Deferred, "slow down"),
    (answer(429, HTML), Deferred, "502 Bad Gateway"),
    (answer(409, error("busy")), Deferred, "busy"),
    (answer(503, error("overloaded", None, "server_error")), Deferred, "overloaded"),
    (answer(529, error("Overloaded", None, "overloaded_error")), Deferred, "Overloaded"),
    (answer(503, {"detail": "Task queue is full (max 100 tasks)"}), Deferred, "queue is full"),
    (answer(503, error("当前分组上游负载已饱和")), Deferred, "饱和"),
    (answer(503, error("maintenance"), Retry_After="30"), Deferred, "maintenance"),
    (answer(200, {"code": 503, "message": "overloaded", "data": None}), Deferred, "overloaded"),
    (answer(200, {"ErrCode": 500044, "ErrMsg": "Reached the limit for concurrent generations."}), Deferred, "concurr"),
    (answer(429, error("No deployments available for selected model, Try again in 5 seconds.")), Deferred, "Try again"),
    (answer(200, {"error": {"message": "Provider returned error", "code": 429}}), Deferred, "Provider"),
    # Never
    (answer(400, error("prompt is too long")), Rejected, "prompt is too long"),
    (answer(400, {"error": "bad prompt"}), Rejected, "bad prompt"),
    (answer(400, {"detail": "bad prompt"}), Rejected, "bad prompt"),
    (answer(422, {"detail": [{"loc": ["body", "seconds"], "msg": "no"}]}), Rejected, "body.seconds: no"),
    (answer(400, new_api("invalid_request", "field prompt is required")), Rejected, "field prompt"),
    (answer(400, {"message": "bad prompt"}), Rejected, "bad prompt"),
    (answer(413, HTML), Rejected, "web page"),
    (answer(415), Rejected, "HTTP 415"),
    (answer(400, error("Inpaint image must match the requested width and height")), Rejected, "size"),
    (answer(400, error("no", "moderation_blocked")), Rejected, "moderation"),
    (answer(400, error("no", "sentinel_block")), Rejected, "moderation"),
    (answer(400, new_api("sensitive_words_detected", "no")), Rejected, "moderation"),
    (answer(403, error("no", "content_policy_violation")), Rejected, "moderation"),
    (answer(400, error("This violates our usage policies")), Rejected, "moderation"),
    (
        answer(446, error("The guardrail checks defined in the config failed.", None, "hooks_failed")),
        Rejected,
        "moderation",
    ),
    (answer(200, {"code": 50411, "message": "Pre Img Risk Not Pass", "request_id": "r"}), Rejected, "moderation"),
    (answer(400, {"error": [{"code": 2016, "message": "Prompt blocked due to security"}]}), Rejected, "moderation"),
    (
        answer(400, new_api("DataInspectionFailed", "Input data may contain inappropriate content")),
        Rejected,
        "moderation",
    ),
    (answer(400, error("Output was flagged by our filters")), Rejected, "moderation"),
    (answer(400, error("The image contains a real person, which is not allowed")), Rejected, "moderation"),
    (answer(400, error("图片中包含真人人脸")), Rejected, "moderation"),
    (answer(200, {"code": 1301, "message": "risk control"}), Rejected, "moderation"),
    (answer(400, new_api("fail_to_fetch_task", NESTED)), Rejected, "moderation refused the order (HTTP 400: blocked)"),
    (answer(200, error("prompt is too long")), Rejected, "too long"),
    # Nobody
    (answer(401, error("Incorrect API key", "invalid_api_key")), Blocked, "API key"),
    (answer(401), Blocked, "API key"),
    (answer(403, error("no")), Blocked, "refuses the order"),
    (answer(403, error("Unauthorized")), Blocked, "API key"),
    (answer(403, HTML), Blocked, "refuses the order"),
    (answer(403, error("Your country is not supported")), Blocked, "refuses the order"),
    (answer(400, [error("User location is not supported for the API use.")]), Blocked, "refuses the order"),
    (answer(400, [error("API key not valid. Please pass a valid API key.")]), Blocked, "API key"),
    (answer(401, error("Your IP address is not authorized", "ip_not_authorized")), Blocked, "refuses the request"),
    (answer(403, {"message": "Missing Authentication Token"}), Blocked, "address"),
    (answer(400, error("No connected db.", None, "no_db_connection")), Blocked, "API key"),
    (answer(400, error("Your credit balance is too low")), Blocked, "credit"),
    (answer(400, new_api("Arrearage", "Access denied")), Blocked, "credit"),
    (answer(400, error("Insufficient account balance")), Blocked, "credit"),
    (answer(400, error("Budget has been exceeded! Current cost: 10.2", None, "budget_exceeded")), Blocked, "credit"),
    (answer(403, {"detail": "User is locked. Reason: Exhausted balance."}), Blocked, "credit"),
    (answer(403, {"code": "no permission", "error": "Your team doesn't have any credits yet."}), Blocked, "credit"),
    (answer(200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}), Blocked, "credit"),
    (answer(429, {"code": 1102, "message": "Account balance not enough"}), Blocked, "credit"),
    (answer(503, error("insufficient_user_quota"), Retry_After="1"), Blocked, "credit"),
    (answer(200, error("bad", "invalid_api_key")), Blocked, "API key"),
    (answer(402), Blocked, "credit"),
    (answer(429, error("You exceeded your current quota", "insufficient_quota")), Blocked, "credit"),
    (answer(403, new_api("insufficient_user_quota", "用户额度不足")), Blocked, "credit"),
    (answer(404, error("The model `sora-2` does not exist", "model_not_found")), ModelUnknown, "model"),
    (answer(400, error("Invalid model name passed in model=sora-9")), ModelUnknown, "model"),
    (
        answer(503, error("No available channel for model sora-2 under group default (distributor)")),
        ModelUnknown,
        "model",
    ),
    (
        answer(503, error("分组 default 下模型 sora-2 无可用渠道", "model_not_found", "new_api_error")),
        ModelUnknown,
        "model",
    ),
    (answer(401, error("key not allowed to access model. It can only access ['x']")), ModelUnknown, "model"),
    (answer(400, error("Model mismatch: request specifies a but server has b")), ModelUnknown, "model"),
    (answer(404, error("No endpoints found for sora-2")), ModelUnknown, "model"),
    (answer(400, error("model price not configured")), ModelUnknown, "model"),
    (answer(400, new_api("x", "模型 sora-2 倍率或价格未配置")), ModelUnknown, "model"),
    (answer(403, error("This token has no access to model sora-2")), ModelUnknown, "model"),
    (answer(403, error("该令牌无权访问模型 sora-2")), ModelUnknown, "model"),
    (answer(410), ModelUnknown, "gone"),
    (answer(400, error("The Videos API has been shut down")), ModelUnknown, "shut down"),
    (answer(404, HTML), Blocked, "address"),
    (answer(404, {"detail": "Not Found"}), Blocked, "address"),
    (answer(405), Blocked, "address"),
    (answer(407, HTML), Blocked, "proxy"),
    (answer(400, HTML), Blocked, "not the API"),
    # Nobody knows
    (answer(308, Location="https://www.example.com/v1/videos"), Unresolved, "https://www.example.com/v1/videos"),
    (answer(301), Unresolved, "elsewhere"),
    (answer(425), Unresolved, "HTTP 425"),
    (answer(499), Unresolved, "HTTP 499"),
    (answer(500, error("oops", "server_error", "server_error")), Unresolved, "oops"),
    (answer(500, {"detail": "oops"}), Unresolved, "oops"),
    (answer(500, new_api("do_request_failed", "oops")), Unresolved, "oops"),
    (answer(500, error("Connection prematurely closed BEFORE response")), Unresolved, "prematurely"),
    (answer(500, error("The server is overloaded or not ready yet.")), Unresolved, "overloaded"),
    (answer(500, error("Inpaint image must match the requested width and height")), Unresolved, "match"),
    (answer(500, error(f"API request failed: 400 - {NESTED}", None, "server_error")), Unresolved, "400"),
    (answer(501, error("not implemented")), Unresolved, "not implemented"),
    (answer(505), Unresolved, "HTTP 505"),
    (answer(503, error("upstream returned 504")), Unresolved, "504"),
    (answer(503, HTML, Retry_After="30"), Unresolved, "web page"),
    (answer(503, {"message": "Service Unavailable"}, Retry_After="30"), Unresolved, "Service"),
    (answer(503, {"detail": "Task ID 3f already exists"}), Unresolved, "exists"),
    (answer(503, "upstream connect error or disconnect/reset before headers"), Unresolved, "upstream connect"),
    (answer(200, error("oops", "server_error", "server_error")), Unresolved, "oops"),
    (answer(200, {"code": 503, "message": "busy", "data": None}), Unresolved, "busy"),
    (answer(200, {"error": "prompt is rude"}), Unresolved, "rude"),
    (answer(200, {"error": {"message": "Provider returned error", "code": 502}}), Unresolved, "Provider"),
    (answer(202, new_api("fail_to_fetch_task", '{"id":"video_1","status":"queued"}')), Unresolved, "video_1"),
    (
        answer(202, new_api("fail_to_fetch_task", '{"id":"video_1","prompt":"a real person smiles"}')),
        Unresolved,
        "video_1",
    ),
    (answer(200, new_api("submitted", "任务已提交，等待审核")), Unresolved, "任务已提交"),
    (answer(200, new_api("invalid_response", "task_id is empty")), Unresolved, "task_id is empty"),
    (answer(200, new_api("queued", "Too many running tasks, it starts later")), Unresolved, "starts later"),
    (answer(503, error("upstream returned 504 for 'an overloaded truck'")), Unresolved, "504"),
    (answer(200, {"uuid": "abc-123", "ok": True}), Unresolved, "abc-123"),
    (answer(200, {"uuid": "abc-123", "ok": True}), Unresolved, "the keys uuid, ok"),
    (answer(200), Unresolved, "no body"),
    (answer(204), Unresolved, "no body"),
    (answer(200, HTML), Unresolved, "502 Bad Gateway"),
    (answer(200, '{"id": "vid'), Unresolved, "unreadable"),
    (answer(200, {"object": "video"}), Unresolved, "HTTP 200"),
    (answer(200, {"message": "your order was queued"}), Unresolved, "HTTP 200"),
    (answer(200, new_api("success", "")), Unresolved, "HTTP 200"),
    (answer(200, new_api("submitted", "queued")), Unresolved, "HTTP 200"),
    (answer(200, {"id": "\x00"}), Unresolved, "HTTP 200"),
    (answer(303, Location="/v1/videos/1"), Unresolved, "HTTP 303"),
    (answer(408, error("litellm.Timeout")), Unresolved, "litellm"),
    (answer(500, error(f"{LITELLM} \n\nLiteLLM: model group 'm' failed.", "500")), Unresolved, "litellm"),
    (answer(500, error(f"{LITELLM} Cannot connect to host video.example:443", "500")), Unresolved, "connect"),
    (answer(500, error(f'{LITELLM} {{"error": {{"message": "no GPU"}}}}', "500")), Unresolved, "no GPU"),
    (answer(500, error("litellm.APIConnectionError: OpenAIException - Server disconnected")), Unresolved, "disconn"),
    (answer(500, error("Connection error.", None, "upstream_error")), Unresolved, "Connection error"),
    (answer(500, error("Remote end closed connection without response")), Unresolved, "Remote end"),
    (answer(500, error("write tcp 10.0.0.2:443: use of closed network connection")), Unresolved, "closed network"),
    (answer(500, error("peer closed connection (incomplete chunked read)")), Unresolved, "peer closed"),
    (answer(500, error("socket hang up", "ECONNRESET")), Unresolved, "hang up"),
    (answer(500, error("error sending request for url (https://video.example/v1/videos)")), Unresolved, "sending"),
    (answer(500, error("dial tcp 10.0.0.2:443: connect: connection refused")), Unresolved, "refused"),
    (answer(409, error("the task already exists")), Unresolved, "exists"),
    (answer(500, HTML), Unresolved, "web page"),
    (answer(500), Unresolved, "no body"),
    (answer(500, {"message": "Internal server error"}), Unresolved, "Internal"),
    (answer(500, error("upstream request timed out", None, "server_error")), Unresolved, "timed out"),
    (answer(500, new_api("unmarshal_response_body_failed", "body: …")), Unresolved, "body"),
    (answer(502, error("bad gateway", None, "server_error")), Unresolved, "bad gateway"),
    (answer(502, HTML), Unresolved, "web page"),
    (answer(504), Unresolved, "HTTP 504"),
    (answer(520, HTML), Unresolved, "HTTP 520"),
    (answer(400, {"id": "req_1", **error("bad")}), Rejected, "bad"),
    (answer(200, {"id": "req_1", **error("bad")}), Rejected, "bad"),
]


@pytest.mark.parametrize(
    ("refused", "kind", "told"),
    REFUSED_SUBMITS,
    ids=[f"{row[0].status}-{row[1].__name__}-{row[0].body.decode()[:60]}" for row in REFUSED_SUBMITS],
)
def test_submits_that_brought_no_video(refused: HttpResponse, kind: type[SorawatchError], told: str) -> None:
    with pytest.raises(SorawatchError) as raised:
        read_submit(refused, NOW)
    assert type(raised.value) is kind
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("refused", "key"),
    [
        (answer(401), "api.key_file"),
        (answer(401), "SORAWATCH_API_KEY"),
        (answer(404, error("no such model", "model_not_found")), "video.model"),
        (answer(404, HTML), "api.base_url"),
        (answer(402), "api.key_file"),
    ],
)
def test_the_mend_names_the_key_to_change(refused: HttpResponse, key: str) -> None:
    with pytest.raises(Blocked) as raised:
        read_submit(refused, NOW)
    assert key in raised.value.hint


@pytest.mark.parametrize(
    "refused",
    [
        answer(429, error("You have too many running tasks")),
        answer(400, error("Too many concurrent generations")),
        answer(403, error("concurrency limit reached")),
        answer(503, error("当前并发过高")),
    ],
)
def test_a_crowd_of_our_own_jobs(refused: HttpResponse) -> None:
    with pytest.raises(Deferred) as raised:
        read_submit(refused, NOW)
    assert raised.value.too_many_running


@pytest.mark.parametrize(
    ("refused", "wait", "crowd", "affects_all"),
    [
        (answer(429, error("slow down"), Retry_After="7"), 7.0, False, True),
        (answer(409, error("busy"), Retry_After="7"), 7.0, False, False),
        (answer(400, error("Too many concurrent generations"), Retry_After="7"), 7.0, True, True),
        (answer(503, error("maintenance"), Retry_After="30"), 30.0, False, True),
        (answer(503, error("concurrency limit reached"), Retry_After="30"), 30.0, True, True),
        (answer(200, {"code": 503, "message": "overloaded"}, Retry_After="30"), 30.0, False, True),
        (answer(200, {"code": 429, "message": "slow"}, Retry_After="7"), 7.0, False, True),
        (answer(200, error("no", "rate_limit_exceeded"), Retry_After="7"), 7.0, False, True),
        (answer(200, error("Too many concurrent generations"), Retry_After="7"), 7.0, True, True),
    ],
)
def test_a_refusal_for_now_tells_whom_it_affects_and_for_how_long(
    refused: HttpResponse, wait: float, crowd: bool, affects_all: bool
) -> None:
    with pytest.raises(Deferred) as raised:
        read_submit(refused, NOW)
    told = raised.value
    assert (told.retry_after, told.too_many_running, told.affects_all) == (wait, crowd, affects_all)


@pytest.mark.parametrize(
    ("refused", "about_content"),
    [
        (answer(400, error("prompt is too long")), False),
        (answer(422, error("no")), False),
        (answer(413, HTML), True),
        (answer(400, error("no", "moderation_blocked")), True),
        (answer(400, error("Inpaint image must match the requested width and height")), True),
        (answer(200, error("no", "moderation_blocked")), True),
        (answer(200, error("prompt is too long")), False),
    ],
)
def test_a_refusal_of_the_prompt_or_the_picture_concerns_no_other_order(
    refused: HttpResponse, about_content: bool
) -> None:
    with pytest.raises(Rejected) as raised:
        read_submit(refused, NOW)
    assert raised.value.about_content is about_content


@pytest.mark.parametrize(
    ("refused", "key_related", "one_model"),
    [
        (answer(401, error("Incorrect API key", "invalid_api_key")), True, False),
        (answer(402), True, False),
        (answer(400, error("Your credit balance is too low")), True, False),
        (answer(403, error("no")), False, False),
        (answer(404, HTML), False, False),
        (answer(407, HTML), False, False),
        (answer(410), False, True),
        (answer(404, error("The model `sora-2` does not exist", "model_not_found")), False, True),
    ],
)
def test_a_cause_says_whether_a_key_or_another_model_ends_it(
    refused: HttpResponse, key_related: bool, one_model: bool
) -> None:
    with pytest.raises(Blocked) as raised:
        read_submit(refused, NOW)
    cause = raised.value.cause
    assert (cause.key_related, cause.one_model, cause.temporary) == (key_related, one_model, False)


@pytest.mark.parametrize(
    ("refused", "wait", "crowd", "affects_all"),
    [
        (answer(500, error("oops"), Retry_After="3"), 3.0, False, False),
        (answer(429, error("slow"), Retry_After="3"), 3.0, False, True),
        (answer(502, HTML), None, False, True),
        (answer(503, HTML), None, False, True),
        (answer(504), None, False, True),
        (answer(501), None, False, False),
        (answer(505), None, False, False),
        (answer(400, error("Too many concurrent requests")), None, True, True),
    ],
)
def test_a_read_that_fails_for_now_tells_whom_it_affects_and_for_how_long(
    refused: HttpResponse, wait: float | None, crowd: bool, affects_all: bool
) -> None:
    told = read_refusal(refused, NOW)
    assert isinstance(told, Deferred)
    assert (told.retry_after, told.too_many_running, told.affects_all) == (wait, crowd, affects_all)


@pytest.mark.parametrize("status", [408, 425, 499, 500, 501, 502, 504, 505])
def test_a_failure_that_is_only_stated_in_a_success_leaves_the_order_uncertain(status: int) -> None:
    stated = answer(200, {"error": {"message": "bad prompt", "code": status, "type": "invalid_request_error"}})
    with pytest.raises(Unresolved):
        read_submit(stated, NOW)


@pytest.mark.parametrize("status", [400, 406, 410, 417, 424, 426, 498])
def test_a_refusal_that_is_only_stated_in_a_success_is_one(status: int) -> None:
    with pytest.raises(Rejected):
        read_submit(answer(200, {"error": {"message": "bad prompt", "code": status}}), NOW)


@pytest.mark.parametrize(("status", "told"), [(299, False), (300, True), (399, True), (400, False)])
def test_a_redirection_is_told_as_one(status: int, told: bool) -> None:
    with pytest.raises(SorawatchError) as raised:
        read_submit(answer(status, HTML, Location="https://x/"), NOW)
    assert ("elsewhere" in str(raised.value)) is told


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, Blocked), (405, Blocked), (406, Blocked), (409, Deferred), (411, Blocked), (413, Rejected),
        (414, Blocked), (415, Rejected), (416, Blocked), (422, Rejected), (423, Blocked), (429, Deferred),
        (430, Blocked), (498, Blocked), (499, Unresolved), (503, Unresolved), (529, Unresolved), (530, Unresolved),
    ],
)  # fmt: skip
def test_what_the_status_of_a_web_page_tells_of_a_submit(status: int, kind: type[SorawatchError]) -> None:
    with pytest.raises(SorawatchError) as raised:
        read_submit(answer(status, HTML), NOW)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("read", "rejected"),
    [
        (read_page, {400, 403, 404, 405, 410, 422, 501}),
        (read_video, {410}),
    ],
)
def test_what_the_status_of_a_web_page_tells_of_a_read(
    read: Callable[[HttpResponse, float], object], rejected: set[int]
) -> None:
    found = set()
    for status in range(400, 600):
        with pytest.raises(SorawatchError) as raised:
            read(answer(status, HTML), NOW)
        if isinstance(raised.value, Rejected):
            found.add(status)
    assert found == rejected


def test_only_some_statuses_say_that_a_clip_has_expired() -> None:
    expired = error("The video has expired")
    found = {
        status for status in range(400, 600) if isinstance(content_refusal(answer(status, expired), NOW), Rejected)
    }
    assert found == {400, 403, 404, 410}


def test_below_500_the_words_say_that_a_video_is_unknown() -> None:
    for status, kind in ((499, Rejected), (500, Deferred)):
        with pytest.raises(SorawatchError) as raised:
            read_video(answer(status, error("Task not found")), NOW)
        assert type(raised.value) is kind


@pytest.mark.parametrize("status", [401, 402, 407])
def test_a_read_is_refused_to_everybody_by_the_status_alone(status: int) -> None:
    assert type(read_refusal(answer(status), NOW)) is Blocked


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (answer(500, error("Incorrect API key", "invalid_api_key")), Deferred),
        (answer(500, error("no", "insufficient_quota")), Blocked),
        (answer(499, error("Incorrect API key", "invalid_api_key")), Blocked),
        (answer(404, error("The model `sora-2` does not exist", "model_not_found")), Deferred),
    ],
)
def test_the_words_of_a_5xx_tell_a_reader_of_credit_only(refused: HttpResponse, kind: type[SorawatchError]) -> None:
    assert type(read_refusal(refused, NOW)) is kind


@pytest.mark.parametrize(
    ("lost", "cause"),
    [
        (answer(500, new_api("insufficient_user_quota", "用户额度不足")), "credit"),
        (answer(500, error("Incorrect API key provided", "invalid_api_key")), "API key"),
        (answer(500, error("当前模型不可用", "model_unavailable")), "model"),
        (answer(302, Location="https://x/"), "elsewhere"),
        (answer(500, error("oops")), None),
    ],
)
def test_the_words_of_a_lost_answer_may_stop_others_and_never_prove_anything(
    lost: HttpResponse, cause: str | None
) -> None:
    with pytest.raises(Unresolved) as raised:
        read_submit(lost, NOW)
    assert (cause is None) == (raised.value.cause is None)
    assert cause is None or cause in str(raised.value.cause)


@pytest.mark.parametrize(
    ("body", "video_id"),
    [
        ({"task_id": "t1"}, "t1"),
        ({"taskId": "t1"}, "t1"),
        ({"video_id": "t1"}, "t1"),
        ({"request_id": "t1"}, "t1"),
        ({"generation_id": "t1"}, "t1"),
        ({"code": "success", "data": "t1"}, "t1"),
        ({"code": 0, "data": {"task": {"id": "t1"}}}, "t1"),
        ({"result": {"id": "t1"}}, "t1"),
        ({"output": {"task_id": "t1", "task_status": "PENDING"}, "request_id": "r1"}, "t1"),
        ({"code": 0, "message": "SUCCEED", "request_id": "r1", "data": {"task_id": "t1"}}, "t1"),
        ({"id": "t1", "status": "queued", "hook_results": {}}, "t1"),
    ],
)
def test_ids_under_every_name(body: dict[str, Any], video_id: str) -> None:
    assert read_submit(answer(200, body), NOW).id == video_id


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "done", "video": {"url": "https://x/v.mp4"}}, Status.COMPLETED),
        ({"data": [{"task_id": "t1", "status": "SUCCESS"}]}, Status.COMPLETED),
        ({"id": "t1", "status": ["queued", "completed"]}, Status.COMPLETED),
        ({"id": "t1", "status": 2}, Status.RUNNING),
        ({"status": 200, "message": "ok", "data": {"id": "t1", "status": "failed"}}, Status.FAILED),
        ({"status": "success", "data": {"status": "processing"}}, Status.RUNNING),
        ({"id": "t1", "status": "Request Moderated"}, Status.FAILED),
        *(({"id": "t1", "status": word}, Status.COMPLETED) for word in ("succeed", "ready", "finish")),
        *(
            ({"id": "t1", "status": word}, Status.FAILED)
            for word in ("aborted", "rejected", "timeout", "timed_out", "Timed Out", "blocked")
        ),
    ],
)
def test_a_status_wherever_it_stands(body: dict[str, Any], status: Status) -> None:
    assert read_video(answer(200, body), NOW).status is status


def test_a_page_that_names_a_video_it_does_not_show_was_filtered() -> None:
    page = {"object": "list", "data": [JOB], "first_id": "video_1", "last_id": "video_0", "has_more": False}
    assert read_page(answer(200, page), NOW).filtered
    assert not read_page(answer(200, page | {"last_id": "video_1"}), NOW).filtered
    assert read_page(answer(200, {"object": "list", "data": None, "has_more": False}), NOW).videos == ()


def test_a_rate_limit_is_no_crowd_and_its_wait_is_kept() -> None:
    with pytest.raises(Deferred) as raised:
        read_submit(answer(429, error("slow down"), Retry_After="7"), NOW)
    assert (raised.value.too_many_running, raised.value.retry_after) == (False, 7.0)


@pytest.mark.parametrize(
    ("refused", "kind", "told"),
    [
        (answer(404, error("Video video_1 not found")), Rejected, "no longer knows"),
        (answer(404, {"detail": "Video with id video_1 not found"}), Rejected, "no longer knows"),
        (answer(400, new_api("task_not_exist", "task_not_exist")), Rejected, "no longer knows"),
        (answer(200, error("Task not found")), Rejected, "no longer knows"),
        (answer(410), Rejected, "no longer knows"),
        (answer(404, error("nothing here")), Rejected, "no longer knows"),
        (answer(405, error("nothing here")), Deferred, "nothing here"),
        (answer(404, HTML), Deferred, "HTTP 404"),
        (answer(404, {"detail": "Not Found"}), Deferred, "Not Found"),
        (answer(404, error("Invalid URL (GET /v1/videos/1)")), Deferred, "Invalid URL"),
        (answer(400, error("bad request")), Deferred, "bad request"),
        (answer(200, HTML), Deferred, "web page"),
        (answer(200, '{"id": "vid'), Deferred, "unreadable"),
        (answer(200, {"id": "req_1", **error("oops")}), Deferred, "oops"),
        (answer(500, error("video not found in cache")), Deferred, "cache"),
        (answer(500, {"id": "req_1", "status": "error", **error("oops")}), Deferred, "oops"),
        (answer(502, HTML), Deferred, "web page"),
        (answer(429, error("slow")), Deferred, "slow"),
        (answer(301), Deferred, "HTTP 301"),
        (answer(401), Blocked, "API key"),
        (answer(403, new_api("insufficient_user_quota", "no")), Blocked, "credit"),
    ],
)
def test_polls_that_brought_no_video(refused: HttpResponse, kind: type[SorawatchError], told: str) -> None:
    with pytest.raises(SorawatchError) as raised:
        read_video(refused, NOW)
    assert type(raised.value) is kind
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (answer(404, error("Video is not ready yet")), Deferred),
        (answer(404, error("Task not found")), Deferred),
        (answer(400, error("Task is not completed yet, current status: IN_PROGRESS")), Deferred),
        (answer(502, error("Failed to fetch video content")), Deferred),
        (answer(403, error("request blocked", None, "server_error")), Deferred),
        (answer(200, HTML), Deferred),
        (answer(410), Rejected),
        (answer(404, error("The video has expired")), Rejected),
        (answer(400, error("Video content is no longer available")), Rejected),
        (answer(401, error("token expired")), Blocked),
        (answer(403, error("no", "insufficient_quota")), Blocked),
    ],
)
def test_clips_that_cannot_be_had(refused: HttpResponse, kind: type[SorawatchError]) -> None:
    assert type(content_refusal(refused, NOW)) is kind


@pytest.mark.parametrize(
    ("body", "has_more"),
    [
        ({"object": "list", "data": [JOB], "has_more": False}, False),
        ({"data": [JOB], "has_more": True}, True),
        ({"data": [JOB]}, None),
        ({"videos": [JOB], "has_more": "yes"}, None),
        ([JOB], None),
    ],
)
def test_pages(body: object, has_more: bool | None) -> None:
    page = read_page(answer(200, body), NOW)
    assert ([video.prompt for video in page.videos], page.has_more) == (["waves"], has_more)


@pytest.mark.parametrize(
    ("refused", "kind"),
    [
        (answer(404, error("Invalid URL (GET /v1/videos)")), Rejected),
        (answer(405), Rejected),
        (answer(501), Rejected),
        (answer(200, HTML), Rejected),
        (answer(200, {"ok": True}), Rejected),
        (answer(200, {"data": [{"prompt": "an entry without an id"}]}), Rejected),
        (answer(200, '{"data": [{"id": "cut'), Deferred),
        (answer(200, error("oops", "server_error")), Deferred),
        (answer(500, HTML), Deferred),
        (answer(429), Deferred),
        (answer(401), Blocked),
        (answer(403), Rejected),
        (answer(400, error("No connected db.", None, "no_db_connection")), Blocked),
    ],
)
def test_lists_that_cannot_be_had(refused: HttpResponse, kind: type[SorawatchError]) -> None:
    for read in (read_page, read_models) if b"without an id" not in refused.body else (read_page,):
        with pytest.raises(SorawatchError) as raised:
            read(refused, NOW)
        assert type(raised.value) is kind


def test_models() -> None:
    assert read_models(answer(200, {"data": [{"id": "sora-2"}, {"id": None}, "wan"]}), NOW) == ("sora-2", "wan")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"RETRY-AFTER": " 1.5 "}, 1.5),
        ({"Retry-After": "9", "retry-after-ms": "250"}, 0.25),
        ({"Retry-After": format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)}, 30.0),
        ({"Retry-After": format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True)}, 0.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "1e9"}, 3600.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Fri, 99 Foo 2999 00:00:00"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m0.5s"}, 60.5),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1m0s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "17"}, 17.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW + 40)}, 40.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "90000"}, 3600.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "0"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6s",
            },
            6.0,
        ),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_texts_are_quoted_on_one_line_and_cut() -> None:
    told = str(read_refusal(answer(500, error("a\nb\x1b[31m\u202e" + "x" * 5000)), NOW))
    assert "a b [31m x" in told
    assert told.isprintable()
    assert len(told) < 400


def outcome_of(
    read: Callable[[HttpResponse, float], object], given_answer: HttpResponse, *kinds: type[SorawatchError]
) -> object:
    try:
        return read(given_answer, NOW)
    except kinds as failure:
        return failure


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "task_id",
                    "status",
                    "error",
                    "message",
                    "code",
                    "type",
                    "detail",
                    "data",
                    "msg",
                    "loc",
                    "progress",
                    "created_at",
                    "expires_at",
                    "size",
                    "seconds",
                    "has_more",
                    "object",
                    "videos",
                    "models",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode())


@given(st.integers(100, 599), BODIES, st.dictionaries(st.sampled_from(["Retry-After", "Location"]), st.text()))
@example(200, b"[" * 100_000, {})
@example(500, b'{"error": {"message": ' + b"[" * 900 + b"]" * 900 + b"}}", {})
@example(400, b'{"error": {"message": "\\ud800"}}', {})
def test_whatever_a_server_says_is_a_video_or_one_of_our_errors(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    given_answer = HttpResponse(status, headers, body)
    refusals: list[object] = [content_refusal(given_answer, NOW), read_refusal(given_answer, NOW)]
    for read in (read_submit, read_video, read_page, read_models):
        unresolved = Unresolved if read is read_submit else Deferred
        refusals.append(outcome_of(read, given_answer, Deferred, Rejected, Blocked, unresolved))
    for refusal in refusals:
        if isinstance(refusal, SorawatchError):
            assert str(refusal).isprintable()
            assert len(str(refusal)) < 1000


@given(st.integers(100, 599), BODIES, st.sampled_from([{}, {"Retry-After": "5"}]))
def test_only_the_apis_own_4xx_or_its_503_proves_a_submit_unaccepted(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    assume(not 400 <= status < 500 and status not in {503, 529} and not 200 <= status < 300)
    assert isinstance(outcome_of(read_submit, HttpResponse(status, headers, body), SorawatchError), Unresolved | Video)


@given(st.sampled_from([200, 201, 503, 529]), BODIES)
def test_without_an_error_in_the_body_nothing_proves_a_submit_unaccepted(status: int, body: bytes) -> None:
    given_answer = HttpResponse(status, {"Retry-After": "5"}, body)
    assume(given_answer.error is None)
    assert isinstance(outcome_of(read_submit, given_answer, SorawatchError), Unresolved | Video)
