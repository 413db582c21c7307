"""What a create asks for, in the words of no API in particular, and how its video will be generated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """A valid create request. ``size`` is ``WIDTHxHEIGHT`` in even numbers, ``seconds`` a whole number."""

    prompt: str
    model: str
    size: str
    seconds: str
    quality: str
    usd: Decimal
    reference_sha256: str
    """Empty if the server has received no picture, or has ignored it."""
    id: str | None = None
    """The id that the client has chosen for the video; None means that the server chooses one."""
    failure: str | None = None
    """Why the generation will fail although the order was accepted."""
    request: Mapping[str, object] = field(default_factory=dict)
    """What the request said, as far as the API repeats it in its responses."""


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """How a video will be generated, decided when its order is accepted. With an ``error`` the generation fails."""

    id: str
    generation_seconds: float
    error: dict[str, object] | None = None
