"""The routes of the simulator, and how faults affect their responses."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from sorawatch.simulator import contract
from sorawatch.simulator.active_faults import FaultBox
from sorawatch.simulator.asgi_response import AsgiResponse
from sorawatch.simulator.clip_encoder import ClipKey, RenderingStoppedError
from sorawatch.simulator.fault_types import Fault, Stage
from sorawatch.simulator.faults import KINDS
from sorawatch.simulator.ledger import GenerationPlan, LedgerBook, SimulatedVideo
from sorawatch.simulator.renderer import Renderer
from sorawatch.simulator.responses import ApiError, SimulatedResponse, apply_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sorawatch.simulator.contract import Form
    from sorawatch.simulator.renderer import ClipCache
    from sorawatch.simulator.settings import SimulatorSettings

_CREATED = 1_759_276_800
"""The ``created`` of all models in their list, in Unix seconds: the month when Sora 2 was published."""
_PAGE = b"""<!doctype html><meta charset="utf-8"><title>sorawatch simulator</title>
<h1>sorawatch simulator</h1>
<p>A simulated <code>/v1/videos</code> server. It keeps the API's contract, makes clips that merely zoom into the
uploaded picture, and charges nobody. <a href="/ledger">The ledger</a> says what was ordered.</p>
"""


@dataclass(slots=True)
class Call:
    """One request to the API, as far as it was read. A create has a video once it is accepted."""

    operation: str
    request: Request
    account: str = ""
    form: Form | None = None
    video: SimulatedVideo | None = None

    def faults_at(self, faults: FaultBox, stage: Stage) -> tuple[Fault, ...]:
        """The faults that affect this request at ``stage``."""
        prompt = status = None
        if self.video is not None:
            prompt, status = self.video.order.prompt, self.video.progress(time.monotonic())[0]
        elif self.form is not None:
            prompt = next((part for part in self.form.get("prompt", ()) if isinstance(part, str)), None)
        return faults.take(self.operation, stage, prompt, status)


@dataclass(frozen=True, slots=True)
class Submit:
    """A create request: its headers, with names in lower case, and its form fields; for a file its media type."""

    headers: Mapping[str, str]
    fields: Mapping[str, str]


class Service:
    """One simulated server. ``storage_root`` is the URL of the storage host, where its clips need no key."""

    def __init__(self, settings: SimulatorSettings, storage_root: str, clips: ClipCache) -> None:
        self.ledger_book = LedgerBook(settings)
        self.faults = FaultBox()
        self.storage_requests: list[Mapping[str, str]] = []
        self.submits: list[Submit] = []
        self._settings = settings
        self._storage_root = storage_root
        self._clips = clips
        self._generations: set[asyncio.Task[None]] = set()

    def app(self) -> ASGIApp:
        """The ASGI application. It needs the transport of the connection in its state, see ``asgi_response``."""
        routes = [
            self._route("POST", "/v1/videos", "create", self._create),
            self._route("GET", "/v1/videos", "list", self._list),
            self._route("GET", "/v1/videos/{id}", "retrieve", self._retrieve),
            self._route("DELETE", "/v1/videos/{id}", "delete", self._delete),
            self._route("GET", "/v1/videos/{id}/content", "content", self._content),
            self._route("GET", "/v1/models", "models", self._models),
            Route("/storage/{id}", _endpoint(self._storage)),
            Route("/ledger", _endpoint(self._ledger)),
            Route("/faults", _endpoint(self._inject), methods=["POST"]),
            Route("/faults", _endpoint(self._clear), methods=["DELETE"]),
            Route("/", _endpoint(_home_page)),
        ]
        return _routed_by_raw_path(
            Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _not_found})
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._renderer = Renderer(self._clips)
        try:
            yield
        finally:
            for generation in self._generations:
                generation.cancel()
            self._renderer.close()

    def _route(
        self, method: str, path: str, operation: str, handle: Callable[[Call], Awaitable[SimulatedResponse]]
    ) -> Route:
        async def handler(request: Request) -> SimulatedResponse:
            self.ledger_book.count("requests")
            call = Call(operation, request)
            try:
                return await self._exchange(call, handle)
            finally:
                if operation == "create" and call.video is None:
                    self.ledger_book.count("rejected")

        return Route(path, _endpoint(handler), methods=[method])

    async def _exchange(self, call: Call, handle: Callable[[Call], Awaitable[SimulatedResponse]]) -> SimulatedResponse:
        call.account = contract.authorize(call.request.headers.get("Authorization"), self._settings.key)
        await self._identify(call)
        return await self._with_faults(call, handle)

    async def _with_faults(
        self, call: Call, handle: Callable[[Call], Awaitable[SimulatedResponse]]
    ) -> SimulatedResponse:
        for fault in call.faults_at(self.faults, Stage.BEFORE):
            if not KINDS[fault.kind].delays:
                return KINDS[fault.kind].effect(fault, SimulatedResponse())
            await asyncio.sleep(fault.seconds)
        response = await handle(call)
        for fault in call.faults_at(self.faults, Stage.AFTER):
            if KINDS[fault.kind].delays:
                await asyncio.sleep(fault.seconds)
            response = KINDS[fault.kind].effect(fault, response)
        return response

    async def _identify(self, call: Call) -> None:
        """Find out what a request is about, so that faults can be matched, and count it."""
        if call.operation == "create":
            call.form = await _form(call.request)
            fields = {
                name: part if isinstance(part, str) else part.media_type or ""
                for name, parts in call.form.items()
                for part in parts
            }
            self.submits.append(Submit(dict(call.request.headers), fields))
        elif call.operation == "list":
            self.ledger_book.count("lists")
        elif call.operation != "models":
            if call.operation == "retrieve":
                self.ledger_book.count("polls")
            call.video = self.ledger_book.find(unquote(call.request.path_params["id"]), call.account)

    async def _create(self, call: Call) -> SimulatedResponse:
        assert call.form is not None
        order, reference = await asyncio.to_thread(contract.check, call.form, self._settings)
        plan = GenerationPlan.default(self._settings.generation_seconds)
        for fault in call.faults_at(self.faults, Stage.ACCEPTANCE):
            plan = KINDS[fault.kind].plan(fault, plan)
        call.video = video = self.ledger_book.accept(order, plan, call.account)
        self._renderer.store_reference(order.reference_sha256, reference)
        generation = asyncio.create_task(self._generate(video))
        self._generations.add(generation)
        generation.add_done_callback(self._generations.discard)
        return SimulatedResponse.of(video.resource(video.started))

    async def _generate(self, video: SimulatedVideo) -> None:
        """Wait until the time of a video is over, or it is released, and its clip is ready; then finish it."""
        seconds = video.plan.generation_seconds
        if math.isfinite(seconds) and video.plan.error is None:
            self._renderer.start(self._key(video))
        with suppress(TimeoutError):
            await asyncio.wait_for(video.released.wait(), seconds if math.isfinite(seconds) else None)
        if video.plan.error is None:
            with suppress(RenderingStoppedError):
                await self._renderer.clip(self._key(video))
        self.ledger_book.finish(video)

    async def _list(self, call: Call) -> SimulatedResponse:
        query = call.request.query_params
        limit, descending = contract.page_limits(query)
        videos, more = self.ledger_book.page(call.account, query.get("after"), limit, descending=descending)
        data = [video.resource() for video in videos]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return SimulatedResponse.of(
            {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
        )

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        self.ledger_book.count_poll(call.video)
        clip_url = self._clip_url(call.video) if call.video.outcome == "completed" else ""
        return replace(SimulatedResponse.of(call.video.resource()), clip_url=clip_url)

    async def _delete(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        if call.video.outcome is None:
            raise ApiError(400, "Only a completed or failed video can be deleted.", param="id")
        self.ledger_book.delete(call.video)
        return SimulatedResponse.of({"id": call.video.plan.id, "object": "video.deleted", "deleted": True})

    async def _content(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        contract.check_variant(call.request.query_params.get("variant", "video"))
        return await self._clip(call.video)

    async def _models(self, _: Call) -> SimulatedResponse:
        data = [
            {"id": card.name, "object": "model", "created": _CREATED, "owned_by": "sorawatch-simulator"}
            for card in self._settings.models
        ]
        return SimulatedResponse.of({"object": "list", "data": data})

    async def _storage(self, request: Request) -> SimulatedResponse:
        self.storage_requests.append(dict(request.headers))
        video = self.ledger_book.find(unquote(request.path_params["id"]))
        return await self._with_faults(Call("storage", request, video=video), lambda _: self._clip(video))

    async def _clip(self, video: SimulatedVideo) -> SimulatedResponse:
        if video.outcome is None:
            raise ApiError(404, "Video is not ready yet, use GET /v1/videos/{video_id} to check status.", param="id")
        if video.outcome == "failed":
            raise ApiError(400, "Video generation failed, so there is no content.", param="id")
        if video.expires_at is not None and video.expires_at <= time.time():
            raise ApiError(404, "Video content has expired.", param="id", code="video_expired")
        key = self._key(video)
        clip = await self._renderer.clip(key)
        self.ledger_book.count_download(video)
        return SimulatedResponse(
            200, clip, "video/mp4", {"ETag": key.etag}, supports_range=True, clip_url=self._clip_url(video)
        )

    def _clip_url(self, video: SimulatedVideo) -> str:
        """The URL of a clip on the storage host, which needs no key."""
        return f"{self._storage_root}/storage/{quote(video.plan.id, safe='')}"

    def _key(self, video: SimulatedVideo) -> ClipKey:
        width, _, height = video.order.size.partition("x")
        seconds, rate = int(video.order.seconds), self._settings.frames_per_second
        return ClipKey(video.order.reference_sha256, int(width), int(height), seconds, rate)

    async def _ledger(self, _: Request) -> SimulatedResponse:
        return SimulatedResponse.of(asdict(self.ledger_book.snapshot()))

    async def _inject(self, request: Request) -> SimulatedResponse:
        try:
            document = await request.json()
            self.faults.inject(*(Fault(**item) for item in (document if isinstance(document, list) else [document])))
        except (TypeError, ValueError) as error:
            raise ApiError(400, f"faults: {error}") from error
        return SimulatedResponse.of({"active": [asdict(fault) for fault in self.faults.active()]})

    async def _clear(self, _: Request) -> SimulatedResponse:
        self.faults.clear()
        return SimulatedResponse.of({"active": []})


async def _home_page(_: Request) -> SimulatedResponse:
    return SimulatedResponse(200, _PAGE, "text/html; charset=utf-8")


def _endpoint(
    handler: Callable[[Request], Awaitable[SimulatedResponse]],
) -> Callable[[Request], Awaitable[AsgiResponse]]:
    async def endpoint(request: Request) -> AsgiResponse:
        try:
            response = await handler(request)
        except ApiError as error:
            response = error.response
        return AsgiResponse(apply_range(response, request.headers.get("Range"), request.headers.get("If-Range")))

    return endpoint


def _routed_by_raw_path(app: ASGIApp) -> ASGIApp:
    """``app`` with routes that match the path before it is decoded, since an id may contain an escaped slash."""

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await app(scope, receive, send)

    return routed


def _not_found(request: Request, error: Exception) -> Response:
    """The response to a request without a route for its path and method."""
    assert isinstance(error, HTTPException)
    response = ApiError(error.status_code, f"Invalid URL ({request.method} {request.url.path})").response
    return Response(response.body, response.status, error.headers, response.media_type)


async def _form(request: Request) -> Form:
    """The parts of a multipart body; raises ApiError 400 for any other body."""
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        document = None
        with suppress(ValueError):
            document = await request.json()
        raise contract.check_json(document)
    if media_type != "multipart/form-data":
        raise contract.not_multipart()
    form: dict[str, list[str | contract.Upload]] = {}
    try:
        async with request.form() as parts:
            for name, part in parts.multi_items():
                value = contract.Upload(part.content_type, await part.read()) if isinstance(part, UploadFile) else part
                form.setdefault(name, []).append(value)
    except HTTPException as error:
        raise ApiError(400, error.detail) from error
    return form
