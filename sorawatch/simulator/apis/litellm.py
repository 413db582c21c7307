"""The LiteLLM proxy without a database, in front of a server of the reference contract.

Source: LiteLLM 1.108.7 was run in front of this simulator with ``num_retries: 0``, and these are its answers; for a
request without a key its source, ``proxy/auth/user_api_key_auth.py``. An id holds the provider, the model and the
deployment in Base64, and so has more than 200 characters. No answer shows the prompt. The list wants the name of a
provider, and then asks that provider itself. What the server behind it says is repeated within a longer message, and
its Retry-After is lost.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from sorawatch.simulator import bodies
from sorawatch.simulator.api import Abilities, Api, Call, Operation, Refusal, bearer, same_key
from sorawatch.simulator.apis.fastapi import refused
from sorawatch.simulator.apis.openai import OpenAi
from sorawatch.simulator.bodies import BadBodyError, Body
from sorawatch.simulator.error_bodies import litellm_error_type
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import MODELS

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo
    from sorawatch.simulator.orders import Order
    from sorawatch.simulator.service import Service
    from sorawatch.simulator.settings import SimulatorSettings

_DEPLOYMENT = "a9e8d4a9c92cffd6645f242ab1aff1a0629d584a9de128b6dab73da01703f8da"
_NO_PROVIDER = (
    "litellm.BadRequestError: LLM Provider NOT provided. Pass in the LLM provider you are trying to call. You passed "
    "model=\n Pass model as E.g. For 'Huggingface' inference endpoints pass in "
    "`completion(model='huggingface/starcoder',..)` Learn more: https://docs.litellm.ai/docs/providers"
)
_UNREACHABLE = (
    "litellm.InternalServerError: InternalServerError: OpenAIException - [Errno -2] Name or service not known"
)
_CLASSES = {400: "BadRequestError", 429: "RateLimitError", 503: "ServiceUnavailableError"}


_AFTER = "\n\nLiteLLM: model group 'sora-2' failed with the error above. No fallback was attempted."


def _repeated(status: int, message: str) -> Refusal:
    """How the proxy repeats a refusal of the server behind it."""
    name = _CLASSES[status]
    twice = name if status == 400 else f"{name}: {name}"
    return Refusal(status, f'litellm.{twice}: OpenAIException - {{"error": {{"message": "{message}"}}}}{_AFTER}')


class LiteLlm(Api):
    """See the module."""

    models = MODELS
    shape = "litellm"
    abilities = Abilities(listed=False)
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "credit": _repeated(429, "You exceeded your current quota, please check your plan and billing details."),
        "moderation": _repeated(400, "Your request was blocked by our moderation system."),
        "capacity": _repeated(503, "The server is currently overloaded with other requests."),
        "rate": _repeated(429, "Rate limit reached for requests. Please try again in 20s."),
    }

    def __init__(self, settings: SimulatorSettings, service: Service) -> None:
        super().__init__(settings, service)
        self._behind = OpenAi(settings, service)

    def operations(self) -> Sequence[Operation]:
        plain = (
            Operation("POST", "/videos", "create", self.service.create),
            Operation("GET", "/videos", "list", self._list),
            Operation("GET", "/videos/{id}", "retrieve", self._retrieve, needs_video=True),
            Operation("GET", "/videos/{id}/content", "content", self._content, needs_video=True),
            Operation("GET", "/models", "models", self._models),
        )
        return (*(replace(operation, path=f"/v1{operation.path}") for operation in plain), *plain)

    def authorize(self, request: Request) -> None:
        if (key := self.key()) is None:
            return
        given = bearer(request)
        if not given:
            raise _error(401, "Authentication Error, No api key passed in.", "auth_error")
        if not same_key(given, key):
            raise _error(400, "No connected db.", "no_db_connection")

    async def read(self, request: Request) -> Body:
        try:
            if bodies.media_type(request) == "multipart/form-data":
                body = Body(form=await bodies.read_form(request))
            else:
                document = await bodies.read_json(request)
                # The server behind it gets a form in any case.
                body = Body(form={name: [str(value)] for name, value in document.items()})
        except BadBodyError as error:
            raise _error(400, f"Invalid JSON payload: {error}", "invalid_request_error", "request_body") from error
        return replace(body, prompt=body.text("prompt"))

    def check(self, body: Body) -> tuple[Order, bytes]:
        model = body.text("model")
        if model is None or self.model(model) is None:
            text = (
                f"/videos: Invalid model name passed in model={model}. Call `/v1/models` to view available models for "
                "your key."
            )
            raise _error(400, text, "invalid_request_error")
        if body.prompt is None:
            text = "/videos: Missing required parameter: 'prompt'."
            raise _error(400, text, "invalid_request_error", "prompt")
        try:
            return self._behind.check(body)
        except ApiError as error:
            raise _wrapped(error, model) from error

    def new_id(self) -> str:
        inner = f"video_{secrets.token_hex(16)}"
        text = f"litellm:custom_llm_provider:openai;model_id:sora-2;video_id:{inner};deployment_id:{_DEPLOYMENT}"
        return "video_" + base64.b64encode(text.encode()).decode()

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        seconds = {"duration_seconds": float(video.order.seconds)}
        return SimulatedResponse.of({**self.resource(video), "status": "queued", "progress": 0, "usage": seconds})

    def resource(self, video: SimulatedVideo) -> dict[str, object]:
        """The ``VideoObject`` of LiteLLM: what it knows of that of the server behind it."""
        behind = self._behind.resource(video)
        names = ("id", "object", "status", "created_at", "completed_at", "expires_at", "error", "progress")
        more = ("remixed_from_video_id", "seconds", "size", "model")
        return {**{name: behind[name] for name in (*names, *more)}, "usage": None}

    def not_found(self, video_id: str) -> ApiError:
        """A video that the server behind does not have; an id of another form is asked of OpenAI itself."""
        inner = _inner_id(video_id)
        if inner is None:
            return _error(500, _UNREACHABLE, "internal_server_error")
        return _wrapped(self._behind.not_found(inner), "sora-2")

    def too_many(self) -> ApiError:
        return _wrapped(self._behind.too_many(), "sora-2")

    def missing_route(self, status: int, text: str) -> ApiError:
        return refused(status, text)

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        try:
            response = await self._behind.clip(video)
        except ApiError as error:
            raise _wrapped(error, video.order.model) from error
        disposition = {"Content-Disposition": f"attachment; filename=video_{video.id}.mp4"}
        return replace(response, headers=disposition, supports_range=False)

    async def _list(self, call: Call) -> SimulatedResponse:
        if "custom_llm_provider" in call.request.query_params:
            raise _error(500, _UNREACHABLE, "internal_server_error")
        raise _error(400, _NO_PROVIDER, "invalid_request_error")

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        clip_url = self.service.clip_url(call.video) if call.video.outcome == "completed" else ""
        return replace(SimulatedResponse.of(self.resource(call.video)), clip_url=clip_url)

    async def _content(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        return await self.clip(call.video)

    async def _models(self, _: Call) -> SimulatedResponse:
        data = [
            {"id": card.name, "object": "model", "created": 1_677_610_602, "owned_by": "openai"} for card in self.cards
        ]
        return SimulatedResponse.of({"data": data, "object": "list"})


API = LiteLlm


def _error(status: int, message: str, kind: str, param: str | None = None) -> ApiError:
    document = {"error": {"message": message, "type": kind, "param": param, "code": str(status)}}
    return ApiError(SimulatedResponse.of(document, status))


def _wrapped(error: ApiError, model: str) -> ApiError:
    """An error of the server behind the proxy, as the proxy repeats it."""
    status = error.response.status
    name = _CLASSES.get(status, "BadRequestError")
    twice = name if name == "BadRequestError" else f"{name}: {name}"
    after = f"LiteLLM: model group '{model}' failed with the error above. No fallback was attempted."
    text = f"litellm.{twice}: OpenAIException - {error.response.body.decode()}\n\n{after}"
    return _error(status, text, litellm_error_type(status))


def _inner_id(video_id: str) -> str | None:
    """The id of the server behind, or None if the id is none of LiteLLM's."""
    try:
        text = base64.b64decode(video_id.removeprefix("video_") + "==").decode()
    except ValueError:
        return None
    _, found, rest = text.partition("video_id:")
    return rest.partition(";")[0] if found else None
