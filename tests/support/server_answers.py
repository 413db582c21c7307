"""What servers were seen to answer, by what it means: the rows of `test_server_answers` and `test_circuit_breakers_in_full`.

Beside a row stands who answers so, where that is not plain. The sources are those of the projects named, and their
issues.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sorawatch.simulator import Fault


@dataclass(frozen=True)
class Row:
    """One answer: ``body`` is JSON unless it is a text. ``says`` are words that a person must read then."""

    name: str
    status: int
    body: object = ""
    says: tuple[str, ...] = ()
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def fault(self, kind: str, on: str, *, times: int | None = None, **options: Any) -> Fault:
        text = self.body if isinstance(self.body, str) else json.dumps(self.body, ensure_ascii=False)
        told = "text/html" if text.startswith("<") else "text/plain"
        media_type = self.media_type or (told if isinstance(self.body, str) else "application/json")
        return Fault(
            kind, on=on, status=self.status, body=text, media_type=media_type, headers=self.headers, times=times, **options
        )  # fmt: skip


def openai(message: str, code: object = None, kind: str = "server_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def new_api(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message, "data": None}


_PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>nginx</body></html>"

LOST = [
    Row("500 OpenAI", 500, openai("The server had an error while processing your request"), ("had an error",)),
    Row("500 new-api cannot reach its upstream", 500, new_api("do_request_failed", "Post \"https://up\": EOF")),
    Row("500 new-api hides why", 500, new_api("do_request_failed", "请求上游地址失败"), ("请求上游地址失败",)),
    Row("500 new-api cannot read the answer", 500, new_api("unmarshal_response_body_failed", "body: <html>: invalid character '<'")),
    Row("500 new-api finds no id", 500, new_api("invalid_response", "task_id is empty")),
    Row("500 new-api blames the model", 500, new_api("model_unavailable", "当前模型不可用"), ("当前模型不可用",)),
    Row("500 prematurely closed", 500, {"error": {"message": "Connection prematurely closed BEFORE response"}}),
    Row("500 overloaded", 500, openai("The server is overloaded or not ready yet.")),
    Row("500 of a 400", 500, {"detail": "400: Image URL is not accessible: a.jpg"}),
    Row("500 text", 500, "Internal Server Error", ("HTTP 500",)),
    Row("500 page", 500, _PAGE.format("500 Internal Server Error"), ("500 Internal Server Error",)),
    Row("500 no credit", 500, openai("Insufficient account balance", "insufficient_balance")),
    Row("500 moderation", 500, openai("Your request was rejected by our safety system.", "moderation_blocked")),
    Row("500 sora2api", 500, openai("No available tokens for video generation. All tokens are either disabled, cooling down, Sora2 quota exhausted, don't support Sora2, or expired.")),
    Row("501", 501, openai("not implemented", "not_implemented")),
    Row("502 overloaded", 502, openai("The engine is currently overloaded, please try again later")),
    Row("502 page", 502, _PAGE.format("502 Bad Gateway")),
    Row("503 without words of capacity", 503, {"error": {"message": "upstream returned 504"}}, ("upstream returned 504",)),
    Row("503 LightX2V has it already", 503, {"detail": "Task ID 3f2a already exists"}, ("already exists",)),
    Row("503 AWS timed out", 503, {"message": "Service Unavailable"}),
    Row("503 Kong", 503, {"message": "failure to get a peer from the ring-balancer"}),
    Row("503 Envoy", 503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination"),
    Row("503 page that asks to wait", 503, _PAGE.format("503 Service Temporarily Unavailable"), headers={"Retry-After": "1"}),
    Row("504 AWS", 504, {"message": "Endpoint request timed out"}),
    Row("504 page", 504, _PAGE.format("504 Gateway Time-out")),
    Row("504 new-api passes on", 504, new_api("fail_to_fetch_task", "error code: 504")),
    Row("505", 505, _PAGE.format("505 HTTP Version Not Supported")),
    Row("524 Cloudflare", 524, "error code: 524"),
    Row("529 without words", 529, {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}),
    Row("303 See Other", 303, headers={"Location": "/v1/videos/1"}),
    Row("307 elsewhere", 307, headers={"Location": "http://127.0.0.1:1/v1/videos"}),
    Row("408 LiteLLM", 408, openai("litellm.Timeout: Timeout Error: OpenAIException", "408")),
    Row("425", 425, openai("Too Early")),
    Row("499", 499, {"detail": "Client disconnected, task cancelled"}),
    Row("409 twin", 409, openai("A video with this request already exists", "duplicate_request")),
    Row("200 nothing", 200, ""),
    Row("200 page", 200, _PAGE.format("Sign in")),
    Row("200 cut off", 200, '{"id": "video_', media_type="application/json"),
    Row("200 OpenRouter with a 502", 200, {"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": "upstream timed out", "provider_name": "Sora"}}, "user_id": "org_1"}),
    Row("200 the request's id beside an error", 200, {"request_id": "req_20261102", "error": {"message": "upstream did not answer"}}),
    Row("200 another name for the id", 200, {"video": {"uuid": "{id}"}, "accepted": True}, ("video", "accepted")),
    Row("200 new-api finds no id", 200, new_api("invalid_response", "task_id is empty")),
    Row("200 queued, with words about others", 200, {"code": "queued", "message": "Task submitted. Too many running tasks, it starts later"}),
    Row("202 new-api wraps an upstream's 202", 202, new_api("fail_to_fetch_task", '{"id": "{id}", "status": "queued"}')),
    Row("202 new-api wraps an upstream's 202 with the prompt", 202, new_api("fail_to_fetch_task", '{"id": "{id}", "status": "queued", "prompt": "a real person smiles"}')),
    Row("503 that quotes the prompt", 503, {"error": {"message": "upstream returned 504 for 'an overloaded truck'"}}),
]  # fmt: skip
"""The order may have been taken: never sent again, held where no list can tell."""

LOST_FOR_ALL = {"500 no credit", "303 See Other", "307 elsewhere"}
"""Lost answers whose words concern every model."""

SHOWN_ID = ["200 another name for the id", "202 new-api wraps an upstream's 202"]
"""Lost answers in which something looks like an id: it is told, so that a person can adopt the video."""

TAKEN = [
    Row("id", 200, {"id": "{id}"}),
    Row("task_id", 200, {"task_id": "{id}"}),
    Row("taskId", 200, {"taskId": "{id}"}),
    Row("video_id", 200, {"video_id": "{id}"}),
    Row("request_id", 200, {"request_id": "{id}"}),
    Row("generation_id", 200, {"generation_id": "{id}"}),
    Row("data is the id", 200, {"code": 0, "message": "success", "data": "{id}"}),
    Row("data.task_id", 200, {"code": 0, "message": "SUCCEED", "request_id": "req_1", "data": {"task_id": "{id}", "task_status": "submitted"}}),
    Row("data.task.id", 200, {"data": {"task": {"id": "{id}"}}}),
    Row("result.id", 200, {"result": {"id": "{id}"}, "success": True, "errors": []}),
    Row("201", 201, {"id": "{id}", "status": "queued"}),
    Row("202", 202, {"id": "{id}", "polling_url": "/v1/videos/{id}", "status": "pending"}),
    Row("246 Portkey's guardrail did not deny", 246, {"id": "{id}", "status": "queued", "hook_results": {"before_request_hooks": [{"verdict": False}]}}),
]  # fmt: skip
"""The order was taken, and here is its id."""

LATER = [
    Row("429 OpenAI", 429, openai("Rate limit reached", "rate_limit_exceeded", "rate_limit_error")),
    Row("429 new-api", 429, new_api("fail_to_fetch_task", "当前分组上游负载已饱和，请稍后再试")),
    Row("429 LiteLLM cools down", 429, {"error": {"message": "No deployments available for selected model, Try again in 5 seconds. Passed model=sora-2. pre-call-checks=False, cooldown_list=['1f']", "type": "None", "param": "None", "code": "429"}}),
    Row("429 Kling", 429, {"code": 1303, "message": "parallel task over resource pack limit", "request_id": "1"}),
    Row("429 Gemini", 429, {"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).", "status": "RESOURCE_EXHAUSTED"}}),
    Row("503 overloaded", 503, openai("That model is currently overloaded with other requests.")),
    Row("503 that asks to wait", 503, openai("Please come back"), headers={"Retry-After": "0"}),
    Row("503 LightX2V is full", 503, {"detail": "Task queue is full (max 100 tasks)"}),
    Row("503 saturated", 503, openai("All workers are saturated")),
    Row("529 Anthropic's", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    Row("200 with a 429", 200, {"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "temporarily rate-limited upstream"}}}),
    Row("200 rate limit", 200, openai("Rate limit reached for requests", "rate_limit_exceeded", "rate_limit_error")),
]  # fmt: skip
"""Not taken, and taken a little later."""

REFUSED = [
    Row("400 OpenAI", 400, openai("Invalid value: 'seconds'", "invalid_value", "invalid_request_error"), ("Invalid value",)),
    Row("400 text", 400, {"error": "prompt is too rude"}, ("prompt is too rude",)),
    Row("400 new-api passes on", 400, new_api("fail_to_fetch_task", '{"error":{"message":"Unknown parameter: fps","code":"unknown_parameter"}}'), ("Unknown parameter",)),
    Row("400 OpenRouter", 400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"error":{"message":"seconds must be 4 or 8"}}'}}}, ("seconds must be 4 or 8",)),
    Row("400 Gemini's list", 400, [{"error": {"code": 400, "message": "Unknown name reasoning: Cannot find field.", "status": "INVALID_ARGUMENT"}}], ("Cannot find field",)),
    Row("413 nginx", 413, _PAGE.format("413 Request Entity Too Large"), ("413",)),
    Row("422 FastAPI", 422, {"detail": [{"loc": ["body", "fps"], "msg": "Field required", "type": "missing"}]}, ("Field required",)),
    Row("200 invalid request", 200, openai("Unknown parameter: fps", None, "invalid_request_error"), ("Unknown parameter",)),
    Row("200 with a 400", 200, openai("seconds must be 4", 400), ("seconds must be 4",)),
]  # fmt: skip
"""Not taken, and never: this order."""

MODERATED = [
    Row("400 OpenAI", 400, openai("Your request was blocked by our moderation system.", "moderation_blocked", "invalid_request_error")),
    Row("400 sentinel", 400, openai("Hmmm something didn't look right with your request.", "sentinel_block", "invalid_request_error")),
    Row("400 Azure", 400, openai("Your task failed as a result of our safety system.", "contentFilter")),
    Row("400 Kling", 400, {"code": 1301, "message": "Failure to pass the risk control system", "request_id": "1"}),
    Row("400 DashScope", 400, {"code": "DataInspectionFailed", "message": "Input data may contain inappropriate content.", "request_id": "1"}),
    Row("400 Ark", 400, openai("The request failed because the input image may contain sensitive information.", "InputImageSensitiveContentDetected")),
    Row("400 Ark person", 400, openai("The request failed because the input image may contain real person.", "InputImageSensitiveContentDetected.PrivacyInformation")),
    Row("400 flagged", 400, {"error": "The input was flagged by our content checker"}),
    Row("400 Veo", 400, openai("The prompt could not be submitted. It contains words that violate Google's Responsible AI practices. Support codes: 58061214")),
    Row("400 face", 400, {"detail": "Input images containing a real human face are not supported"}),
    Row("400 face in Chinese", 400, new_api("fail_to_fetch_task", "图片中包含真人人脸，不支持生成")),
    Row("400 Chinese", 400, new_api("fail_to_fetch_task", "输入内容包含敏感信息，请修改后重试")),
    Row("400 audit", 400, new_api("fail_to_fetch_task", "内容审核不通过")),
    Row("400 wrapped", 400, new_api("fail_to_fetch_task", '{"error":{"message":"rejected","code":"moderation_blocked"}}')),
    Row("403 policy", 403, openai("This content may violate our usage policies.", "content_policy_violation")),
    Row("403 risk", 403, {"message": "risk control", "code": 1301}),
    Row("446 Portkey", 446, {"error": {"message": "The guardrail checks defined in the config failed. You can find more information in the `hook_results` object.", "type": "hooks_failed", "param": None, "code": None}, "hook_results": {}}),
    Row("400 Cloudflare's list", 400, {"success": False, "result": [], "messages": [], "error": [{"code": 2016, "message": "Prompt blocked due to security configurations"}]}),
    Row("200 MiniMax", 200, {"task_id": "", "base_resp": {"status_code": 1026, "status_msg": "input new_sensitive: the input involves sensitive content"}}),
    Row("200 Jimeng picture", 200, {"code": 50411, "message": "Pre Img Risk Not Pass", "data": None, "request_id": "1"}),
    Row("200 Jimeng prompt", 200, {"code": 50412, "message": "Text Risk Not Pass", "data": None, "request_id": "1"}),
    Row("200 OpenAI's words", 200, openai("blocked by our moderation system", "moderation_blocked", "invalid_request_error")),
]  # fmt: skip
"""Not taken, and never: moderation refused this order at submit."""

FAILED_BY_MODERATION = {
    "code": ("moderation_blocked", "Your request was blocked by our moderation system."),
    "output": ("output_moderation", "The generated video was removed"),
    "risk control": (None, "Failure to pass the risk control system"),
    "DashScope": ("DataInspectionFailed", "Output data may contain inappropriate content."),
    "Ark": ("OutputVideoSensitiveContentDetected", "The output video may contain sensitive information."),
    "flagged": (None, "The output was flagged by the content filter E005"),
    "Veo": (None, "Veo could not generate videos because the input image violates Responsible AI practices."),
    "person": (None, "The input image contains a real person"),
    "face": (None, "Real human faces are not allowed in the reference"),
    "Jimeng": (50511, "Post Img Risk Not Pass"),
    "Chinese": (None, "生成的视频未通过审核"),
    "Chinese information": (None, "输出内容包含敏感信息"),
    "Chinese person": (None, "图片中包含真人"),
    "violation": (None, "内容违规"),
}
"""Codes and messages with which a job failed, whose order would fail again."""

KEY = [
    Row("401", 401, openai("Incorrect API key provided", "invalid_api_key", "invalid_request_error"), ("API key",)),
    Row("401 nothing", 401, "", ("API key",)),
    Row("400 LiteLLM without a database", 400, {"error": {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}}, ("API key", "No connected db")),
    Row("400 Gemini's list", 400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}], ("API key",)),
    Row("403 token", 403, openai("Invalid token (request id: 1)", None, "new_api_error"), ("API key",)),
    Row("200 key", 200, openai("Incorrect API key provided", "invalid_api_key", "invalid_request_error"), ("API key",)),
]  # fmt: skip
"""The key is refused: everybody waits."""

CREDIT = [
    Row("402 Replicate", 402, {"title": "Insufficient credit", "detail": "You have insufficient credit to run this model.", "status": 402}),
    Row("400 credit balance", 400, openai("Your credit balance is too low to access the API.", None, "invalid_request_error")),
    Row("400 Arrearage", 400, {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing.", "request_id": "1"}),
    Row("403 account balance", 403, openai("Insufficient account balance")),
    Row("400 LiteLLM", 400, {"error": {"message": "Budget has been exceeded! Current cost: 10.2, Max budget: 10.0", "type": "budget_exceeded", "param": None, "code": "400"}}),
    Row("403 fal", 403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}),
    Row("403 xAI", 403, {"code": "The caller does not have permission to execute the specified operation", "error": "Your newly created team doesn't have any credits or licenses yet."}),
    Row("400 Runway", 400, {"error": "You do not have enough credits to run this task.", "docUrl": "https://docs.dev.runwayml.com/api"}),
    Row("429 Zhipu", 429, {"error": {"code": "1113", "message": "Insufficient balance or no resource package. Please recharge."}}),
    Row("429 Kling", 429, {"code": 1102, "message": "Account balance not enough", "request_id": "1"}),
    Row("403 new-api", 403, openai("用户额度不足", "insufficient_user_quota", "new_api_error")),
    Row("200 MiniMax", 200, {"task_id": "", "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
]  # fmt: skip
"""The account is empty: everybody waits, and no key is blamed."""

MODEL = [
    Row("404 OpenAI", 404, openai("The model `sora-2` does not exist or you do not have access to it.", "model_not_found", "invalid_request_error")),
    Row("410 shut down", 410, openai("sora-2 was shut down on 2026-09-24.", "model_shut_down")),
    Row("400 mismatch", 400, openai("Model mismatch: request specifies sora-2 but this server runs Wan2.2", None, "BadRequestError")),
    Row("404 OpenRouter", 404, {"error": {"message": "No endpoints found for openai/sora-2.", "code": 404}}),
    Row("400 price", 400, openai("Model price not configured for sora-2", "model_price_error")),
    Row("400 price in Chinese", 400, new_api("model_price_error", "模型 sora-2 倍率或价格未配置")),
    Row("403 new-api", 403, openai("This token has no access to model sora-2", None, "new_api_error")),
    Row("403 new-api in Chinese", 403, openai("该令牌无权访问模型 sora-2", None, "new_api_error")),
    Row("401 LiteLLM", 401, {"error": {"message": "key not allowed to access model. This key can only access models=['gpt-4o']. Tried to access sora-2", "type": "key_model_access_denied", "param": "model", "code": "401"}}),
    Row("400 LiteLLM", 400, {"error": {"message": "/videos: Invalid model name passed in model=sora-2. Call `/v1/models` to view available models for your key.", "type": "invalid_request_error", "param": "model", "code": "400"}}),
]  # fmt: skip
"""The model is not to be had: its orders wait, those for another model go on."""

NEUTRAL = [
    Row("403 country", 403, openai("Country, region, or territory not supported", "unsupported_country_region_territory", "request_forbidden"), ("territory not supported",)),
    Row("403 firewall", 403, "<html><head><title>Attention Required! | Cloudflare</title></head></html>", ("Attention Required",)),
    Row("403 organisation", 403, openai("Your organization must be verified to use the model `sora-2`.", None, "invalid_request_error"), ("must be verified",)),
    Row("403 Azure's network", 403, {"error": {"code": "403", "message": "Traffic is not from an approved private endpoint."}}, ("private endpoint",)),
    Row("403 DashScope", 403, {"code": "AccessDenied", "message": "current user api does not support asynchronous calls.", "request_id": "1"}, ("asynchronous",)),
    Row("403 AWS has no such path", 403, {"message": "Missing Authentication Token"}, ("Missing Authentication Token",)),
    Row("403 bare", 403, {"message": "Forbidden"}, ("Forbidden",)),
]  # fmt: skip
"""Nobody knows what it is: everybody waits, it is quoted, and no key is blamed."""

UNREADABLE_POLLS = [
    Row("200 page", 200, _PAGE.format("Sign in")),
    Row("200 new-api has nothing", 200, {"code": "success", "data": None}),
    Row("200 no status", 200, {"object": "video"}),
    Row("403 LiteLLM did not record the owner", 403, {"detail": "Forbidden"}),
    Row("404 no such route", 404, _PAGE.format("404 Not Found")),
    Row("500 LiteLLM lacks credentials", 500, openai("litellm.APIConnectionError: Your default credentials were not found.", "500")),
    Row("501 new-api", 501, new_api("not_implemented", "not_implemented:54")),
    Row("502 page", 502, _PAGE.format("502 Bad Gateway")),
]  # fmt: skip
"""Polls from which nothing is learnt, for as long as they go on."""

FINISHED = [
    Row("bare list", 200, [{"id": "{id}", "status": "completed"}]),
    Row("list in data", 200, {"code": 0, "data": [{"id": "{id}", "status": "completed"}]}),
    Row("new-api's task", 200, {"code": "success", "data": {"task_id": "{id}", "status": "SUCCESS", "progress": "100%", "fail_reason": ""}}),
    Row("bare task", 200, {"task_id": "{id}", "status": "SUCCESS", "progress": "100%", "platform": "1", "fail_reason": ""}),
]  # fmt: skip
"""Polls that tell of a finished video."""

NO_PROOF = {
    "404": [Fault("answer_before", on="list", status=404, shape="detail_text", times=None)],
    "403": [Fault("answer_before", on="list", status=403, message="Forbidden", times=None)],
    "400 Bifrost": [Row("", 400, {"is_bifrost_error": True, "error": {"message": "provider query parameter is required"}}).fault("answer_before", "list")],
    "405": [Fault("answer_before", on="list", status=405, shape="empty", times=None)],
    "200 page": [Fault("answer_before", on="list", status=200, shape="html", times=None)],
    "200 null": [Row("", 200, {"object": "list", "data": None, "has_more": False}).fault("answer_before", "list")],
    "empty": [Fault("list_empty", times=None)],
    "lagging": [Fault("list_lagging", seconds=3600, times=None)],
    "hiding ours": [Fault("list_hidden", times=None)],
    "another account's": [Fault("list_foreign", times=None)],
    "without an end": [Fault("list_hidden", times=None), Fault("list_without_has_more", times=None)],
}  # fmt: skip
"""Lists that prove nothing about an order that they do not show."""
