"""A client that speaks to the simulator over real HTTP, and pictures to send with it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests
from PIL import Image

from sorawatch.simulator import Simulator


def draw(width: int = 1280, height: int = 720, file_format: str = "JPEG", shade: int = 0) -> bytes:
    """A gradient, so that frames differ from one another and from a blank."""
    slope = Image.linear_gradient("L").resize((width, height))
    picture = Image.merge(
        "RGB", (slope, slope.transpose(Image.Transpose.ROTATE_180), Image.new("L", slope.size, shade))
    )
    out = io.BytesIO()
    picture.save(out, file_format)
    return out.getvalue()


PICTURE = draw()


@dataclass
class Client:
    """The API of ``simulator`` as requests speaks it."""

    simulator: Simulator
    http: requests.Session = field(default_factory=requests.Session)
    key: str = "sk-simulated"

    def __post_init__(self) -> None:
        self.http.headers["Authorization"] = f"Bearer {self.key}"

    def authorize(self, header: str | None) -> None:
        """Send this header, or none, from now on."""
        self.http.headers.pop("Authorization", None)
        if header is not None:
            self.http.headers["Authorization"] = header

    def post(
        self, picture: bytes | None = PICTURE, media_type: str = "image/jpeg", timeout: float = 20, **fields: Any
    ) -> requests.Response:
        form = {"model": "sora-2", "prompt": "Waves", "size": "1280x720", "seconds": "4", **fields}
        # Fields given as files without names keep the body multipart where there is no picture.
        files: Any = [(name, (None, value)) for name, value in form.items() if value is not None]
        if picture is not None:
            files.append(("input_reference", ("reference", picture, media_type)))
        return self.http.post(f"{self.simulator.url}/videos", files=files, timeout=timeout)

    def create(self, **fields: Any) -> str:
        """The id of an accepted order."""
        answer = self.post(**fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def finished(self, **fields: Any) -> str:
        """The id of an order whose generation is over."""
        video_id = self.create(**fields)
        self.simulator.complete(video_id)
        return video_id

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.http.get(f"{self.simulator.url}{path}", **{"timeout": 20, **options})

    def video(self, video_id: str) -> requests.Response:
        return self.get(f"/videos/{quote(video_id, safe='')}")

    def content(self, video_id: str, **options: Any) -> requests.Response:
        return self.get(f"/videos/{quote(video_id, safe='')}/content", **options)


Start = Callable[..., Client]
"""Begins a simulator with the given settings."""
