"""SGLang Diffusion.

Source: sglang 0.5.23, ``multimodal_gen/runtime/entrypoints``: ``openai/video_api.py``, ``openai/protocol.py``,
``openai/stores.py``, ``http_server.py``. It has no key, and takes any name of a model. It renders one video after
another. Its list has pages as the reference contract has, without prompts.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

from sorawatch.simulator.apis.fastapi import Fields, refused
from sorawatch.simulator.apis.gpu_videos import FormOrJsonVideos
from sorawatch.simulator.settings import ModelCard

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo
    from sorawatch.simulator.responses import ApiError, SimulatedResponse


class SgLang(FormOrJsonVideos):
    """See the module."""

    models = (ModelCard("Wan-AI/Wan2.2-I2V-A14B-Diffusers", "standard", {"832x480": Decimal(0)}, ("5",)),)
    one_at_a_time = True
    bad_picture_in_form = "Failed to process image source"
    # Its own 400 is caught by a broader clause.
    bad_picture_in_json = "Invalid request body: 400: Failed to process image source"
    texts = (
        "video_url",
        "video_path",
        "task_type",
        "generator_device",
        "negative_prompt",
        "frame_interpolation_model_path",
        "upscaling_model_path",
        "output_quality",
        "x264_preset",
        "output_path",
        "perf_dump_path",
        "extra_params",
    )
    whole = (
        "n",
        "num_outputs_per_prompt",
        "width",
        "height",
        "seed",
        "num_inference_steps",
        "max_sequence_length",
        "frame_interpolation_exp",
        "upscaling_scale",
        "output_compression",
    )
    numbers = ("guidance_scale", "guidance_scale_2", "true_cfg_scale", "flow_shift", "frame_interpolation_scale")
    flags = ("enhance_prompt", "enable_teacache", "enable_frame_interpolation", "enable_upscaling")

    def authorize(self, request: Request) -> None:
        """There is no key, and a header that brings one is ignored."""

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def no_object(self) -> ApiError:
        text = "Invalid request body: cannot convert dictionary update sequence element #0 to a sequence"
        return refused(400, text)

    def checked_size(self, size: str) -> str | None:
        if not size:
            return None
        if (checked := super().checked_size(size)) is None:
            raise refused(400, "size must be formatted as positive WIDTHxHEIGHT")
        return checked

    def resource(self, video: SimulatedVideo) -> dict[str, object]:
        status, progress = video.progress()
        done = status == "completed"
        path = f"/outputs/{video.id}.mp4"
        return {
            "id": video.id,
            "object": "video",
            "model": video.order.request["model"] or video.order.model,
            "status": status,
            "progress": progress,
            "created_at": video.created_at,
            "size": video.order.size,
            "seconds": video.order.seconds,
            "quality": "standard",
            "url": None,
            "urls": [None] if done else None,
            "remixed_from_video_id": None,
            "completed_at": video.completed_at,
            "expires_at": None,
            "error": video.plan.error if status == "failed" else None,
            "file_path": None if status == "failed" else path,
            "file_paths": [path] if done else None,
            "num_outputs": 1 if done else None,
            "peak_memory_mb": None,
            "inference_time_s": None,
            "revised_prompt": None,
            "action": None,
            "lidar": None,
        }

    def page_limits(self, request: Request) -> tuple[int | None, bool]:
        query = request.query_params
        fields = Fields(dict(query), "query")
        limit = fields.integer("limit", 20, 1, 100)
        order = fields.choice("order", ("desc", "asc"))
        fields.raise_errors()
        return limit, order == "desc"

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome not in ("completed", "failed"):
            raise refused(404, "Generation is still in-progress")
        if video.outcome == "failed" or video.is_expired():
            raise refused(404, "Video variant None not found")
        return await self.service.send_clip(video)


API = SgLang
