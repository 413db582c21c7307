"""The routes: what each request is answered, faults included."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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
from sorawatch.simulator.answers import ApiError, SimulatedResponse, ranged
from sorawatch.simulator.clips import ClipKey, RenderingStoppedError
from sorawatch.simulator.delivery import Delivery
from sorawatch.simulator.faults import KINDS, Fault, FaultBox, Stage
from sorawatch.simulator.ledger import GenerationPlan, LedgerBook, SimulatedVideo
from sorawatch.simulator.renderer import Renderer

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sorawatch.simulator.contract import Form
    from sorawatch.simulator.settings import SimulatorSettings

_CREATED = 1_759_276_800
"""The birth of the models for their list, in Unix seconds: the month of Sora 2."""
_PAGE = b"""<!doctype html><meta charset="utf-8"><title>sorawatch simulator</title>
<h1>sorawatch simulator</h1>
<p>A simulated <code>/v1/videos</code> server. It keeps the API's contract, makes clips that merely zoom into the
uploaded picture, and charges nobody. <a href="/ledger">The ledger</a> says what was ordered.</p>
"""


@dataclass(slots=True)
class Call:
    """One request of the API, as far as it is understood. A create has a video once it is accepted."""

    operation: str
    request: Request
    form: Form | None = None
    video: SimulatedVideo | None = None

    def taken(self, faults: FaultBox, stage: Stage) -> tuple[Fault, ...]:
        """The faults that hit this request at ``stage``."""
        prompt = status = None
        if self.video is not None:
            prompt, status = self.video.order.prompt, self.video.progress(time.monotonic())[0]
        elif self.form is not None:
            prompt = next((part for part in self.form.get("prompt", ()) if isinstance(part, str)), None)
        return faults.take(self.operation, stage, prompt, status)


@dataclass(frozen=True, slots=True)
class Submit:
    """A create as it came in: headers, with names in lower case, and fields; of a file its media type is kept."""

    headers: Mapping[str, str]
    fields: Mapping[str, str]


class Service:
    """One simulated server. ``storage_root`` is the URL under which its clips are to be had without a key."""

    def __init__(self, settings: SimulatorSettings, storage_root: str) -> None:
        self.books = LedgerBook(settings)
        self.faults = FaultBox()
        self.storage_requests: list[Mapping[str, str]] = []
        self.submits: list[Submit] = []
        self._settings = settings
        self._storage_root = storage_root
        self._generations: set[asyncio.Task[None]] = set()

    def app(self) -> ASGIApp:
        """The ASGI application; it needs the connection's transport in its state (see ``delivery``)."""
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
            Route("/", _endpoint(_page)),
        ]
        return _quoted(Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: _refuse}))

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._renderer = Renderer()
        try:
            yield
        finally:
            for generation in self._generations:
                generation.cancel()
            self._renderer.close()

    def _route(
        self, method: str, path: str, operation: str, handle: Callable[[Call], Awaitable[SimulatedResponse]]
    ) -> Route:
        async def answer(request: Request) -> SimulatedResponse:
            self.books.count("requests")
            call = Call(operation, request)
            try:
                return await self._exchange(call, handle)
            finally:
                if operation == "create" and call.video is None:
                    self.books.count("rejected")

        return Route(path, _endpoint(answer), methods=[method])

    async def _exchange(self, call: Call, handle: Callable[[Call], Awaitable[SimulatedResponse]]) -> SimulatedResponse:
        contract.authorize(call.request.headers.get("Authorization"), self._settings.key)
        await self._identify(call)
        return await self._with_faults(call, handle)

    async def _with_faults(
        self, call: Call, handle: Callable[[Call], Awaitable[SimulatedResponse]]
    ) -> SimulatedResponse:
        for fault in call.taken(self.faults, Stage.BEFORE):
            if not KINDS[fault.kind].delays:
                return KINDS[fault.kind].effect(fault, SimulatedResponse())
            await asyncio.sleep(fault.seconds)
        answer = await handle(call)
        for fault in call.taken(self.faults, Stage.AFTER):
            if KINDS[fault.kind].delays:
                await asyncio.sleep(fault.seconds)
            answer = KINDS[fault.kind].effect(fault, answer)
        return answer

    async def _identify(self, call: Call) -> None:
        """Read what a request is about, for the faults to choose by; count it as what it is."""
        if call.operation == "create":
            call.form = await _form(call.request)
            fields = {
                name: part if isinstance(part, str) else part.media_type or ""
                for name, parts in call.form.items()
                for part in parts
            }
            self.submits.append(Submit(dict(call.request.headers), fields))
        elif call.operation == "list":
            self.books.count("lists")
        elif call.operation != "models":
            if call.operation == "retrieve":
                self.books.count("polls")
            call.video = self.books.find(unquote(call.request.path_params["id"]))

    async def _create(self, call: Call) -> SimulatedResponse:
        assert call.form is not None
        order, reference = await asyncio.to_thread(contract.check, call.form, self._settings)
        plan = GenerationPlan.ordinary(self._settings.generation_seconds)
        for fault in call.taken(self.faults, Stage.ACCEPTANCE):
            plan = KINDS[fault.kind].plan(fault, plan)
        call.video = video = self.books.accept(order, plan)
        self._renderer.keep(order.reference_sha256, reference)
        generation = asyncio.create_task(self._generate(video))
        self._generations.add(generation)
        generation.add_done_callback(self._generations.discard)
        return SimulatedResponse.of(video.resource(video.started))

    async def _generate(self, video: SimulatedVideo) -> None:
        """Bring a video to its end: its time has come, or it was released, and its clip is ready."""
        seconds = video.plan.generation_seconds
        if math.isfinite(seconds) and video.plan.error is None:
            self._renderer.begin(self._key(video))
        with suppress(TimeoutError):
            await asyncio.wait_for(video.released.wait(), seconds if math.isfinite(seconds) else None)
        if video.plan.error is None:
            with suppress(RenderingStoppedError):
                await self._renderer.clip(self._key(video))
        self.books.finish(video)

    async def _list(self, call: Call) -> SimulatedResponse:
        query = call.request.query_params
        limit, descending = contract.page_limits(query)
        videos, more = self.books.page(query.get("after"), limit, descending=descending)
        data = [video.resource() for video in videos]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return SimulatedResponse.of(
            {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
        )

    async def _retrieve(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        self.books.polled(call.video)
        mirror = self._mirror(call.video) if call.video.outcome == "completed" else ""
        return replace(SimulatedResponse.of(call.video.resource()), mirror=mirror)

    async def _delete(self, call: Call) -> SimulatedResponse:
        assert call.video is not None
        if call.video.outcome is None:
            raise ApiError(400, "Only a completed or failed video can be deleted.", param="id")
        self.books.delete(call.video)
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
        video = self.books.find(unquote(request.path_params["id"]))
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
        self.books.downloaded(video)
        return SimulatedResponse(200, clip, "video/mp4", {"ETag": key.etag}, ranged=True, mirror=self._mirror(video))

    def _mirror(self, video: SimulatedVideo) -> str:
        """Where a clip is to be had without a key."""
        return f"{self._storage_root}/storage/{quote(video.plan.id, safe='')}"

    def _key(self, video: SimulatedVideo) -> ClipKey:
        width, _, height = video.order.size.partition("x")
        seconds, rate = int(video.order.seconds), self._settings.frames_per_second
        return ClipKey(video.order.reference_sha256, int(width), int(height), seconds, rate)

    async def _ledger(self, _: Request) -> SimulatedResponse:
        return SimulatedResponse.of(asdict(self.books.snapshot()))

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


async def _page(_: Request) -> SimulatedResponse:
    return SimulatedResponse(200, _PAGE, "text/html; charset=utf-8")


def _endpoint(answer: Callable[[Request], Awaitable[SimulatedResponse]]) -> Callable[[Request], Awaitable[Delivery]]:
    async def endpoint(request: Request) -> Delivery:
        try:
            found = await answer(request)
        except ApiError as error:
            found = error.answer
        return Delivery(ranged(found, request.headers.get("Range"), request.headers.get("If-Range")))

    return endpoint


def _quoted(app: ASGIApp) -> ASGIApp:
    """``app``, routed by the path as it was sent: an id may hold any character, quoted slashes among them."""

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await app(scope, receive, send)

    return routed


def _refuse(request: Request, error: Exception) -> Response:
    """No such route, or not with this method."""
    assert isinstance(error, HTTPException)
    answer = ApiError(error.status_code, f"Invalid URL ({request.method} {request.url.path})").answer
    return Response(answer.body, answer.status, error.headers, answer.media_type)


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
