"""One simulated server: its application, the life of its videos, and how faults affect its responses."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from sorawatch.simulator import apis
from sorawatch.simulator.active_faults import FaultBox
from sorawatch.simulator.api import Call
from sorawatch.simulator.asgi_response import AsgiResponse
from sorawatch.simulator.clip_encoder import ClipKey, RenderingStoppedError
from sorawatch.simulator.fault_types import Fault, Stage
from sorawatch.simulator.faults import KINDS
from sorawatch.simulator.ledger import LedgerBook, RepeatedIdError, SimulatedVideo, TooManyRunningError
from sorawatch.simulator.orders import GenerationPlan
from sorawatch.simulator.renderer import Renderer
from sorawatch.simulator.responses import ApiError, SimulatedResponse, apply_range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sorawatch.simulator.api import Handler, Operation
    from sorawatch.simulator.renderer import ClipCache
    from sorawatch.simulator.settings import SimulatorSettings

_PAGE = b"""<!doctype html><meta charset="utf-8"><title>sorawatch simulator</title>
<h1>sorawatch simulator</h1>
<p>A simulated video server. It keeps the contract of its API, makes clips that merely zoom into the uploaded picture,
and charges nobody. <a href="/ledger">The ledger</a> says what was ordered.</p>
"""


@dataclass(frozen=True, slots=True)
class Submit:
    """A create request: its headers, with names in lower case, and its fields; for a file its media type."""

    headers: Mapping[str, str]
    fields: Mapping[str, str]
    ignored: frozenset[str] = frozenset()
    """The fields that the server does not know and does not object to."""


class Service:
    """One simulated server. ``storage_root`` is the URL of the storage host, where its clips need no key."""

    def __init__(self, settings: SimulatorSettings, storage_root: str, clips: ClipCache) -> None:
        self.api = apis.load(settings.api)(settings, self)
        self.ledger_book = LedgerBook(settings.clip_lifetime_seconds, self.api.limit)
        self.faults = FaultBox(self.api)
        self.storage_requests: list[Mapping[str, str]] = []
        self.submits: list[Submit] = []
        self.keys: set[str] = set()
        """Each value of the header Authorization of a request to the API; empty for none."""
        self._settings = settings
        self._storage_root = storage_root
        self._clips = clips
        self._generations: set[asyncio.Task[None]] = set()

    def app(self) -> ASGIApp:
        """The ASGI application. It needs the transport of the connection in its state, see ``asgi_response``."""
        routes = [
            *(self._route(operation) for operation in self.api.operations()),
            Route("/storage/{id}", _endpoint(self._storage)),
            Route("/ledger", _endpoint(self._ledger)),
            Route("/faults", _endpoint(self._inject), methods=["POST"]),
            Route("/faults", _endpoint(self._clear), methods=["DELETE"]),
            Route("/", _endpoint(_home_page)),
        ]
        return _routed_by_raw_path(
            Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={HTTPException: self._no_route})
        )

    async def create(self, call: Call) -> SimulatedResponse:
        """Accept an order, and begin to generate its video. Raises ApiError."""
        assert call.body is not None
        order, reference = await asyncio.to_thread(self.api.check, call.body)
        error: dict[str, object] | None = None if order.failure is None else {"message": order.failure}
        plan = GenerationPlan(order.id or self.api.new_id(), self._settings.generation_seconds, error)
        for fault in self._faults_at(call, Stage.ACCEPTANCE):
            plan = KINDS[fault.kind].plan(fault, plan)
        earlier = [video.ended for video in self.ledger_book.unfinished()] if self.api.one_at_a_time else []
        try:
            video = self.ledger_book.accept(
                order, plan, self.api.account(call.request), starts=not earlier, unique_ids=self.api.unique_ids
            )
        except RepeatedIdError:
            raise self.api.repeated_id(plan.id) from None
        except TooManyRunningError:
            raise self.api.too_many() from None
        call.video = video
        if reference:
            self._renderer.store_reference(order.reference_sha256, reference)
        generation = asyncio.create_task(self._generate(video, earlier))
        self._generations.add(generation)
        generation.add_done_callback(self._generations.discard)
        return self.api.created(video)

    async def send_clip(self, video: SimulatedVideo) -> SimulatedResponse:
        """The clip of a completed video, which counts as a download."""
        key = self._key(video)
        clip = await self._renderer.clip(key)
        self.ledger_book.count_download(video)
        return SimulatedResponse(
            200, clip, "video/mp4", {"ETag": key.etag}, supports_range=True, clip_url=self.clip_url(video)
        )

    def cancel(self, video: SimulatedVideo) -> None:
        """Stop a generation; nothing happens if it is over."""
        self.ledger_book.cancel(video)
        video.released.set()

    def delete(self, video: SimulatedVideo) -> None:
        """Delete a video, and stop its generation."""
        self.ledger_book.delete(video)
        video.released.set()

    def forget_all(self) -> None:
        """Forget all videos, as a server does that is restarted and keeps them in memory."""
        for video in self.ledger_book.forget():
            video.released.set()

    def clip_url(self, video: SimulatedVideo) -> str:
        """The URL of a clip on the storage host, which needs no key."""
        return f"{self._storage_root}/storage/{quote(video.id, safe='')}"

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._renderer = Renderer(self._clips)
        try:
            yield
        finally:
            for generation in self._generations:
                generation.cancel()
            self._renderer.close()

    def _route(self, operation: Operation) -> Route:
        async def handler(request: Request) -> SimulatedResponse:
            self.ledger_book.count("requests")
            self.keys.add(request.headers.get("Authorization", ""))
            call = Call(operation.name, request)
            try:
                return await self._exchange(operation, call)
            finally:
                if operation.name == "create" and call.video is None:
                    self.ledger_book.count("rejected")

        return Route(operation.path, _endpoint(handler), methods=[operation.method])

    async def _exchange(self, operation: Operation, call: Call) -> SimulatedResponse:
        self.api.authorize(call.request)
        await self._identify(operation, call)
        return await self._with_faults(call, operation.handle)

    async def _with_faults(self, call: Call, handle: Handler) -> SimulatedResponse:
        for fault in self._faults_at(call, Stage.BEFORE):
            if not KINDS[fault.kind].delays:
                return KINDS[fault.kind].effect(fault, SimulatedResponse())
            await asyncio.sleep(fault.seconds)
        if call.operation == "retrieve" and call.video is not None:
            self.ledger_book.count_poll(call.video)
        response = await handle(call)
        for fault in self._faults_at(call, Stage.AFTER):
            if KINDS[fault.kind].delays:
                await asyncio.sleep(fault.seconds)
            response = KINDS[fault.kind].effect(fault, response)
        return response

    def _faults_at(self, call: Call, stage: Stage) -> tuple[Fault, ...]:
        """The faults that affect this request at ``stage``."""
        prompt = status = None
        if call.video is not None:
            prompt, status = call.video.order.prompt, call.video.progress()[0]
        elif call.body is not None:
            prompt = call.body.prompt
        return self.faults.take(call.operation, stage, prompt, status)

    async def _identify(self, operation: Operation, call: Call) -> None:
        """Find out what a request is about, so that faults can be matched, and count it."""
        if operation.name == "create":
            call.body = await self.api.read(call.request)
            fields, known = call.body.fields, self.api.known_fields()
            ignored = frozenset() if known is None else frozenset(fields) - known
            self.submits.append(Submit(dict(call.request.headers), fields, ignored))
            return
        if operation.name in ("list", "retrieve"):
            self.ledger_book.count("lists" if operation.name == "list" else "polls")
        call.video = self.api.find(call.request)
        if operation.needs_video and call.video is None:
            raise self.api.not_found(unquote(call.request.path_params["id"]))

    async def _generate(self, video: SimulatedVideo, earlier: list[asyncio.Event]) -> None:
        """Wait for earlier videos, then until the time of this one is over and its clip is ready; then finish it.

        A video that is released waits for nothing but its clip.
        """
        seconds = video.plan.generation_seconds
        if math.isfinite(seconds) and video.plan.error is None:
            self._renderer.start(self._key(video))
        if earlier:
            waits = [asyncio.create_task(_all_set(earlier)), asyncio.create_task(video.released.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            self.ledger_book.start(video)
        with suppress(TimeoutError):
            await asyncio.wait_for(video.released.wait(), seconds if math.isfinite(seconds) else None)
        if video.plan.error is None and video.outcome is None:
            with suppress(RenderingStoppedError):
                await self._renderer.clip(self._key(video))
        self.ledger_book.finish(video)
        video.ended.set()

    def _key(self, video: SimulatedVideo) -> ClipKey:
        width, _, height = video.order.size.partition("x")
        seconds, rate = int(video.order.seconds), self._settings.frames_per_second
        return ClipKey(video.order.reference_sha256, int(width), int(height), seconds, rate)

    async def _storage(self, request: Request) -> SimulatedResponse:
        self.storage_requests.append(dict(request.headers))
        video_id = unquote(request.path_params["id"])
        video = self.ledger_book.find(video_id)
        if video is None:
            raise self.api.not_found(video_id)
        return await self._with_faults(Call("storage", request, video=video), lambda _: self.api.clip(video))

    async def _ledger(self, _: Request) -> SimulatedResponse:
        return SimulatedResponse.of(asdict(self.ledger_book.snapshot()))

    async def _inject(self, request: Request) -> SimulatedResponse:
        try:
            document = await request.json()
            self.faults.inject(*(Fault(**item) for item in (document if isinstance(document, list) else [document])))
        except (TypeError, ValueError) as error:
            text = {"error": {"message": f"faults: {error}", "type": "invalid_request_error"}}
            raise ApiError(SimulatedResponse.of(text, 400)) from error
        return SimulatedResponse.of({"active": [asdict(fault) for fault in self.faults.active()]})

    async def _clear(self, _: Request) -> SimulatedResponse:
        self.faults.clear()
        return SimulatedResponse.of({"active": []})

    def _no_route(self, request: Request, error: Exception) -> Response:
        """The response to a request without a route for its path and method."""
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase
        text = self.api.no_route.format(phrase=phrase, method=request.method, path=request.url.path)
        response = self.api.missing_route(error.status_code, text).response
        headers = {**(error.headers or {}), **response.headers}
        return Response(response.body, response.status, headers, response.media_type)


async def _all_set(events: list[asyncio.Event]) -> bool:
    return all([await event.wait() for event in events])


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
