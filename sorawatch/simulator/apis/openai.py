"""The reference contract: OpenAI's Videos API as a reseller offers it.

Sources: the image-to-video reference of the default server for what a create takes and the messages about size,
format, ``input_reference`` and ``seconds``; the OpenAPI of OpenAI's Videos API for the resources, the list and what is
optional. The other messages are those of OpenAI's API for the same mistakes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from sorawatch.simulator import bodies, pictures
from sorawatch.simulator.api import Api, Call, Operation, Refusal, bearer, same_key
from sorawatch.simulator.bodies import BadBodyError, Body
from sorawatch.simulator.orders import Order
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import MODELS

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo
    from sorawatch.simulator.settings import ModelCard

PROMPT_LIMIT = 32_000
"""Characters; ``maxLength`` of the OpenAPI schema."""
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_FIELDS = ("model", "prompt", "seconds", "size")
_CREATED = 1_759_276_800
"""The ``created`` of all models in their list, in Unix seconds: the month when Sora 2 was published."""
_ABSENT = (
    ("POST", "/v1/videos/edits"),
    ("POST", "/v1/videos/extensions"),
    ("POST", "/v1/videos/characters"),
    ("GET", "/v1/videos/characters/{character}"),
    ("POST", "/v1/videos/{video}/remix"),
)
"""What OpenAI's API has and the server does not."""


class OpenAi(Api):
    """See the module."""

    models = MODELS
    shape = "openai"
    no_route = "Invalid URL ({method} {path})"
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "credit": Refusal(
            429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"
        ),
        "moderation": Refusal(400, "Your request was blocked by our moderation system.", "moderation_blocked"),
        "capacity": Refusal(
            503, "The server is currently overloaded with other requests. Please try again later.", None, "30"
        ),
        "rate": Refusal(429, "Rate limit reached for requests. Please try again in 20s.", "rate_limit_exceeded", "20"),
    }

    def operations(self) -> Sequence[Operation]:
        return (
            *(Operation(method, path, "models", _absent) for method, path in _ABSENT),
            Operation("POST", "/v1/videos", "create", self.service.create),
            Operation("GET", "/v1/videos", "list", self._list),
            Operation("GET", "/v1/videos/{id}", "retrieve", self._retrieve, needs_video=True),
            Operation("DELETE", "/v1/videos/{id}", "delete", self._delete, needs_video=True),
            Operation("GET", "/v1/videos/{id}/content", "content", self._content, needs_video=True),
            Operation("GET", "/v1/models", "models", self._models),
        )

    def authorize(self, request: Request) -> None:
        if (key := self.key()) is None:
            return
        given = bearer(request)
        if not given:
            raise openai_error(401, "You didn't provide an API key.", code="invalid_api_key")
        if not same_key(given, key):
            masked = f"{given[:3]}****{given[-2:]}" if len(given) > 8 else "****"
            raise openai_error(401, f"Incorrect API key provided: {masked}.", code="invalid_api_key")

    def account(self, request: Request) -> str:
        return request.headers.get("Authorization", "") if self.key() is None else ""

    async def read(self, request: Request) -> Body:
        media_type = bodies.media_type(request)
        if media_type == "application/json":
            document: Mapping[str, object] = {}
            with suppress(BadBodyError):
                document = await bodies.read_json(request)
            if not isinstance(document.get("seconds", ""), str):
                raise _bad_seconds(("4", "8", "12"))
        if media_type != "multipart/form-data":
            raise openai_error(400, "Content-Type must be multipart/form-data")
        try:
            body = Body(form=await bodies.read_form(request))
        except BadBodyError as error:
            raise openai_error(400, str(error)) from error
        return replace(body, prompt=body.text("prompt"))

    def check(self, body: Body) -> tuple[Order, bytes]:
        model = self._model(body)
        prompt = _prompt(body)
        seconds = _text(body, "seconds", model.seconds[0])
        if seconds not in model.seconds:
            raise _bad_seconds(model.seconds)
        size = _text(body, "size", next(iter(model.usd_per_second)))
        if size not in model.usd_per_second:
            raise _bad_value("size", size, tuple(model.usd_per_second))
        field = self.settings.image_field
        if field in body.form and not body.uploads(field):
            raise _missing(field)
        if len(body.uploads(field)) > 1:
            raise openai_error(400, f"Only one file is supported: {field}", param=field)
        reference = _picture(body, field, size)
        for name in body.form:
            if name not in _FIELDS and name != field and name not in self.settings.extra_fields:
                raise openai_error(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        digest = hashlib.sha256(reference).hexdigest() if reference else ""
        price = model.price(size, seconds)
        return Order(prompt, model.name, size, seconds, model.quality, price, digest), reference

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        return SimulatedResponse.of(self.resource(video, video.started))

    def resource(self, video: SimulatedVideo, now: float | None = None) -> dict[str, object]:
        """The ``VideoResource`` of the OpenAPI schema, with the ``quality`` of the API reference."""
        status, progress = video.progress(now)
        order = video.order
        return {
            "id": video.id,
            "object": "video",
            "model": order.model,
            "status": status,
            "progress": progress,
            "created_at": video.created_at,
            "completed_at": video.completed_at,
            "expires_at": None if video.expires_at is None else int(video.expires_at),
            "prompt": order.prompt,
            "size": order.size,
            "seconds": order.seconds,
            "quality": order.quality,
            "remixed_from_video_id": None,
            "error": video.plan.error if status == "failed" else None,
        }

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome is None:
            text = "Video is not ready yet, use GET /v1/videos/{video_id} to check status."
            raise openai_error(404, text, param="id")
        if video.outcome == "failed":
            raise openai_error(400, "Video generation failed, so there is no content.", param="id")
        if video.is_expired():
            raise openai_error(404, "Video content has expired.", param="id", code="video_expired")
        return await self.service.send_clip(video)

    def error(self, status: int, message: str, code: str | int | None = None, /) -> ApiError:
        return openai_error(status, message, code=code)

    def not_found(self, video_id: str) -> ApiError:
        return openai_error(404, f"Video with id '{video_id}' not found.", param="id")

    def too_many(self) -> ApiError:
        return openai_error(429, "too many running tasks", kind="rate_limit_error", code="rate_limit_exceeded")

    async def _list(self, call: Call) -> SimulatedResponse:
        query = call.request.query_params
        limit, descending = _page_limits(query)
        after = query.get("after")
        account = self.account(call.request)
        video = None if after is None else self.service.ledger_book.find(after, account)
        if after is not None and video is None:
            raise self.not_found(after)
        videos, more = self.service.ledger_book.page(account, video, limit, descending=descending)
        data = [self.resource(video) for video in videos]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return SimulatedResponse.of(
            {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
        )

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        clip_url = self.service.clip_url(call.video) if call.video.outcome == "completed" else ""
        return replace(SimulatedResponse.of(self.resource(call.video)), clip_url=clip_url)

    async def _delete(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        if call.video.outcome is None:
            raise openai_error(400, "Only a completed or failed video can be deleted.", param="id")
        self.service.delete(call.video)
        return SimulatedResponse.of({"id": call.video.id, "object": "video.deleted", "deleted": True})

    async def _content(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        variant = call.request.query_params.get("variant", "video")
        if variant != "video":
            raise _bad_value("variant", variant, ("video",))
        return await self.clip(call.video)

    async def _models(self, _: Call) -> SimulatedResponse:
        data = [
            {"id": card.name, "object": "model", "created": _CREATED, "owned_by": "sorawatch-simulator"}
            for card in self.cards
        ]
        return SimulatedResponse.of({"object": "list", "data": data})

    def _model(self, body: Body) -> ModelCard:
        name = _text(body, "model", self.cards[0].name)
        card = self.model(name)
        if card is None:
            text = f"The model `{name}` does not exist or you do not have access to it."
            raise openai_error(404, text, param="model", code="model_not_found")
        return card


API = OpenAi


def openai_error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | int | None = None,
) -> ApiError:
    """An error in OpenAI's form ``{"error": {"message", "type", "param", "code"}}``."""
    document = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return ApiError(SimulatedResponse.of(document, status))


async def _absent(call: Call) -> SimulatedResponse:
    url = call.request.url.path
    raise openai_error(404, f"Invalid URL ({call.request.method} {url})")


def _page_limits(query: Mapping[str, str]) -> tuple[int, bool]:
    """The limit of a list request, and whether its order is descending."""
    limit = query.get("limit", "20")
    if not (limit.isascii() and limit.isdecimal()):
        raise openai_error(400, f"Invalid type for 'limit': expected an integer, but got '{limit}'.", param="limit")
    if int(limit) > 100:
        text = f"Invalid 'limit': integer above maximum value. Expected a value <= 100, but got {limit} instead."
        raise openai_error(400, text, param="limit", code="integer_above_max_value")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise _bad_value("order", order, ("asc", "desc"))
    return int(limit), order == "desc"


def _text(body: Body, name: str, default: str | None = None) -> str:
    value = next(iter(body.form.get(name, ())), default)
    if not isinstance(value, str):
        raise _missing(name)
    return value


def _prompt(body: Body) -> str:
    prompt = _text(body, "prompt")
    if not prompt:
        text = "Expected a string with minimum length 1, but got an empty string instead."
        raise openai_error(400, f"Invalid 'prompt': empty string. {text}", param="prompt", code="empty_string")
    if len(prompt) > PROMPT_LIMIT:
        text = (
            f"Invalid 'prompt': string too long. Expected a string with maximum length {PROMPT_LIMIT}, "
            f"but got a string with length {len(prompt)} instead."
        )
        raise openai_error(400, text, param="prompt", code="string_above_max_length")
    return prompt


def _picture(body: Body, field: str, size: str) -> bytes:
    """The picture of the order, which may be empty."""
    if not (uploads := body.uploads(field)):
        return b""
    if (uploads[0].media_type or "").partition(";")[0].strip().lower() not in _FORMATS:
        raise _bad_format()
    try:
        found = pictures.size(uploads[0].data, tuple(_FORMATS.values()))
    except pictures.BadPictureError:
        raise _bad_format() from None
    if found != size:
        raise openai_error(400, "Inpaint image must match the requested width and height")
    return uploads[0].data


def _bad_format() -> ApiError:
    return openai_error(400, "Invalid file format", param="input_reference")


def _missing(name: str) -> ApiError:
    return openai_error(400, f"Missing required parameter: {name}", param=name, code="missing_required_parameter")


def _bad_seconds(allowed: Sequence[str]) -> ApiError:
    choices = ", ".join(f'"{seconds}"' for seconds in allowed)
    return openai_error(400, f"seconds must be one of {choices}", param="seconds", code="invalid_value")


def _bad_value(name: str, value: str, allowed: Sequence[str]) -> ApiError:
    quoted = [f"'{choice}'" for choice in allowed]
    listed = ", ".join(quoted[:-1]) + (", and " if quoted[:-1] else "") + quoted[-1]
    text = f"Invalid value: '{value}'. Supported values are: {listed}."
    return openai_error(400, text, param=name, code="invalid_value")
