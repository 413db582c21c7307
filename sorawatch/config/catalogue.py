"""The models that can be ordered: the built-in ones, and the section ``models`` of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from sorawatch.core.order import Model, Size
from sorawatch.core.sidecar import seconds, size
from sorawatch.core.value_checks import Check, CheckError, Section, describe, micros
from sorawatch.core.yaml_tree import Node

if TYPE_CHECKING:
    from sorawatch.core.limits import Limits

T = TypeVar("T")

Price = tuple[int | None, tuple[tuple[Size, int], ...]]
"""Micro-dollars for all sizes, None if unknown, and the sizes with another price."""
_NO_PRICE: Price = (None, ())
_UNLISTED_SIZE = Size(1, 1)
"""A size for which no model lists a price."""
_720P = (Size(720, 1280), Size(1280, 720))
_1024P = (Size(1024, 1792), Size(1792, 1024))
_1080P = (Size(1080, 1920), Size(1920, 1080))

BUILT_IN: Mapping[str, Model] = MappingProxyType(
    {
        "sora-2": Model("sora-2", _720P, (4, 8, 12), 100_000),
        "sora-2-pro": Model(
            "sora-2-pro",
            _720P + _1024P + _1080P,
            (4, 8, 12),
            micros_per_second_by_size=(
                *((size, 300_000) for size in _720P),
                *((size, 500_000) for size in _1024P),
                *((size, 700_000) for size in _1080P),
            ),
        ),
    }
)
"""Sizes and seconds are from the API reference, which has no prices. The prices of the 720p and 1024p tiers are from
https://help.apiyi.com/sora-2-api-official-release-en.html, which is older than the 1080p tier."""


def read_models(section: Section) -> Mapping[str, Model]:
    """The catalogue. An entry for a built-in model changes only the keys that it has; other entries are complete."""
    entries = {name: _model(section.section(name), name) for name in section}
    return MappingProxyType({**BUILT_IN, **entries})


def check_prices(catalogue: Mapping[str, Model], limits: Limits, section: Section) -> None:
    """Report every model with an unknown price, if there is a limit in dollars that needs it."""
    named = " and ".join(limits.counting_money)
    for model in catalogue.values():
        if named and (unpriced := _unpriced(model)):
            what = f"has no price for {unpriced}, which {named} has to count"
            add = 'Add "usd_per_second: 0.10" or "usd_per_video: 0.80" below it, with its own price (0 if it is free),'
            section.report(model.name, what, f"{add} or set the cap to null.")


def _unpriced(model: Model) -> str | None:
    if model.sizes is not None:
        return ", ".join(str(size) for size in model.sizes if model.price(size, 1) is None) or None
    if model.price(_UNLISTED_SIZE, 1) is not None:
        return None
    by_size = (("usd_per_second", model.micros_per_second_by_size), ("usd_per_video", model.micros_per_video_by_size))
    listing = " and ".join(key for key, prices in by_size if prices)
    return f"sizes not listed in {listing}" if listing else "any size"


def _model(section: Section, name: str) -> Model:
    base = BUILT_IN.get(name, Model(name, None, None))
    second_price = section.get("usd_per_second", _price, (base.micros_per_second, base.micros_per_second_by_size))
    video_price = section.get("usd_per_video", _price, _NO_PRICE)
    if video_price != _NO_PRICE and section.node("usd_per_second") is None:
        # A price for each clip replaces the built-in price; it is not added to it.
        second_price = _NO_PRICE
    sizes = section.get("sizes", _any_or(size), base.sizes)
    seconds_list = section.get("seconds", _seconds, base.seconds)
    section.close()
    return Model(name, sizes, seconds_list, *second_price, *video_price)


def _any_or(check: Check[T], more: str = "") -> Check[tuple[T, ...] | None]:
    def checked(node: Node) -> tuple[T, ...] | None:
        if node.text == "any":
            return None
        if not isinstance(node.value, tuple) or not node.value:
            raise CheckError(f"is {describe(node)}", f"Allowed: a list with at least one entry,{more} or any.")
        return tuple(dict.fromkeys(check(item) for item in node.value))

    return checked


def _seconds(node: Node) -> tuple[int, ...] | None:
    """A list, ``any``, or a range such as ``1-10`` with both ends included."""
    first, dash, last = node.text.partition("-")
    if isinstance(node.value, str) and dash:
        low, high = (seconds(Node(each.strip(), each.strip())) for each in (first, last))
        if low <= high:
            return tuple(range(low, high + 1))
    return _any_or(seconds, " a range such as 1-10,")(node)


def _price(node: Node) -> Price:
    """One price for all sizes, one for each size, or null if it is unknown."""
    if isinstance(node.value, Mapping):
        return None, tuple((size(Node(key, key)), micros(price)) for key, price in node.value.items())
    return (None if node.value is None else micros(node)), ()
