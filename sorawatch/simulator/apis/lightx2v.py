"""LightX2V's own server.

Source: ModelTC/LightX2V f8aee98 (2026-08-21), ``lightx2v/server``. It needs no key, renders one task after another,
keeps them in memory, and knows no model but the one that it was started with. The client may choose the ``task_id``.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import TYPE_CHECKING

from sorawatch.simulator import bodies, pictures
from sorawatch.simulator.api import Abilities, Api, Call, Operation, Refusal
from sorawatch.simulator.apis.fastapi import Fields, not_an_object, not_json, refused
from sorawatch.simulator.bodies import BadBodyError, Body, Upload
from sorawatch.simulator.orders import Order
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import ModelCard

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo

_TEXTS = (
    "task_id",
    "prompt",
    "negative_prompt",
    "image_path",
    "last_frame_path",
    "image_mask_path",
    "save_result_path",
    "presigned_url",
    "video_path",
    "audio_path",
)
_NUMBERS = ("target_video_length", "target_fps", "infer_steps", "seed", "num_fragments", "video_duration")
_FLAGS = ("use_prompt_enhancer", "reuse", "prefer_memory_result")
_OTHERS = ("target_shape", "lora_name", "lora_strength", "sr_ratio", "talk_objects", "resize_mode")
_FILES = ("image_file", "last_frame_file", "audio_file")
_AREA = 832 * 480


class LightX2V(Api):
    """See the module."""

    models = (ModelCard("wan2.1-i2v", "", {"832x480": Decimal(0)}, ("5",)),)
    shape = "detail_text"
    asks_for_key = False
    one_at_a_time = True
    max_running = 10
    unique_ids = True
    unknown = Refusal(404, "Task not found")
    abilities = Abilities(listed=False, progress=False)

    def operations(self) -> Sequence[Operation]:
        create = self.service.create
        return (
            Operation("POST", "/v1/tasks/video/", "create", create),
            Operation("POST", "/v1/tasks/video/form", "create", create),
            Operation("POST", "/v1/tasks/", "create", create),
            Operation("GET", "/v1/tasks/", "list", self._list),
            Operation("GET", "/v1/tasks/queue/status", "models", self._queue),
            Operation("GET", "/v1/tasks/{id}/status", "retrieve", self._retrieve, needs_video=True),
            Operation("GET", "/v1/tasks/{id}/result", "content", self._content, needs_video=True),
            Operation("DELETE", "/v1/tasks/{id}", "delete", self._delete),
            Operation("GET", "/v1/service/status", "models", self._service_status),
            Operation("GET", "/health", "models", self._health),
        )

    def authorize(self, request: Request) -> None:
        """There is no key, and a header that brings one is ignored."""

    def known_fields(self) -> frozenset[str]:
        return frozenset((*_TEXTS, *_NUMBERS, *_FLAGS, *_OTHERS, *_FILES))

    async def read(self, request: Request) -> Body:
        if request.url.path.endswith("/form"):
            try:
                body = Body(form=await bodies.read_form(request))
            except BadBodyError as error:
                raise refused(400, str(error)) from error
            return replace(body, prompt=body.text("prompt"))
        data = await request.body()
        if not bodies.media_type(request).endswith("json"):
            raise not_an_object(data)
        try:
            document = json.loads(data)
        except json.JSONDecodeError as error:
            raise not_json(error) from error
        if not isinstance(document, dict):
            raise not_an_object(data)
        prompt = document.get("prompt")
        return Body(document=document, prompt=prompt if isinstance(prompt, str) else None)

    def check(self, body: Body) -> tuple[Order, bytes]:
        values, upload = (_form_values(body), body.uploads("image_file")) if body.form else (body.document, [])
        fields = Fields(values, is_form=bool(body.form))
        texts = {name: fields.text(name) for name in _TEXTS}
        frames = fields.integer("target_video_length", 81) or 81
        rate = fields.integer("target_fps", 16) or 16
        for name in _NUMBERS[2:]:
            fields.integer(name)
        for name in _FLAGS:
            fields.boolean(name)
        if body.form and not upload:
            fields.errors.append(
                {"type": "missing", "loc": ["body", "image_file"], "msg": "Field required", "input": None}
            )
        shape = _shape(values, fields)
        fields.raise_errors()
        picture, failure = (upload[0].data, None) if upload else _picture(texts["image_path"])
        size = "832x480"
        if failure is None:
            try:
                size = shape or pictures.fitted(pictures.size(picture), _AREA)
            except pictures.BadPictureError:
                picture, failure = b"", "cannot identify image file"
        task_id = None if body.form or "task_id" not in body.document else texts["task_id"]
        digest = hashlib.sha256(picture).hexdigest() if picture else ""
        order = Order(
            texts["prompt"],
            self.cards[0].name,
            size,
            str(max(1, round(frames / rate))),
            "",
            Decimal(0),
            digest,
            task_id,
            failure,
            {"save_result_path": texts["save_result_path"]},
        )
        return order, picture

    def new_id(self) -> str:
        return "-".join(
            "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(4)) for _ in range(5)
        )

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        path = video.order.request["save_result_path"] or video.id
        return SimulatedResponse.of({"task_id": video.id, "task_status": "pending", "save_result_path": path})

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome != "completed":
            raise refused(404, "Task not completed")
        if video.is_expired():
            raise refused(404, f"File not found: {_path(video)}")
        response = await self.service.send_clip(video)
        name = PurePath(_path(video)).name
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Accept-Ranges": "bytes"}
        return replace(response, headers=headers, supports_range=False)

    def too_many(self) -> ApiError:
        return refused(503, f"Task queue is full (max {self.limit} tasks)")

    def repeated_id(self, video_id: str) -> ApiError:
        return refused(503, f"Task ID {video_id} already exists")

    async def _list(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of({video.id: _status(video) for video in self.service.ledger_book.all()})

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        return SimulatedResponse.of(_status(call.video))

    async def _content(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        return await self.clip(call.video)

    async def _delete(self, call: Call) -> SimulatedResponse:
        if call.video is None or call.video.outcome in ("completed", "failed"):
            document = {"stop_status": "do_nothing", "reason": "Task not found or already completed."}
            return SimulatedResponse.of(document)
        self.service.cancel(call.video)
        return SimulatedResponse.of({"stop_status": "success", "reason": "Task stopped successfully."})

    async def _queue(self, _: Call) -> SimulatedResponse:
        running = self.service.ledger_book.unfinished()
        limit = self.limit or 0
        return SimulatedResponse.of(
            {
                "is_processing": bool(running),
                "current_task": running[0].id if running else None,
                "pending_count": max(0, len(running) - 1),
                "active_count": len(running),
                "queue_size": limit,
                "queue_available": limit - len(running),
            }
        )

    async def _service_status(self, _: Call) -> SimulatedResponse:
        running, videos = self.service.ledger_book.unfinished(), self.service.ledger_book.all()
        return SimulatedResponse.of(
            {
                "service_status": "busy" if running else "idle",
                "current_task": running[0].id if running else None,
                "active_tasks": [video.id for video in running if video.started is not None],
                "pending_tasks": sum(video.started is None for video in running),
                "queue_size": self.limit,
                "total_tasks": len(videos),
                "completed_tasks": sum(video.outcome == "completed" for video in videos),
                "failed_tasks": sum(video.outcome == "failed" for video in videos),
            }
        )

    async def _health(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of({"status": "ok"})


API = LightX2V


def _form_values(body: Body) -> Mapping[str, object]:
    return {name: parts[0] for name, parts in body.form.items() if not isinstance(parts[0], Upload)}


def _shape(values: Mapping[str, object], fields: Fields) -> str | None:
    """The size that ``target_shape``, ``[height, width]``, asks for."""
    shape = values.get("target_shape", [])
    if not isinstance(shape, list) or not all(isinstance(side, int) for side in shape):
        fields.errors.append(
            {
                "type": "list_type",
                "loc": ["body", "target_shape"],
                "msg": "Input should be a valid list",
                "input": shape,
            }
        )
        return None
    return f"{shape[1] // 2 * 2}x{shape[0] // 2 * 2}" if len(shape) == 2 else None


def _picture(text: str) -> tuple[bytes, str | None]:
    """The picture that ``image_path`` holds, and why the task will fail: any other text is a path on the server."""
    if text.startswith("http"):
        # The server cannot reach any address. Its own 400 is caught by a broader clause, and comes out as 500.
        raise refused(500, f"400: Image URL is not accessible: {text}")
    try:
        picture = pictures.from_data_uri(text) if text.startswith("data:image/") else pictures.from_base64(text)
    except pictures.BadPictureError:
        return b"", f"[Errno 2] No such file or directory: '{text[:200]}'"
    return picture, None


def _path(video: SimulatedVideo) -> str:
    path = str(video.order.request["save_result_path"] or video.id)
    return path if PurePath(path).suffix else f"{path}.mp4"


def _time(seconds: float) -> str:
    """Unix seconds as the server writes them: the local time without its zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None).isoformat()


def _status(video: SimulatedVideo) -> dict[str, object]:
    status = video.outcome or ("pending" if video.started is None else "processing")
    error = {"failed": (video.plan.error or {}).get("message"), "cancelled": "Task cancelled by user"}.get(status)
    done = status == "completed"
    return {
        "task_id": video.id,
        "status": status,
        "start_time": _time(video.created_at),
        "end_time": None if video.ended_at is None else _time(video.ended_at),
        "error": error,
        "error_type": "",
        "save_result_path": _path(video) if done else video.order.request["save_result_path"] or video.id,
    }
