"""What the servers on a GPU share that took over the routes of the reference contract: vLLM-Omni, SGLang, FastVideo.

All three are built on FastAPI, keep their videos in memory, and forget them when they are restarted.
"""

from __future__ import annotations

import hashlib
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from sorawatch.simulator import bodies, pictures
from sorawatch.simulator.api import Api, Call, Operation
from sorawatch.simulator.apis.fastapi import Fields, refused
from sorawatch.simulator.bodies import BadBodyError, Body, Form
from sorawatch.simulator.orders import Order
from sorawatch.simulator.responses import ApiError, SimulatedResponse

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo

DEFAULT_RATE = 24
"""Frames per second where a request does not say."""
DEFAULT_SECONDS = 4
_AREA = 832 * 480


class GpuVideos(Api):
    """See the module."""

    asks_for_key = False
    pages: ClassVar[bool] = True
    """Whether a list says whether there is more, and the first and the last id."""

    def operations(self) -> Sequence[Operation]:
        return (
            Operation("POST", "/v1/videos", "create", self.service.create),
            Operation("GET", "/v1/videos", "list", self._list),
            Operation("GET", "/v1/videos/{id}", "retrieve", self._retrieve, needs_video=True),
            Operation("DELETE", "/v1/videos/{id}", "delete", self._delete, needs_video=True),
            Operation("GET", "/v1/videos/{id}/content", "content", self._content, needs_video=True),
            Operation("GET", "/v1/models", "models", self._models),
            Operation("GET", "/health", "models", self._health),
        )

    @abstractmethod
    def resource(self, video: SimulatedVideo) -> dict[str, object]:
        """A video as the server describes it."""

    @abstractmethod
    def page_limits(self, request: Request) -> tuple[int | None, bool]:
        """The limit of a list request, None for none, and whether its order is descending. Raises ApiError."""

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        return SimulatedResponse.of(self.resource(video))

    async def form_of(self, request: Request) -> Form:
        """The parts of a form; of any other body, none. Raises ApiError."""
        if bodies.media_type(request) not in ("multipart/form-data", "application/x-www-form-urlencoded"):
            return {}
        try:
            return await bodies.read_form(request)
        except BadBodyError as error:
            raise self.error(400, str(error)) from error

    def order(
        self,
        prompt: str,
        picture: bytes,
        size: str | None,
        seconds: float,
        request: dict[str, object],
        failure: str | None = None,
    ) -> Order:
        """An order of the only model, which costs nothing. Without a size, the clip has the shape of the picture."""
        try:
            shape = pictures.fitted(pictures.size(picture), _AREA) if picture else "832x480"
        except pictures.BadPictureError as error:
            shape, failure = "832x480", failure or f"cannot identify image file: {error}"
        digest = hashlib.sha256(picture).hexdigest() if picture else ""
        width, _, height = (size or shape).partition("x")
        even = f"{max(2, int(width) // 2 * 2)}x{max(2, int(height) // 2 * 2)}"
        length = str(max(1, round(seconds)))
        return Order(prompt, self.cards[0].name, even, length, "", Decimal(0), digest, failure=failure, request=request)

    async def _list(self, call: Call) -> SimulatedResponse:
        limit, descending = self.page_limits(call.request)
        videos = self.service.ledger_book.all()[:: -1 if descending else 1]
        after = call.request.query_params.get("after")
        if after is not None:
            # After a video that is unknown, there is nothing.
            ids = [video.id for video in videos]
            videos = videos[ids.index(after) + 1 :] if after in ids else []
        shown = videos if limit is None else videos[:limit]
        page: dict[str, object] = {"data": [self.resource(video) for video in shown], "object": "list"}
        if self.pages:
            first, last = (shown[0].id, shown[-1].id) if shown else (None, None)
            page |= {"first_id": first, "last_id": last, "has_more": len(videos) > len(shown)}
        return SimulatedResponse.of(page)

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        clip_url = self.service.clip_url(call.video) if call.video.outcome == "completed" else ""
        return replace(SimulatedResponse.of(self.resource(call.video)), clip_url=clip_url)

    async def _delete(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        self.service.delete(call.video)
        return SimulatedResponse.of(self.resource(call.video))

    async def _content(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        return await self.clip(call.video)

    async def _models(self, _: Call) -> SimulatedResponse:
        data = [
            {
                "id": card.name,
                "object": "model",
                "created": int(time.time()),
                "owned_by": self.settings.api,
                "root": card.name,
            }
            for card in self.cards
        ]
        return SimulatedResponse.of({"object": "list", "data": data})

    async def _health(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of({"status": "ok"})


class FormOrJsonVideos(GpuVideos):
    """What SGLang has in common with FastVideo, from which it was copied: a create is a form or JSON.

    A picture is the file ``input_reference``, or a data URI in ``reference_url``; ``input_reference`` as text is the
    path of a file on the server. Neither looks at the name of the model. No answer shows the prompt.
    """

    texts: ClassVar[tuple[str, ...]]
    """The optional fields of a create that are text."""
    whole: ClassVar[tuple[str, ...]]
    """Those that are whole numbers, besides ``seconds``, ``fps`` and ``num_frames``."""
    numbers: ClassVar[tuple[str, ...]]
    """Those that are numbers."""
    flags: ClassVar[tuple[str, ...]]
    """Those that are truth values."""
    bad_picture_in_form: ClassVar[str]
    """How the error begins about a picture in a form that cannot be read."""
    bad_picture_in_json: ClassVar[str]
    """The same for a picture in JSON."""
    shape = "detail_text"

    def known_fields(self) -> frozenset[str]:
        named = ("prompt", "model", "size", "seconds", "fps", "num_frames", "input_reference", "reference_url")
        return frozenset((*named, "extra_body", "extra_json", *self.texts, *self.whole, *self.numbers, *self.flags))

    async def read(self, request: Request) -> Body:
        if bodies.media_type(request) == "multipart/form-data":
            body = Body(form=await self.form_of(request))
            return replace(body, prompt=body.text("prompt"))
        try:
            document = await bodies.read_json(request)
        except BadBodyError as error:
            if error.is_json:
                raise self.no_object() from None
            document = {}
        prompt = document.get("prompt")
        return Body(document=document, prompt=prompt if isinstance(prompt, str) else None)

    def check(self, body: Body) -> tuple[Order, bytes]:
        values = {name: parts[0] for name, parts in body.form.items()} if body.form else dict(body.document)
        if not body.form:
            for name in ("extra_body", "extra_json"):
                extra = values.pop(name, None)
                values.update(extra if isinstance(extra, dict) else {})
        fields = Fields(values, is_form=bool(body.form))
        texts = {name: fields.text(name) for name in ("prompt", "model", "size", "reference_url", *self.texts)}
        if not body.form:
            fields.text("prompt", required=True)
        seconds, rate, frames = (fields.integer(name) for name in ("seconds", "fps", "num_frames"))
        for name in self.whole:
            fields.integer(name)
        for name in self.numbers:
            fields.number(name)
        for name in self.flags:
            fields.boolean(name)
        if fields.errors and not body.form:
            raise refused(400, f"Invalid request body: {_pydantic(fields)}")
        fields.raise_errors()
        if not texts["prompt"] and body.form:
            raise refused(400, "prompt is required")
        picture, failure = self._picture(body, texts["reference_url"])
        size = self.checked_size(texts["size"])
        rate = DEFAULT_RATE if rate is None else rate
        frames = rate * (DEFAULT_SECONDS if seconds is None else seconds) if frames is None else frames
        length = frames / rate if rate else 0
        request: dict[str, object] = {"model": texts["model"], "size": size or ""}
        return self.order(texts["prompt"], picture, size, length, request, failure), picture

    def no_object(self) -> ApiError:
        """The error about a body in JSON that is no object: the server does not expect it."""
        return ApiError(SimulatedResponse(500, b"Internal Server Error", "text/plain; charset=utf-8"))

    def checked_size(self, size: str) -> str | None:
        """A size as ``WIDTHxHEIGHT``; None if it says nothing that the server understands."""
        parts = size.lower().replace(" ", "").split("x")
        return "x".join(parts) if len(parts) == 2 and all(part.isdecimal() and int(part) for part in parts) else None

    def _picture(self, body: Body, url: str) -> tuple[bytes, str | None]:
        """The picture of an order, which may be empty, and why its generation will fail."""
        if uploads := body.uploads("input_reference"):
            return uploads[0].data, None
        if url:
            try:
                return pictures.from_data_uri(url), None
            except pictures.BadPictureError:
                before = self.bad_picture_in_form if body.form else self.bad_picture_in_json
                raise refused(400, f"{before}: Unsupported image url format") from None
        path = body.document.get("input_reference")
        return b"", None if path is None else f"[Errno 2] No such file or directory: '{path}'"


def _pydantic(fields: Fields) -> str:
    """The errors as pydantic writes them."""
    count = len(fields.errors)
    lines = [f"{count} validation error{'' if count == 1 else 's'} for VideoGenerationsRequest"]
    for error in fields.errors:
        value, kind = error["input"], error["type"]
        detail = f"[type={kind}, input_value={value!r}, input_type={type(value).__name__}]"
        lines += [error["loc"][-1], f"  {error['msg']} {detail}"]
    return "\n".join(lines)
