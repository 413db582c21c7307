"""The models that can be ordered: those built in, under what the configuration's ``models`` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from sorawatch.core.order import Model, Size
from sorawatch.core.schema import Check, CheckError, Section, describe, micros
from sorawatch.core.sidecar import seconds, size
from sorawatch.core.yaml_tree import Node

if TYPE_CHECKING:
    from sorawatch.core.limits import Limits

T = TypeVar("T")

Price = tuple[int | None, tuple[tuple[Size, int], ...]]
"""Micro-dollars for all sizes, None where unknown, and those that differ by size."""
_NO_PRICE: Price = (None, ())
_NOT_LISTED = Size(1, 1)
"""A size that no model has prices for."""
_HD = (Size(720, 1280), Size(1280, 720))
_TALL = (Size(1024, 1792), Size(1792, 1024))
_FULL_HD = (Size(1080, 1920), Size(1920, 1080))

BUILT_IN: Mapping[str, Model] = MappingProxyType(
    {
        "sora-2": Model("sora-2", _HD, (4, 8, 12), 100_000),
        "sora-2-pro": Model(
            "sora-2-pro",
            _HD + _TALL + _FULL_HD,
            (4, 8, 12),
            micros_per_second_by_size=(
                *((size, 300_000) for size in _HD),
                *((size, 500_000) for size in _TALL),
                *((size, 700_000) for size in _FULL_HD),
            ),
        ),
    }
)
"""Sizes and seconds from the API reference, which names no prices. Prices of the 720p and 1024p tiers from
https://help.apiyi.com/sora-2-api-official-release-en.html, which is older than the 1080p tier."""


def read_models(section: Section) -> Mapping[str, Model]:
    """The catalogue: of a model that is built in, an entry changes what it names; of others, it says everything."""
    entries = {name: _model(section.section(name), name) for name in section}
    return MappingProxyType({**BUILT_IN, **entries})


def check_prices(catalogue: Mapping[str, Model], limits: Limits, section: Section) -> None:
    """Note every model with clips whose price is not known, if a cap in dollars has to count it."""
    named = " and ".join(limits.of_money)
    for model in catalogue.values():
        if named and (unpriced := _unpriced(model)):
            what = f"has no price for {unpriced}, which {named} has to count"
            add = 'Add "usd_per_second: 0.10" or "usd_per_video: 0.80" below it, with its own price (0 if it is free),'
            section.report(model.name, what, f"{add} or set the cap to null.")


def _unpriced(model: Model) -> str | None:
    if model.sizes is not None:
        return ", ".join(str(size) for size in model.sizes if model.price(size, 1) is None) or None
    if model.price(_NOT_LISTED, 1) is not None:
        return None
    by_size = (("usd_per_second", model.micros_per_second_by_size), ("usd_per_video", model.micros_per_video_by_size))
    listing = " and ".join(key for key, prices in by_size if prices)
    return f"sizes not listed in {listing}" if listing else "any size"


def _model(section: Section, name: str) -> Model:
    base = BUILT_IN.get(name, Model(name, None, None))
    a_second = section.get("usd_per_second", _price, (base.micros_per_second, base.micros_per_second_by_size))
    a_video = section.get("usd_per_video", _price, _NO_PRICE)
    if a_video != _NO_PRICE and section.node("usd_per_second") is None:
        # Whoever names what a clip costs does not mean: on top of the built-in price.
        a_second = _NO_PRICE
    sizes = section.get("sizes", _any_or(size), base.sizes)
    lengths = section.get("seconds", _lengths, base.seconds)
    section.close()
    return Model(name, sizes, lengths, *a_second, *a_video)


def _any_or(check: Check[T], more: str = "") -> Check[tuple[T, ...] | None]:
    def checked(node: Node) -> tuple[T, ...] | None:
        if node.text == "any":
            return None
        if not isinstance(node.value, tuple) or not node.value:
            raise CheckError(f"is {describe(node)}", f"Allowed: a list with at least one entry,{more} or any.")
        return tuple(dict.fromkeys(check(item) for item in node.value))

    return checked


def _lengths(node: Node) -> tuple[int, ...] | None:
    """A list, ``any``, or a range such as ``1-10``, both ends included."""
    first, dash, last = node.text.partition("-")
    if isinstance(node.value, str) and dash:
        low, high = (seconds(Node(each.strip(), each.strip())) for each in (first, last))
        if low <= high:
            return tuple(range(low, high + 1))
    return _any_or(seconds, " a range such as 1-10,")(node)


def _price(node: Node) -> Price:
    """One price for all sizes, a price for each, or null where it is unknown."""
    if isinstance(node.value, Mapping):
        return None, tuple((size(Node(key, key)), micros(price)) for key, price in node.value.items())
    return (None if node.value is None else micros(node)), ()
