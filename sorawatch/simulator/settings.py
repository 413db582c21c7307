"""What a simulated server sells and how it behaves when nothing goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model: its price in dollars per second of clip by size (``WIDTHxHEIGHT``, even pixels), and its lengths.

    The first size and the first length are what an order gets that names none.
    """

    name: str
    quality: str
    usd_per_second: Mapping[str, Decimal]
    seconds: tuple[str, ...] = ("4", "8", "12")

    def price(self, size: str, seconds: str) -> Decimal:
        """Dollars for one clip."""
        return self.usd_per_second[size] * int(seconds)


_SMALL = ("720x1280", "1280x720")
_MIDDLE = ("1024x1792", "1792x1024")
_LARGE = ("1080x1920", "1920x1080")


def _prices(*tiers: tuple[tuple[str, ...], str]) -> Mapping[str, Decimal]:
    return MappingProxyType({size: Decimal(usd) for sizes, usd in tiers for size in sizes})


MODELS = (
    ModelCard("sora-2", "standard", _prices((_SMALL, "0.10"))),
    ModelCard("sora-2-pro", "high", _prices((_SMALL, "0.30"), (_MIDDLE, "0.50"), (_LARGE, "0.70"))),
)
"""The models, sizes and qualities of the API reference, at OpenAI's list prices."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """How the server behaves.

    ``generation_seconds`` is the time from acceptance to completion; ``inf`` holds every video until it is
    released. ``clip_lifetime_seconds`` counts from completion. Above ``max_running`` unfinished videos a create
    is answered 429.
    """

    key: str | None = "sk-simulated"
    """The only key accepted; None asks for none."""
    generation_seconds: float = 6.0
    frames_per_second: int = 24
    clip_lifetime_seconds: float = 3600.0
    max_running: int | None = None
    image_field: str = "input_reference"
    """The field of a create that holds the picture."""
    extra_fields: frozenset[str] = frozenset()
    """Fields that a create may have beside the contract's own."""
    models: tuple[ModelCard, ...] = MODELS

    def model(self, name: str) -> ModelCard | None:
        """The model called ``name``, if it is sold here."""
        return next((card for card in self.models if card.name == name), None)
