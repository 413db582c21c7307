"""FastVideo.

Source: FastVideo 0.2.1, ``fastvideo/entrypoints/openai``: ``video_api.py``, ``protocol.py``, ``utils.py``. It has no
key, takes any name of a model, and renders at once all that it has taken. A video is ``queued`` with a progress of 0
until it has ended. A clip whose file is gone is "still being generated".
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
    from sorawatch.simulator.responses import SimulatedResponse


class FastVideo(FormOrJsonVideos):
    """See the module."""

    models = (
        ModelCard("FastVideo/FastWan2.2-TI2V-5B-FullAttn-Diffusers", "standard", {"1280x704": Decimal(0)}, ("5",)),
    )
    pages = False
    bad_picture_in_form = bad_picture_in_json = "Failed to process image"
    texts = ("negative_prompt", "output_path")
    whole = ("seed", "num_inference_steps")
    numbers = ("guidance_scale", "guidance_scale_2", "true_cfg_scale")
    flags = ("enable_teacache",)

    def authorize(self, request: Request) -> None:
        """There is no key, and a header that brings one is ignored."""

    def new_id(self) -> str:
        return uuid.uuid4().hex

    def resource(self, video: SimulatedVideo) -> dict[str, object]:
        status = video.progress()[0]
        done = status == "completed"
        return {
            "id": video.id,
            "object": "video",
            "model": video.order.request["model"] or video.order.model,
            "status": "queued" if status == "in_progress" else status,
            "progress": 100 if done else 0,
            "created_at": video.created_at,
            "size": video.order.request["size"],
            "seconds": video.order.seconds,
            "quality": "standard",
            "url": None,
            "file_path": f"outputs/videos/{video.id}.mp4",
            "completed_at": video.completed_at,
            "error": video.plan.error if video.ended_at is not None else None,
            "peak_memory_mb": None,
            "inference_time_s": None if video.ended_at is None or not done else video.ended_at - video.created_at,
        }

    def page_limits(self, request: Request) -> tuple[int | None, bool]:
        fields = Fields(dict(request.query_params), "query")
        limit = fields.integer("limit", None, 1, 100)
        fields.raise_errors()
        return limit, request.query_params.get("order", "desc").lower() != "asc"

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome == "failed":
            raise refused(500, "Video generation failed")
        if video.outcome != "completed" or video.is_expired():
            raise refused(404, "Video still being generated")
        return await self.service.send_clip(video)


API = FastVideo
