"""What goes back over the wire, decided before a byte of it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto


class Manner(Enum):
    """How an answer travels."""

    WHOLE = auto()
    RESET = auto()
    """Not at all: the connection is reset."""
    HANG = auto()
    """Not at all: the connection stays open."""
    CUT = auto()
    """Half of the body that Content-Length announces, then the connection closes."""
    STALL = auto()
    """Half of the body that Content-Length announces, then silence."""
    TRICKLE = auto()
    """Piece by piece, slowly."""


@dataclass(frozen=True, slots=True)
class SimulatedResponse:
    """One HTTP answer. ``seconds`` is how long a trickle takes."""

    status: int = 200
    body: bytes = b""
    media_type: str = "application/json"
    """The Content-Type; empty for none."""
    headers: Mapping[str, str] = field(default_factory=dict)
    ranged: bool = False
    """Whether a Range header of the request is honoured."""
    mirror: str = ""
    """Where else the same body, or the clip that it tells of, is to be had."""
    manner: Manner = Manner.WHOLE
    seconds: float = 0.0

    @classmethod
    def of(cls, document: object, status: int = 200) -> SimulatedResponse:
        """A JSON answer."""
        return cls(status, json.dumps(document).encode())


class ApiError(Exception):
    """A refusal in OpenAI's form ``{"error": {"message", "type", "param", "code"}}``."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.answer = SimulatedResponse.of(
            {"error": {"message": message, "type": kind, "param": param, "code": code}}, status
        )


def ranged(answer: SimulatedResponse, wanted: str | None, condition: str | None) -> SimulatedResponse:
    """The part of ``answer`` that a request asks for with ``Range: wanted`` and ``If-Range: condition``.

    One range of bytes is served (206), an unsatisfiable one refused (416); anything else the header may hold is
    ignored, as RFC 9110 §14.2 permits.
    """
    if not answer.ranged:
        return answer
    whole = replace(answer, headers={**answer.headers, "Accept-Ranges": "bytes"})
    if wanted is None or (condition is not None and condition != answer.headers.get("ETag")):
        return whole
    unit, _, spec = wanted.partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    numbers = [part for part in (first, last) if part]
    if unit.strip() != "bytes" or not dash or not numbers or not all(map(_decimal, numbers)):
        return whole
    length = len(answer.body)
    start = int(first) if first else max(0, length - int(last))
    stop = min(length, int(last) + 1) if first and last else length
    if start >= length or start >= stop:
        return replace(ApiError(416, "Range not satisfiable").answer, headers={"Content-Range": f"bytes */{length}"})
    place = {**whole.headers, "Content-Range": f"bytes {start}-{stop - 1}/{length}"}
    return replace(whole, status=206, body=answer.body[start:stop], headers=place)


def _decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal()
