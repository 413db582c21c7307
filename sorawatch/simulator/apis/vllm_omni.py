"""vLLM-Omni.

Source: vllm-omni 0.30.0, ``entrypoints/openai``: ``api_server.py``, ``video/generation/helpers.py`` and
``protocol/videos.py``. A create is a multipart form, whose unknown fields are ignored. The model must be the one that
the server runs. A poll of a failed video is an error of HTTP with the JSON of the video. The list shows the prompts.
With ``--api-key`` it asks for a key. Errors have the form of vLLM, which makes 400 of FastAPI's 422.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sorawatch.simulator import pictures
from sorawatch.simulator.api import Call, bearer, same_key
from sorawatch.simulator.apis.fastapi import Fields, refused
from sorawatch.simulator.apis.gpu_videos import DEFAULT_RATE, DEFAULT_SECONDS, GpuVideos
from sorawatch.simulator.bodies import Body
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import ModelCard

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo
    from sorawatch.simulator.orders import Order

_TEXTS = ("control_type", "image_reference", "video_reference", "audio_reference", "user", "aspect_ratio", "quality")
_WHOLE = ("width", "height", "num_frames", "seed", "num_inference_steps")
_WHOLE_FROM_1 = ("short_edge", "num_outputs_per_prompt", "frame_interpolation_exp")
_NUMBERS = ("guidance_scale", "guidance_scale_2", "boundary_ratio", "flow_shift", "true_cfg_scale", "sound_duration")
_FLAGS = ("generate_sound", "enable_frame_interpolation", "return_stage_metrics")
_OTHERS = (
    "negative_prompt",
    "frame_interpolation_model_path",
    "frame_interpolation_scale",
    "start_time_seconds",
    "lora",
    "extra_params",
    "input_reference",
    "input_references",
    "control_reference",
    "source_video",
    "source_audio",
    "video_noise_mask",
    "audio_noise_mask",
)


class VllmOmni(GpuVideos):
    """See the module."""

    models = (ModelCard("Wan-AI/Wan2.2-I2V-A14B-Diffusers", "", {"832x480": Decimal(0)}, ("5",)),)
    shape = "vllm"
    one_at_a_time = True

    def authorize(self, request: Request) -> None:
        key = self.key()
        if key is not None and request.url.path.startswith("/v1") and not same_key(bearer(request), key):
            raise ApiError(SimulatedResponse.of({"error": "Unauthorized"}, 401))

    def known_fields(self) -> frozenset[str]:
        named = ("prompt", "model", "seconds", "size", "fps")
        return frozenset((*named, *_TEXTS, *_WHOLE, *_WHOLE_FROM_1, *_NUMBERS, *_FLAGS, *_OTHERS))

    async def read(self, request: Request) -> Body:
        body = Body(form=await self.form_of(request))
        return replace(body, prompt=body.text("prompt"))

    def check(self, body: Body) -> tuple[Order, bytes]:
        values: Mapping[str, object] = {name: parts[0] for name, parts in body.form.items()}
        fields = Fields(values)
        prompt = fields.text("prompt", required=True)
        seconds = fields.text("seconds", pattern=r"^[1-9]\d*$")
        size = fields.text("size", pattern=r"^\d+x\d+$")
        rate = fields.number("fps", None, 1)
        whole = {name: fields.integer(name) for name in _WHOLE}
        for name in _WHOLE_FROM_1:
            fields.integer(name, None, 1)
        for name in _NUMBERS:
            fields.number(name)
        for name in _FLAGS:
            fields.boolean(name)
        if fields.errors:
            raise self._invalid(fields, "POST")
        references = ("input_reference", "image_reference", "video_reference")
        if sum(name in body.form for name in references) > 1 and "input_reference" in body.form:
            text = (
                "Provide only one of input_reference, image_reference, or video_reference when using input_reference; "
                "image_reference and video_reference may be combined."
            )
            raise self.error(400, text)
        model = body.text("model")
        if model and model != self.cards[0].name:
            text = f"Model mismatch: request specifies '{model}' but server is running '{self.cards[0].name}'."
            raise self.error(400, text)
        picture = self._picture(body)
        rate = rate or DEFAULT_RATE
        frames = whole["num_frames"] or (int(float(seconds) * rate) if seconds else None)
        length = float(seconds) if seconds else frames / rate if frames else DEFAULT_SECONDS
        named = f"{whole['width']}x{whole['height']}" if whole["width"] and whole["height"] else None
        request: dict[str, object] = {
            "size": size or None,
            "seconds": seconds or "4",
            "quality": body.text("quality") or "default",
            "fps": rate,
            "num_frames": frames,
            "duration_s": length if seconds or frames else None,
        }
        return self.order(prompt, picture, size or named, frames / rate if frames else length, request), picture

    def new_id(self) -> str:
        return f"video_gen_{uuid.uuid4().hex}"

    def resource(self, video: SimulatedVideo) -> dict[str, object]:
        status = video.outcome or ("queued" if video.started is None else "in_progress")
        done = status == "completed"
        error = {"code": 500, "message": (video.plan.error or {}).get("message")} if status == "failed" else None
        return {
            "model": video.order.model,
            "prompt": video.order.prompt,
            "id": video.id,
            "object": "video",
            "status": status,
            "progress": 100 if done else 0,
            "completed_at": None if video.ended_at is None else int(video.ended_at),
            "created_at": video.created_at,
            "remixed_from_video_id": None,
            "error": error,
            "media_type": "video/mp4",
            "expires_at": None,
            "file_name": f"{video.id}.mp4" if done else None,
            "inference_time_s": None if video.ended_at is None else video.ended_at - video.created_at,
            "metrics": None,
            "stage_durations": {},
            "peak_memory_mb": 0.0,
            "action": None,
            **video.order.request,
        }

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        return SimulatedResponse.of({**self.resource(video), "status": "queued"})

    def missing_route(self, status: int, text: str) -> ApiError:
        return refused(status, text)

    def page_limits(self, request: Request) -> tuple[int | None, bool]:
        query = request.query_params
        fields = Fields(dict(query), "query")
        limit = fields.integer("limit", None, 0, 100)
        order = fields.choice("order", ("desc", "asc"))
        if fields.errors:
            raise self._invalid(fields, "GET")
        return limit, order == "desc"

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome == "failed":
            raise self.error(422, "Video generation failed. Check job status for error details.")
        if video.outcome != "completed":
            raise self.error(404, "Generation is still in-progress")
        if video.is_expired():
            raise self.error(404, "Generated video file not found on disk")
        return await self.service.send_clip(video)

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        response = await super()._retrieve(call)
        assert call.video is not None
        return replace(response, status=500) if call.video.outcome == "failed" else response

    async def _delete(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        self.service.delete(call.video)
        return SimulatedResponse.of({"id": call.video.id, "deleted": True, "object": "video.deleted"})

    def _invalid(self, fields: Fields, method: str) -> ApiError:
        """The error about wrong fields, whose message has the errors of FastAPI twice, as Python writes them."""
        errors = [{**error, "loc": (fields.location, error["loc"][-1])} for error in fields.errors]
        lines = "".join(f"  {error}\n" for error in errors)
        plural = "" if len(errors) == 1 else "s"
        text = f"{len(errors)} validation error{plural}:\n{lines}\n  Endpoint: {method} /v1/videos {errors}"
        return self.error(400, text)

    def _picture(self, body: Body) -> bytes:
        """The picture, as a file or in the JSON of ``image_reference``; it may be left out."""
        uploads = [*body.uploads("input_reference"), *body.uploads("input_references")]
        if uploads:
            return self._decoded(uploads[0].data, "input_reference")
        text = body.text("image_reference")
        if not text:
            return b""
        try:
            document = json.loads(text)
        except ValueError:
            raise self.error(400, "Invalid JSON in form field.") from None
        url = document.get("image_url") if isinstance(document, dict) else None
        if not isinstance(url, str) or not url.startswith("data:"):
            text = "Invalid image_reference.image_url: must be an http(s) URL or data URL."
            raise self.error(400, text)
        try:
            return self._decoded(pictures.from_data_uri(url), "image_reference.image_url")
        except pictures.BadPictureError:
            raise self.error(400, "Invalid image_reference.image_url: image data is not valid base64.") from None

    def _decoded(self, data: bytes, source: str) -> bytes:
        try:
            pictures.size(data)
        except pictures.BadPictureError:
            # What is no picture is read as a video.
            raise self.error(400, f"Invalid {source}: provided content is not a valid video.") from None
        return data


API = VllmOmni
