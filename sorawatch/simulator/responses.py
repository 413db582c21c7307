"""The responses of the simulator, before they are sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Transmission(Enum):
    """How a response is sent."""

    WHOLE = auto()
    RESET = auto()
    """Not sent: the connection is reset."""
    HANG = auto()
    """Not sent: the connection stays open."""
    CUT = auto()
    """Half of the body that Content-Length announces, then the connection is closed."""
    STALL = auto()
    """Half of the body that Content-Length announces, then nothing more."""
    TRICKLE = auto()
    """Slowly, in small pieces."""
    ENDLESS = auto()
    """The body as it is, without a head of HTTP, then ``repeated`` again and again."""


@dataclass(frozen=True, slots=True)
class SimulatedResponse:
    """One HTTP response. ``seconds`` is how long `Transmission.TRICKLE` takes, and the pause between repetitions."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    """The Content-Type; no header if empty."""
    headers: Mapping[str, str] = field(default_factory=dict)
    supports_range: bool = False
    """Whether a Range header of the request is respected."""
    clip_url: str = ""
    """Another URL of the clip that is the body, or that the body describes."""
    transmission: Transmission = Transmission.WHOLE
    seconds: float = 0.0
    repeated: bytes = b""

    @classmethod
    def of(cls, document: object, status: int = 200) -> SimulatedResponse:
        """A JSON response."""
        return cls(status, json.dumps(document).encode())


class ApiError(Exception):
    """A request is refused with ``response``."""

    def __init__(self, response: SimulatedResponse) -> None:
        super().__init__(response.body.decode(errors="replace"))
        self.response = response


def apply_range(response: SimulatedResponse, wanted: str | None, condition: str | None) -> SimulatedResponse:
    """The part of ``response`` that a request asks for with ``Range: wanted`` and ``If-Range: condition``.

    A single range of bytes gives 206, or 416 if it is not satisfiable. All other values of the header are ignored, as
    RFC 9110 §14.2 allows.
    """
    if not response.supports_range:
        return response
    whole = replace(response, headers={**response.headers, "Accept-Ranges": "bytes"})
    if wanted is None or (condition is not None and condition != response.headers.get("ETag")):
        return whole
    unit, _, spec = wanted.partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    numbers = [part for part in (first, last) if part]
    if unit.strip() != "bytes" or not dash or not numbers or not all(map(_decimal, numbers)):
        return whole
    length = len(response.body)
    start = int(first) if first else max(0, length - int(last))
    stop = min(length, int(last) + 1) if first and last else length
    if start >= length or start >= stop:
        document = {"error": {"message": "Range not satisfiable", "type": "invalid_request_error"}}
        return replace(SimulatedResponse.of(document, 416), headers={"Content-Range": f"bytes */{length}"})
    place = {**whole.headers, "Content-Range": f"bytes {start}-{stop - 1}/{length}"}
    return replace(whole, status=206, body=response.body[start:stop], headers=place)


def _decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal()
