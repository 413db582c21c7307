"""What each simulated API defines: its routes, what it checks, and the form of its answers."""

from __future__ import annotations

import hmac
import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from sorawatch.simulator.error_bodies import error_response
from sorawatch.simulator.fault_types import Fault
from sorawatch.simulator.responses import ApiError, SimulatedResponse
from sorawatch.simulator.settings import KEY

if TYPE_CHECKING:
    from starlette.requests import Request

    from sorawatch.simulator.bodies import Body
    from sorawatch.simulator.ledger import SimulatedVideo
    from sorawatch.simulator.orders import Order
    from sorawatch.simulator.service import Service
    from sorawatch.simulator.settings import ModelCard, SimulatorSettings


@dataclass(slots=True)
class Call:
    """One request to the API, as far as it was read. A create has a video once it is accepted."""

    operation: str
    request: Request
    body: Body | None = None
    video: SimulatedVideo | None = None


Handler = Callable[[Call], Awaitable[SimulatedResponse]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. ``name`` is one of `sorawatch.simulator.faults.OPERATIONS`.

    A ``create`` has its body read before it is handled. If ``needs_video``, an id that is unknown is refused first.
    """

    method: str
    path: str
    name: str
    handle: Handler
    needs_video: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a server refuses in a certain situation: the fields of a `Fault` of kind ``answer_before``."""

    status: int
    message: str
    code: str | int | None = None
    retry_after: str | None = None
    body: str | None = None
    """The whole body, where the usual form of errors does not fit."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the answers of an API have, and so which faults can change them."""

    listed: bool = True
    """It has a list of videos under ``data``."""
    videos: bool = True
    """It describes a video as a JSON object with an ``id`` and a ``status``."""
    progress: bool = True
    """A video has a ``progress``."""


class Api(ABC):
    """One API, spoken on behalf of ``service``."""

    models: ClassVar[tuple[ModelCard, ...]]
    """The models that a server of this API has by default."""
    base_path: ClassVar[str] = "/v1"
    """Where the base URL of the API ends."""
    shape: ClassVar[str]
    """The form of its errors: a key of `sorawatch.simulator.error_bodies.SHAPES`."""
    asks_for_key: ClassVar[bool] = True
    """Whether it is usually run with a key."""
    one_at_a_time: ClassVar[bool] = False
    """Whether a video waits until all earlier ones are rendered."""
    max_running: ClassVar[int | None] = None
    """How many unfinished videos it takes by default."""
    unique_ids: ClassVar[bool] = False
    """Whether a create with the id of another video is refused."""
    unknown: ClassVar[Refusal] = Refusal(404, "Video not found")
    """How it answers about a video that it does not know, whose ``id`` may be in the message."""
    no_route: ClassVar[str] = "{phrase}"
    """The error for a request without a route, of its ``method``, its ``path`` and the ``phrase`` of the status."""
    abilities: ClassVar[Abilities] = Abilities()
    refusals: ClassVar[Mapping[str, Refusal]] = {}
    """How it refuses for want of ``credit``, ``capacity`` and so on, for the fault ``refused``."""

    def __init__(self, settings: SimulatorSettings, service: Service) -> None:
        self.settings = settings
        self.service = service
        self.cards = self.models if settings.models is None else settings.models

    @property
    def limit(self) -> int | None:
        """How many unfinished videos it takes; None for any number."""
        return self.max_running if self.settings.max_running is None else self.settings.max_running

    @abstractmethod
    def operations(self) -> Sequence[Operation]:
        """All routes. Of two that match, the first counts."""

    @abstractmethod
    async def read(self, request: Request) -> Body:
        """The body of a create. Raises ApiError."""

    @abstractmethod
    def check(self, body: Body) -> tuple[Order, bytes]:
        """The order in ``body`` and its picture, which may be empty. Runs in a worker thread. Raises ApiError."""

    @abstractmethod
    def created(self, video: SimulatedVideo) -> SimulatedResponse:
        """The answer to an accepted create."""

    @abstractmethod
    async def clip(self, video: SimulatedVideo) -> SimulatedResponse:
        """The clip of ``video``. Raises ApiError if it is not ready, or has expired."""

    def known_fields(self) -> frozenset[str] | None:
        """The fields of a create that the server reads, if it ignores all others; None if it refuses them."""
        return None

    def key(self) -> str | None:
        """The key that is asked for, or None. The default key counts only where servers usually ask for one."""
        given = self.settings.key
        return given if self.asks_for_key or given != KEY else None

    def authorize(self, request: Request) -> None:
        """Raises ApiError unless the request has the key."""
        if (key := self.key()) is not None and not same_key(bearer(request), key):
            raise self.error(401, "Unauthorized")

    def account(self, request: Request) -> str:
        """The account of a request that was let in. Only its own videos are found and listed."""
        del request
        return ""

    def model(self, name: str) -> ModelCard | None:
        """The model called ``name``, or None."""
        return next((card for card in self.cards if card.name == name), None)

    def new_id(self) -> str:
        """An id for a new video."""
        return f"video_{secrets.token_hex(16)}"

    def find(self, request: Request) -> SimulatedVideo | None:
        """The video that a request is about, or None."""
        video_id = request.path_params.get("id")
        return None if video_id is None else self.service.ledger_book.find(unquote(video_id), self.account(request))

    def error(self, status: int, message: str, code: str | int | None = None, /) -> ApiError:
        """An error in the usual form of this API."""
        fault = Fault("answer_before", status=status, message=message, code=code, shape=self.shape)
        return ApiError(error_response(fault, SimulatedResponse()))

    def not_found(self, video_id: str) -> ApiError:
        """The id is unknown, or the video was deleted."""
        return self.error(self.unknown.status, self.unknown.message.format(id=video_id), self.unknown.code)

    def too_many(self) -> ApiError:
        """As many videos are being rendered as may be at once."""
        return self.error(429, "too many running tasks", "rate_limit_exceeded")

    def repeated_id(self, video_id: str) -> ApiError:
        """A create names the id of another video. Only with ``unique_ids``."""
        return self.error(409, f"{video_id} already exists")

    def missing_route(self, status: int, text: str) -> ApiError:
        """The error for a request without a route, with the text of ``no_route``."""
        return self.error(status, text)

    def own_fault(self, fault: Fault) -> Fault:
        """``fault`` with everything that depends on the API filled in.

        Raises:
            ValueError: if the API has nothing that this fault could change.
        """
        if fault.kind == "refused":
            if (refusal := self.refusals.get(fault.word)) is None:
                listed = ", ".join(self.refusals) or "no reason at all"
                raise ValueError(f"word: {self.settings.api} refuses for {listed}, never for {fault.word!r}")
            fault = replace(
                fault,
                kind="answer_before",
                status=refusal.status,
                message=refusal.message,
                code=refusal.code,
                retry_after=refusal.retry_after,
                body=refusal.body,
            )
        return fault if fault.shape is not None else replace(fault, shape=self.shape)


def bearer(request: Request) -> str:
    """The key in the header ``Authorization: Bearer``, or an empty text."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given if scheme.lower() == "bearer" else ""


def same_key(given: str, key: str) -> bool:
    """Whether the keys are the same, found out in constant time."""
    return hmac.compare_digest(given.encode(), key.encode())
