"""The gateway new-api, with a channel for each maker of videos.

Source: QuantumNous/new-api of 2026: ``router/video-router.go``, ``middleware/auth.go``, ``middleware/distributor.go``,
``middleware/utils.go``, ``relay/relay_task.go``, ``relay/common/relay_utils.go``, ``controller/video_proxy.go`` and the
adaptors in ``relay/channel/task``. The channel follows from the model. That of Sora passes the request on. Those of
Kling, Doubao and Ali read text fields only: a picture that is sent as a file is dropped, and the video is billed
all the same. There is no list. Errors of the front have OpenAI's form, those of tasks ``{"code", "message", "data"}``.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from sorawatch.simulator import bodies, pictures
from sorawatch.simulator.api import Abilities, Api, Call, Operation, Refusal, same_key
from sorawatch.simulator.apis.openai import OpenAi
from sorawatch.simulator.bodies import BadBodyError, Body, Upload
from sorawatch.simulator.orders import Order
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import MODELS, ModelCard

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo

_SIZES = ("1280x720", "720x1280")


def _card(name: str, usd: str, *seconds: str) -> ModelCard:
    return ModelCard(name, "standard", MappingProxyType(dict.fromkeys(_SIZES, Decimal(usd))), seconds)


_CHANNELS = {"sora": "sora", "kling": "kling", "doubao": "doubao", "wan": "ali"}
"""The channel of a model, by how its name begins."""
_PICTURE_FIELDS = {"kling": ("image",), "doubao": ("images", "image"), "ali": ("input_reference",)}
"""The text fields in which the channels look for a picture."""
_STATUS = {"completed": "SUCCESS", "failed": "FAILURE", "queued": "QUEUED", "in_progress": "IN_PROGRESS"}


class NewApi(Api):
    """See the module."""

    models = (
        *MODELS,
        _card("kling-v2-6", "0.07", "5", "10"),
        _card("doubao-seedance-1-0-pro-250528", "0.05", "5", "10"),
        _card("wan2.5-i2v-preview", "0.05", "5", "10"),
    )
    shape = "code_message"
    abilities = Abilities(listed=False)
    unknown = Refusal(400, "task_not_exist", "task_not_exist")
    refusals: ClassVar[Mapping[str, Refusal]] = {
        "credit": Refusal(403, "用户额度不足, 剩余额度: ＄0.000000", "insufficient_user_quota"),
        "moderation": Refusal(
            400, '{"error":{"message":"Your request was blocked by our moderation system."}}', "fail_to_fetch_task"
        ),
        "rate": Refusal(429, "当前分组上游负载已饱和，请稍后再试", "fail_to_fetch_task"),
        "capacity": Refusal(
            503,
            "No available channel",
            body=json.dumps(
                {
                    "error": {
                        "message": "No available channel for model sora-2 under group default (distributor) "
                        "(request id: 20261129)",
                        "type": "new_api_error",
                        "code": "model_not_found",
                    }
                }
            ),
        ),
    }

    def operations(self) -> Sequence[Operation]:
        return (
            Operation("POST", "/v1/videos", "create", self.service.create),
            Operation("POST", "/v1/video/generations", "create", self.service.create),
            Operation("GET", "/v1/videos", "list", self._absent),
            Operation("GET", "/v1/videos/{id}", "retrieve", self._retrieve, needs_video=True),
            Operation("GET", "/v1/video/generations/{id}", "retrieve", self._task, needs_video=True),
            Operation("GET", "/v1/videos/{id}/content", "content", self._content),
            Operation("GET", "/v1/models", "models", self._models),
        )

    def authorize(self, request: Request) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("bearer ").strip()
        # Of a key, what follows a second hyphen names a channel.
        key = self.key()
        if key is not None and not same_key(_core(given), _core(key)):
            raise _front_error(401, "Invalid token")

    async def read(self, request: Request) -> Body:
        try:
            if bodies.media_type(request) == "multipart/form-data":
                body = Body(form=await bodies.read_form(request))
                return replace(body, prompt=body.text("prompt"))
            document = await bodies.read_json(request)
        except BadBodyError as error:
            raise _front_error(400, f"Invalid request: {error}") from error
        prompt = document.get("prompt")
        return Body(document=document, prompt=prompt if isinstance(prompt, str) else None)

    def check(self, body: Body) -> tuple[Order, bytes]:
        values = _values(body)
        model = values.get("model", "")
        if not isinstance(model, str):
            raise _front_error(400, "Invalid request: field model must be a string")
        if not model:
            raise _front_error(400, "Model name not specified, model name cannot be empty")
        card = self.model(model)
        if card is None:
            text = f"No available channel for model {model} under group default (distributor)"
            raise _front_error(503, text, "model_not_found")
        if not str(values.get("prompt", "")).strip():
            raise self.error(400, "prompt is required", "invalid_request")
        channel = next((name for start, name in _CHANNELS.items() if model.startswith(start)), "sora")
        if channel == "sora":
            return self._passed_on(body)
        return self._translated(values, card, channel)

    def new_id(self) -> str:
        return "task_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        document: dict[str, object] = {
            "id": video.id,
            "task_id": video.id,
            "object": "video",
            "model": video.order.model,
            "status": "queued",
            "progress": 0,
            "created_at": video.created_at,
        }
        if video.order.request["channel"] == "sora":
            document |= {"seconds": video.order.seconds, "size": video.order.size}
        return SimulatedResponse.of(document)

    def resource(self, video: SimulatedVideo) -> dict[str, object]:
        """A video in OpenAI's form; a key without a value is left out."""
        status, progress = video.progress()
        channel, order = video.order.request["channel"], video.order
        document: dict[str, object] = {
            "id": video.id,
            "object": "video",
            "model": "" if channel == "kling" else order.model,
            "status": status,
            "progress": 100 if status == "failed" else progress,
            "created_at": video.created_at,
        }
        if video.ended_at is not None:
            document["completed_at"] = int(video.ended_at)
        if channel in ("sora", "kling"):
            document["seconds"] = order.seconds
        if channel == "sora":
            document["size"] = order.size
        elif status == "completed":
            document["metadata"] = {"url": self.service.clip_url(video)}
        if status == "failed":
            document["error"] = {"code": "", **(video.plan.error or {})}
        return document

    def too_many(self) -> ApiError:
        refusal = self.refusals["rate"]
        return self.error(refusal.status, refusal.message, refusal.code)

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        status = video.progress()[0]
        if status != "completed":
            text = f"Task is not completed yet, current status: {_STATUS.get(status, status)}"
            raise _proxy_error(400, "invalid_request_error", text)
        if video.is_expired():
            raise _proxy_error(502, "server_error", "Upstream service returned status 404")
        response = await self.service.send_clip(video)
        return replace(response, headers={**response.headers, "Cache-Control": "public, max-age=86400"})

    async def _absent(self, call: Call) -> SimulatedResponse:
        text = f"Invalid URL ({call.request.method} {call.request.url.path})"
        error = {"message": text, "type": "invalid_request_error", "param": "", "code": ""}
        return SimulatedResponse.of({"error": error}, 404)

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        clip_url = self.service.clip_url(call.video) if call.video.outcome == "completed" else ""
        return replace(SimulatedResponse.of(self.resource(call.video)), clip_url=clip_url)

    async def _task(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        status, progress = call.video.progress()
        task = {
            "task_id": call.video.id,
            "status": _STATUS.get(status, status),
            "progress": f"{progress}%",
            "fail_reason": str((call.video.plan.error or {}).get("message", "")) if status == "failed" else "",
        }
        return SimulatedResponse.of({"code": "success", "message": "", "data": task})

    async def _content(self, call: Call) -> SimulatedResponse:
        if call.video is None:
            raise _proxy_error(404, "invalid_request_error", "Task not found")
        return await self.clip(call.video)

    async def _models(self, _: Call) -> SimulatedResponse:
        data = [{"id": card.name, "object": "model", "owned_by": "custom"} for card in self.cards]
        return SimulatedResponse.of({"success": True, "object": "list", "data": data})

    def _passed_on(self, body: Body) -> tuple[Order, bytes]:
        """The order as the server behind the channel of Sora takes it; its refusals become those of a task."""
        if not body.form:
            raise self.error(
                400, '{"error":{"message":"Content-Type must be multipart/form-data"}}', "fail_to_fetch_task"
            )
        try:
            order, picture = OpenAi(self.settings, self.service).check(body)
        except ApiError as error:
            raise self.error(error.response.status, error.response.body.decode(), "fail_to_fetch_task") from None
        return replace(order, request={"channel": "sora"}), picture

    def _translated(self, values: Mapping[str, object], card: ModelCard, channel: str) -> tuple[Order, bytes]:
        """The order as the adaptor of a channel makes it of the text fields."""
        size = str(values.get("size", ""))
        if channel == "ali" and size and not size.upper().endswith("P"):
            text = f'{{"code":"InvalidParameter","message":"resolution {size.upper()}P is not supported"}}'
            raise self.error(400, text, "fail_to_fetch_task")
        duration = values.get("duration", values.get("seconds", card.seconds[0]))
        seconds = str(duration) if str(duration) in card.seconds else card.seconds[0]
        picture = b""
        for name in _PICTURE_FIELDS[channel]:
            value = values.get(name)
            given = value[0] if isinstance(value, list) and value else value
            if isinstance(given, str) and given:
                picture = self._decoded(given, channel)
                break
        digest = hashlib.sha256(picture).hexdigest() if picture else ""
        shape = size if size in card.usd_per_second else next(iter(card.usd_per_second))
        usd = card.price(shape, seconds)
        order = Order(
            str(values["prompt"]), card.name, shape, seconds, "standard", usd, digest, request={"channel": channel}
        )
        return order, picture

    def _decoded(self, text: str, channel: str) -> bytes:
        """A picture in the form that the maker behind the channel takes: Kling without the prefix of a data URI."""
        try:
            picture = pictures.from_base64(text) if channel == "kling" else pictures.from_data_uri(text)
            pictures.size(picture)
        except pictures.BadPictureError:
            raise self.error(400, "File is not in a valid base64 format", "task_failed") from None
        return picture


API = NewApi


def _core(key: str) -> str:
    """The part of a key that counts."""
    return key.removeprefix("sk-").partition("-")[0]


def _values(body: Body) -> dict[str, object]:
    """The fields that the gateway sees: of a form, only those that are text."""
    if not body.form:
        return dict(body.document)
    texts = {name: [part for part in parts if not isinstance(part, Upload)] for name, parts in body.form.items()}
    return {name: parts if name == "images" else parts[0] for name, parts in texts.items() if parts}


def _front_error(status: int, message: str, code: str = "") -> ApiError:
    """An error before a task is made."""
    text = f"{message} (request id: {secrets.token_hex(8)})"
    return ApiError(SimulatedResponse.of({"error": {"message": text, "type": "new_api_error", "code": code}}, status))


def _proxy_error(status: int, kind: str, message: str) -> ApiError:
    """An error about a clip."""
    return ApiError(SimulatedResponse.of({"error": {"message": message, "type": kind}}, status))
