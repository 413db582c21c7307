"""The models that can be ordered: those built in, under what the configuration's ``models`` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from sorawatch.core.order import Model, Size
from sorawatch.core.schema import Check, CheckError, Section, micros, shown
from sorawatch.core.sidecar import seconds, size
from sorawatch.core.tree import Node

if TYPE_CHECKING:
    from sorawatch.core.limits import Limits

T = TypeVar("T")

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
            mend = 'Add "usd_per_second: 0.10" below it, with its own price (0 if it is free), or set the cap to null.'
            section.note(model.name, what, mend)


def _unpriced(model: Model) -> str | None:
    if model.micros_per_second is not None:
        return None
    priced = dict(model.micros_per_second_by_size)
    if model.sizes is None:
        return "sizes not listed in usd_per_second" if priced else "any size"
    return ", ".join(str(size) for size in model.sizes if size not in priced) or None


def _model(section: Section, name: str) -> Model:
    base = BUILT_IN.get(name, Model(name, None, None))
    flat, by_size = section.get("usd_per_second", _price, (base.micros_per_second, base.micros_per_second_by_size))
    sizes = section.get("sizes", _any_or(size), base.sizes)
    lengths = section.get("seconds", _lengths, base.seconds)
    section.close()
    return Model(name, sizes, lengths, flat, by_size)


def _any_or(check: Check[T], more: str = "") -> Check[tuple[T, ...] | None]:
    def checked(node: Node) -> tuple[T, ...] | None:
        if node.text == "any":
            return None
        if not isinstance(node.value, tuple) or not node.value:
            raise CheckError(f"is {shown(node)}", f"Allowed: a list with at least one entry,{more} or any.")
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


def _price(node: Node) -> tuple[int | None, tuple[tuple[Size, int], ...]]:
    """One price for all sizes, a price for each, or null where it is unknown."""
    if isinstance(node.value, Mapping):
        return None, tuple((size(Node(key, key)), micros(price)) for key, price in node.value.items())
    return (None if node.value is None else micros(node)), ()
