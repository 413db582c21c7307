"""The bodies of error responses in the forms of different servers, or as a test defines them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from sorawatch.simulator.responses import SimulatedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.simulator.fault_types import Fault

SHAPES: Mapping[str, tuple[str, Callable[[Fault], str]]] = {
    "openai": ("application/json", lambda fault: json.dumps({"error": _error(fault)})),
    "error_text": ("application/json", lambda fault: json.dumps({"error": fault.message})),
    "detail_text": ("application/json", lambda fault: json.dumps({"detail": fault.message})),
    "detail_list": (
        "application/json",
        lambda fault: json.dumps({"detail": [{"loc": ["body"], "msg": fault.message, "type": "value_error"}]}),
    ),
    "code_message": (
        "application/json",
        lambda fault: json.dumps({"code": fault.code, "message": fault.message, "data": None}),
    ),
    "litellm": (
        "application/json",
        lambda fault: json.dumps(
            {
                "error": {
                    "message": fault.message,
                    "type": litellm_error_type(fault.status),
                    "param": None,
                    "code": str(fault.status),
                }
            }
        ),
    ),
    "vllm": (
        "application/json",
        lambda fault: json.dumps(
            {"error": {"message": fault.message, "type": _phrase(fault), "param": None, "code": fault.status}}
        ),
    ),
    "comfyui": (
        "application/json",
        lambda fault: json.dumps(
            {
                "error": {"type": fault.code or "error", "message": fault.message, "details": "", "extra_info": {}},
                "node_errors": {},
            }
        ),
    ),
    "html": ("text/html", lambda fault: f"<html><body><h1>{fault.status}</h1><p>{fault.message}</p></body></html>"),
    "unparsable": ("application/json", lambda _: '{"id": "video_'),
    "empty": ("text/plain", lambda _: ""),
}
"""The Content-Type and the text of each form, by name."""

_ID = "{id}"


_LITELLM_TYPES = {401: "authentication_error", 403: "permission_error", 429: "throttling_error"}


def litellm_error_type(status: int) -> str:
    """The type that LiteLLM gives to an error with this status."""
    return _LITELLM_TYPES.get(status, "invalid_request_error" if status < 500 else "internal_server_error")


def error_response(fault: Fault, response: SimulatedResponse) -> SimulatedResponse:
    """The response of ``fault``, whose shape is known, instead of ``response``, whose id may be inserted into it."""
    assert fault.shape is not None
    media_type, text = SHAPES[fault.shape]
    body = text(fault)
    if fault.body is not None:
        media_type = "application/json"
        body = fault.body.replace(_ID, str(json.loads(response.body)["id"])) if _ID in fault.body else fault.body
    waits = {"Retry-After": fault.retry_after, "retry-after-ms": fault.retry_after_ms}
    headers = {name: str(value) for name, value in waits.items() if value is not None}
    return SimulatedResponse(fault.status, body.encode(), fault.media_type or media_type, {**headers, **fault.headers})


def _phrase(fault: Fault) -> str:
    return HTTPStatus(fault.status).phrase


def _error(fault: Fault) -> dict[str, object]:
    return {"message": fault.message, "type": "server_error", "param": None, "code": fault.code}
