"""A simulator for each test, and a client that speaks to it over real HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
import requests
from PIL import Image

from sorawatch.simulator import Simulator, SimulatorSettings, running


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


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a simulator whose generations end when told to; keywords are settings."""
    with ExitStack() as stack:

        def begin(**settings: Any) -> Client:
            chosen = SimulatorSettings(**{"generation_seconds": float("inf"), "frames_per_second": 1, **settings})
            client = Client(stack.enter_context(running(chosen)))
            stack.enter_context(client.http)
            return client

        yield begin


@pytest.fixture
def client(start: Start) -> Client:
    return start()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    return draw
