"""The models and the behaviour of a simulated server without faults."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model: its prices in dollars per second of clip by size (``WIDTHxHEIGHT``, even numbers), and its lengths.

    The first size and the first length are the defaults of an order.
    """

    name: str
    quality: str
    usd_per_second: Mapping[str, Decimal]
    seconds: tuple[str, ...] = ("4", "8", "12")

    def price(self, size: str, seconds: str) -> Decimal:
        """The price of one clip in dollars."""
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

APIS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "the reference contract: POST /v1/videos",
        "litellm": "the LiteLLM proxy, without a database",
        "new-api": "the gateway new-api, with channels for Sora, Kling, Doubao and Ali",
        "vllm-omni": "vLLM-Omni on a GPU",
        "sglang": "SGLang Diffusion on a GPU",
        "fastvideo": "FastVideo on a GPU",
        "lightx2v": "LightX2V on a GPU",
        "comfyui": "ComfyUI on a GPU",
    }
)
"""What can be simulated, by name."""

KEY = "sk-simulated"
"""The key that is accepted by default."""


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """How the server behaves.

    ``generation_seconds`` is the time from acceptance to completion; with ``inf`` every video runs until it is
    released. ``clip_lifetime_seconds`` counts from completion. A create is refused if ``max_running`` videos are
    unfinished.

    Raises:
        ValueError: for an ``api`` that is not one of `APIS`.
    """

    api: str = "openai"
    """Whose contract it speaks: a key of `APIS`."""
    key: str | None = KEY
    """The only key that is accepted. None: none is needed, and in the reference contract each is an account that knows
    only its own videos. Servers on a GPU ask for none by default."""
    generation_seconds: float = 6.0
    frames_per_second: int = 24
    clip_lifetime_seconds: float = 3600.0
    max_running: int | None = None
    """None means as many as the real server takes."""
    image_field: str = "input_reference"
    """The field of a create that holds the picture, in the reference contract."""
    extra_fields: frozenset[str] = frozenset()
    """Additional fields that a create may have, in the reference contract."""
    models: tuple[ModelCard, ...] | None = None
    """None means those that a server of this API usually has."""

    def __post_init__(self) -> None:
        if self.api not in APIS:
            raise ValueError(f"api: {self.api!r} is none of {', '.join(APIS)}")
