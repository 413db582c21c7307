"""How a client speaks each API that the simulator has: create, poll, clip."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote

import requests

from sorawatch.simulator import Simulator
from tests.support.simulator_client import draw

_drawn = cache(draw)
PICTURE = _drawn(320, 192)


@dataclass
class ApiClient:
    """A client of the API of ``simulator``."""

    simulator: Simulator
    http: requests.Session = field(default_factory=requests.Session)
    key: str | None = "sk-simulated"

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        url = f"{self.simulator.url}{path}"
        return self.http.request(method, url, headers={**headers, **options.pop("headers", {})}, timeout=20, **options)

    def post(self, prompt: str = "Waves", picture: bytes = PICTURE, **changes: Any) -> requests.Response:
        """The answer to a create; a change to None leaves the field out."""
        raise NotImplementedError

    def id_of(self, created: requests.Response) -> str:
        assert created.status_code == 200, created.text
        return str(created.json()["id"])

    def poll(self, video_id: str) -> requests.Response:
        return self.send("GET", f"/videos/{quote(video_id, safe='')}")

    def state(self, video_id: str) -> str:
        """``running``, ``done`` or ``failed``."""
        status = self.poll(video_id).json()["status"]
        return {"completed": "done", "failed": "failed"}.get(status, "running")

    def clip(self, video_id: str, **options: Any) -> requests.Response:
        return self.send("GET", f"/videos/{quote(video_id, safe='')}/content", **options)


class FormClient(ApiClient):
    """The reference contract and its kin: a multipart form."""

    defaults: Mapping[str, str] = {"model": "sora-2", "size": "1280x720", "seconds": "4"}
    picture_size = (1280, 720)

    def post(self, prompt: str = "Waves", picture: bytes = b"", **changes: Any) -> requests.Response:
        fields = {"prompt": prompt, **self.defaults, **changes}
        files: list[Any] = [(name, (None, value)) for name, value in fields.items() if value is not None]
        files.append(("input_reference", ("a.jpg", picture or _drawn(*self.picture_size), "image/jpeg")))
        return self.send("POST", "/videos", files=files)


class GpuClient(FormClient):
    """vLLM-Omni, SGLang and FastVideo."""

    defaults: Mapping[str, str] = {"size": "320x192", "seconds": "2", "fps": "16"}
    picture_size = (320, 192)


class LightX2VClient(ApiClient):
    def post(self, prompt: str = "Waves", picture: bytes = PICTURE, **changes: Any) -> requests.Response:
        image = base64.b64encode(picture).decode()
        document = {"prompt": prompt, "image_path": image, **changes}
        return self.send("POST", "/tasks/video/", json={k: v for k, v in document.items() if v is not None})

    def id_of(self, created: requests.Response) -> str:
        assert created.status_code == 200, created.text
        return str(created.json()["task_id"])

    def poll(self, video_id: str) -> requests.Response:
        return self.send("GET", f"/tasks/{video_id}/status")

    def clip(self, video_id: str, **options: Any) -> requests.Response:
        return self.send("GET", f"/tasks/{video_id}/result", **options)


class ComfyUiClient(ApiClient):
    def post(self, prompt: str = "Waves", picture: bytes = PICTURE, **changes: Any) -> requests.Response:
        model = changes.pop("model", "wan2.2_ti2v_5B_fp16.safetensors")
        uploaded = self.upload(picture)
        document = {"prompt": graph(prompt, uploaded.json()["name"], model), **changes}
        return self.send("POST", "/prompt", json={k: v for k, v in document.items() if v is not None})

    def upload(self, picture: bytes, name: str = "a.jpg", **fields: str) -> requests.Response:
        return self.send("POST", "/upload/image", files={"image": (name, picture, "image/jpeg")}, data=fields)

    def id_of(self, created: requests.Response) -> str:
        assert created.status_code == 200, created.text
        return str(created.json()["prompt_id"])

    def poll(self, video_id: str) -> requests.Response:
        return self.send("GET", f"/history/{video_id}")

    def state(self, video_id: str) -> str:
        entry = self.poll(video_id).json().get(video_id)
        return {"success": "done", "error": "failed"}[entry["status"]["status_str"]] if entry else "running"

    def clip(self, video_id: str, **options: Any) -> requests.Response:
        outputs = self.poll(video_id).json()[video_id]["outputs"]
        file = next(iter(outputs.values()))["images"][0]
        return self.send("GET", "/view", params=file, **options)


def graph(prompt: str, picture: str, model: str = "wan2.2_ti2v_5B_fp16.safetensors") -> dict[str, Any]:
    """The image-to-video template of Wan 2.2, with 5 billion parameters."""
    return {
        "37": {"class_type": "UNETLoader", "inputs": {"unet_name": model, "weight_dtype": "default"}},
        "38": {"class_type": "CLIPLoader", "inputs": {"clip_name": "umt5.safetensors", "type": "wan"}},
        "39": {"class_type": "VAELoader", "inputs": {"vae_name": "wan2.2_vae.safetensors"}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["38", 0], "text": "blurred"}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["38", 0], "text": prompt}},
        "56": {"class_type": "LoadImage", "inputs": {"image": picture}},
        "55": {
            "class_type": "Wan22ImageToVideoLatent",
            "inputs": {
                "vae": ["39", 0],
                "start_image": ["56", 0],
                "width": 320,
                "height": 192,
                "length": 49,
                "batch_size": 1,
            },
        },
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["37", 0],
                "seed": 7,
                "steps": 20,
                "cfg": 5,
                "sampler_name": "uni_pc",
                "scheduler": "simple",
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["55", 0],
                "denoise": 1,
            },
        },
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["39", 0]}},
        "57": {"class_type": "CreateVideo", "inputs": {"images": ["8", 0], "fps": 24}},
        "58": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["57", 0], "filename_prefix": "video/ComfyUI", "format": "auto", "codec": "auto"},
        },
    }


CLIENTS: Mapping[str, type[ApiClient]] = {
    "openai": FormClient,
    "litellm": FormClient,
    "new-api": FormClient,
    "vllm-omni": GpuClient,
    "sglang": GpuClient,
    "fastvideo": GpuClient,
    "lightx2v": LightX2VClient,
    "comfyui": ComfyUiClient,
}
"""A client for each API of the simulator."""

StartApi = Callable[..., ApiClient]
"""Begins a simulator of the named API with the given settings."""
