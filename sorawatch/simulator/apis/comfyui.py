"""ComfyUI's own server, with the nodes of its image-to-video templates.

Source: Comfy-Org/ComfyUI, ``server.py`` and ``execution.py`` of autumn 2026. It needs no key, executes one prompt after
another, and keeps queue and history in memory. The client may choose the ``prompt_id``, a lower-case UUID; one that is
used again is queued again. ``{}`` is the history of a prompt that runs as well as of one that is unknown.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sorawatch.simulator import bodies, pictures
from sorawatch.simulator.api import Abilities, Api, Call, Operation
from sorawatch.simulator.apis import comfyui_graph
from sorawatch.simulator.bodies import BadBodyError, Body, Upload
from sorawatch.simulator.orders import Order
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import ModelCard

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.ledger import SimulatedVideo
    from sorawatch.simulator.service import Service
    from sorawatch.simulator.settings import SimulatorSettings

_FOLDERS = ("input", "output", "temp")
_FIELDS = frozenset({"prompt", "prompt_id", "client_id", "extra_data", "front", "number", "partial_execution_targets"})
_AREA = 1280 * 704
_MODEL = "wan2.2_ti2v_5B_fp16.safetensors"


class ComfyUi(Api):
    """See the module."""

    models = (ModelCard(_MODEL, "", {"1280x704": Decimal(0)}, ("5",)),)
    base_path = ""
    shape = "comfyui"
    asks_for_key = False
    one_at_a_time = True
    abilities = Abilities(listed=False, videos=False, progress=False)

    def __init__(self, settings: SimulatorSettings, service: Service) -> None:
        super().__init__(settings, service)
        self._uploads: dict[tuple[str, str, str], bytes] = {}
        """What was uploaded, by type, subfolder and name."""

    def operations(self) -> Sequence[Operation]:
        plain = (
            Operation("POST", "/upload/image", "upload", self._upload),
            Operation("POST", "/prompt", "create", self.service.create),
            Operation("GET", "/prompt", "models", self._remaining),
            Operation("GET", "/history/{id}", "retrieve", self._retrieve),
            Operation("GET", "/history", "list", self._history),
            Operation("GET", "/queue", "list", self._queue),
            Operation("POST", "/queue", "delete", self._dequeue),
            Operation("POST", "/interrupt", "delete", self._interrupt),
            Operation("GET", "/view", "content", self._view),
            Operation("GET", "/system_stats", "models", self._stats),
            Operation("GET", "/object_info", "models", self._nodes),
            Operation("GET", "/object_info/{node}", "models", self._node),
        )
        return (*plain, *(Operation(each.method, f"/api{each.path}", each.name, each.handle) for each in plain))

    def authorize(self, request: Request) -> None:
        """There is no key, and a header that brings one is ignored."""

    def known_fields(self) -> frozenset[str]:
        return _FIELDS

    def error(self, status: int, message: str, _: str | int | None = None, /) -> ApiError:
        """Outside of ``/prompt`` the server answers with an empty body or with that of aiohttp."""
        return ApiError(SimulatedResponse(status, f"{status}: {message}".encode(), "text/plain; charset=utf-8"))

    async def read(self, request: Request) -> Body:
        try:
            document = await bodies.read_json(request)
        except BadBodyError:
            raise _in_trouble() from None
        graph = document.get("prompt")
        prompt = comfyui_graph.prompt_of(graph) if comfyui_graph.is_graph(graph) else None
        return Body(document=document, prompt=prompt)

    def check(self, body: Body) -> tuple[Order, bytes]:
        document = body.document
        if "prompt" not in document:
            raise _refused("no_prompt", "No prompt provided", "No prompt provided")
        prompt_id = document.get("prompt_id")
        if prompt_id is not None and not _is_id(prompt_id):
            raise _refused(
                "invalid_prompt_id",
                "prompt_id must be a valid UUID",
                "prompt_id must be a UUID string in canonical lowercase hyphenated form; omit it to let the server "
                "generate one",
            )
        graph = document["prompt"]
        if not comfyui_graph.is_graph(graph):
            raise _in_trouble()
        files = {_annotated(*key) for key in self._uploads} | {
            key[2] for key in self._uploads if key[:2] == ("input", "")
        }
        checked = comfyui_graph.check(graph, [card.name for card in self.cards], files)
        if checked.error is not None:
            raise ApiError(SimulatedResponse.of({"error": checked.error, "node_errors": checked.node_errors}, 400))
        picture, failure = self._named(checked.picture), None
        try:
            shape = pictures.size(picture) if picture else "1280x704"
        except pictures.BadPictureError:
            picture, shape, failure = b"", "1280x704", "cannot identify image file"
        order = Order(
            comfyui_graph.prompt_of(graph) or "",
            checked.model or self.cards[0].name,
            checked.size or pictures.fitted(shape, _AREA),
            str(checked.seconds),
            "",
            Decimal(0),
            hashlib.sha256(picture).hexdigest() if picture else "",
            None if prompt_id is None else str(prompt_id),
            failure,
            {
                "graph": graph,
                "extra_data": _extra_data(document),
                "outputs": checked.outputs,
                "node_errors": checked.node_errors,
                "front": bool(document.get("front")),
                "prefix": checked.prefix,
                "key": checked.output_key,
            },
        )
        return order, picture

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def find(self, request: Request) -> SimulatedVideo | None:
        if "id" in request.path_params:
            return super().find(request)
        query = request.query_params
        wanted = (query.get("type", "output"), query.get("subfolder", ""), query.get("filename", ""))
        return next((video for video in self.service.ledger_book.all() if ("output", *_file(video)) == wanted), None)

    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        request = video.order.request
        return SimulatedResponse.of(
            {"prompt_id": video.id, "number": _number(video), "node_errors": request["node_errors"]}
        )

    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome != "completed" or video.is_expired():
            raise ApiError(SimulatedResponse(404, media_type="application/octet-stream"))
        return await self.service.send_clip(video)

    async def _upload(self, call: Call) -> SimulatedResponse:
        empty = SimulatedResponse(400, media_type="application/octet-stream")
        try:
            form = await bodies.read_form(call.request)
        except BadBodyError:
            return empty
        body = Body(form=form)
        upload = next(iter(body.uploads("image")), None)
        if upload is None or not upload.filename:
            return empty
        folder = body.text("type") if body.text("type") in _FOLDERS else "input"
        subfolder = body.text("subfolder") or ""
        if ".." in PurePosixPath(subfolder).parts or "/" in upload.filename:
            return empty
        name = self._store(str(folder), subfolder, upload, overwrites=body.text("overwrite") in ("true", "1"))
        return SimulatedResponse.of({"name": name, "subfolder": subfolder, "type": folder})

    def _store(self, folder: str, subfolder: str, upload: Upload, *, overwrites: bool) -> str:
        """The name under which a picture is kept: another if the name is taken by another picture."""
        path = PurePosixPath(upload.filename)
        name, number = upload.filename, 1
        while not overwrites and self._uploads.get((folder, subfolder, name), upload.data) != upload.data:
            name, number = f"{path.stem} ({number}){path.suffix}", number + 1
        self._uploads[folder, subfolder, name] = upload.data
        return name

    def _named(self, name: str | None) -> bytes:
        """The uploaded picture that a node names, or nothing."""
        return next((data for key, data in self._uploads.items() if name in (_annotated(*key), _plain(*key))), b"")

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        return SimulatedResponse.of(self._ended(call.request.path_params["id"]))

    async def _history(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of(self._ended(None))

    def _ended(self, prompt_id: str | None) -> dict[str, object]:
        """The history of one prompt or of all, in which a prompt that ran twice is there once."""
        ended = [video for video in self.service.ledger_book.all() if video.outcome in ("completed", "failed")]
        return {video.id: _entry(video) for video in ended if prompt_id in (None, video.id)}

    async def _queue(self, _: Call) -> SimulatedResponse:
        running = [video for video in self.service.ledger_book.unfinished() if video.started is not None]
        pending = [video for video in self.service.ledger_book.unfinished() if video.started is None]
        return SimulatedResponse.of(
            {"queue_running": list(map(_row, running)), "queue_pending": list(map(_row, pending))}
        )

    async def _remaining(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of({"exec_info": {"queue_remaining": len(self.service.ledger_book.unfinished())}})

    async def _dequeue(self, call: Call) -> SimulatedResponse:
        document = await _optional_json(call.request)
        wanted = document.get("delete", [])
        for video in self.service.ledger_book.unfinished():
            if video.started is None and (document.get("clear") or (isinstance(wanted, list) and video.id in wanted)):
                self.service.cancel(video)
        return SimulatedResponse(200, media_type="application/octet-stream")

    async def _interrupt(self, call: Call) -> SimulatedResponse:
        wanted = (await _optional_json(call.request)).get("prompt_id")
        for video in self.service.ledger_book.unfinished():
            if video.started is not None and wanted in (None, video.id):
                self.service.cancel(video)
        return SimulatedResponse(200, media_type="application/octet-stream")

    async def _view(self, call: Call) -> SimulatedResponse:
        query = call.request.query_params
        name = query.get("filename", "")
        if name and (name[0] == "/" or ".." in name or query.get("type", "output") not in _FOLDERS):
            return SimulatedResponse(400, media_type="application/octet-stream")
        if ".." in PurePosixPath(query.get("subfolder", "")).parts:
            return SimulatedResponse(403, media_type="application/octet-stream")
        if call.video is not None:
            return await self.clip(call.video)
        uploaded = self._uploads.get((query.get("type", "output"), query.get("subfolder", ""), name))
        if uploaded is not None:
            return SimulatedResponse(200, uploaded, "image/png")
        return SimulatedResponse(404, media_type="application/octet-stream")

    async def _stats(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of({"system": {"os": "posix", "comfyui_version": "0.6.0"}, "devices": []})

    async def _nodes(self, _: Call) -> SimulatedResponse:
        return SimulatedResponse.of(comfyui_graph.descriptions([card.name for card in self.cards]))

    async def _node(self, call: Call) -> SimulatedResponse:
        described = comfyui_graph.descriptions([card.name for card in self.cards])
        name = call.request.path_params["node"]
        return SimulatedResponse.of({name: described[name]} if name in described else {})


API = ComfyUi


def _refused(kind: str, message: str, details: str) -> ApiError:
    error = {"type": kind, "message": message, "details": details, "extra_info": {}}
    return ApiError(SimulatedResponse.of({"error": error, "node_errors": {}}, 400))


def _in_trouble() -> ApiError:
    """The answer of aiohttp to a request on which the server fails."""
    text = b"500 Internal Server Error\n\nServer got itself in trouble"
    return ApiError(SimulatedResponse(500, text, "text/plain; charset=utf-8"))


def _extra_data(document: Mapping[str, object]) -> dict[str, object]:
    """What the queue and the history repeat of a request beside its graph."""
    given = document.get("extra_data")
    client = {"client_id": document["client_id"]} if "client_id" in document else {}
    return {**(given if isinstance(given, dict) else {}), **client, "create_time": int(time.time() * 1000)}


def _is_id(value: object) -> bool:
    """Whether ``value`` is a UUID in its canonical form."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _plain(_: str, subfolder: str, name: str) -> str:
    return f"{subfolder}/{name}" if subfolder else name


def _annotated(folder: str, subfolder: str, name: str) -> str:
    """How a node names a picture with its folder."""
    return f"{_plain(folder, subfolder, name)} [{folder}]"


async def _optional_json(request: Request) -> Mapping[str, object]:
    try:
        return await bodies.read_json(request)
    except BadBodyError:
        return {}


def _number(video: SimulatedVideo) -> int:
    return -video.sequence if video.order.request["front"] else video.sequence


def _row(video: SimulatedVideo) -> list[object]:
    request = video.order.request
    return [_number(video), video.id, request["graph"], request["extra_data"], request["outputs"]]


def _file(video: SimulatedVideo) -> tuple[str, str]:
    """The subfolder and the name of a clip."""
    prefix = PurePosixPath(str(video.order.request["prefix"]))
    subfolder = "" if str(prefix.parent) == "." else str(prefix.parent)
    return subfolder, f"{prefix.name}_{video.sequence + 1:05}_.mp4"


def _entry(video: SimulatedVideo) -> dict[str, object]:
    """What the history says of a prompt that has ended."""
    subfolder, name = _file(video)
    outputs = json.loads(json.dumps(video.order.request["outputs"]))
    at = {"prompt_id": video.id, "timestamp": int((video.ended_at or 0) * 1000)}
    start = ["execution_start", {"prompt_id": video.id, "timestamp": video.created_at * 1000}]
    if video.outcome == "failed":
        error = {
            **at,
            "node_id": outputs[0],
            "node_type": "KSampler",
            "executed": [],
            "exception_message": (video.plan.error or {}).get("message"),
            "exception_type": "RuntimeError",
            "traceback": [],
        }
        status = {"status_str": "error", "completed": False, "messages": [start, ["execution_error", error]]}
        return {"prompt": _row(video), "outputs": {}, "status": status, "meta": {}}
    file = {"filename": name, "subfolder": subfolder, "type": "output"}
    key = str(video.order.request["key"])
    extra = {"animated": [True]} if key == "images" else {}
    return {
        "prompt": _row(video),
        "outputs": {outputs[0]: {key: [file], **extra}},
        "status": {"status_str": "success", "completed": True, "messages": [start, ["execution_success", at]]},
        "meta": {},
    }
