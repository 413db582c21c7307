"""The models that can be ordered: those of the dialect, and the section ``models`` of the configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from sorawatch.config.sections import VIDEO
from sorawatch.core.dialect import Needs
from sorawatch.core.order import Aim, Model, Size
from sorawatch.core.sidecar import fields, seconds, size
from sorawatch.core.value_checks import Check, CheckError, Section, describe, integer, micros, nullable
from sorawatch.core.yaml_tree import Node

if TYPE_CHECKING:
    from sorawatch.core.dialect import Dialect
    from sorawatch.core.limits import Limits

T = TypeVar("T")

Price = tuple[int | None, tuple[tuple[Size, int], ...]]
"""Micro-dollars for all sizes, None if unknown, and the sizes with another price."""
_NO_PRICE: Price = (None, ())
_UNLISTED_SIZE = Size(1, 1)
"""A size for which no model lists a price."""


def read_models(section: Section, dialect: Dialect) -> Mapping[str, Model]:
    """The catalogue. An entry for a model that the dialect knows changes only the keys that it has."""
    entries = {}
    for name in section:
        keys, described = section.section(name), dialect.described(name)
        base = Model(name, None, None) if described is None else replace(described.model, name=name)
        entries[name] = read_model(keys, base)
        keys.close()
    return MappingProxyType({**dialect.catalogue, **entries})


def default_terms(model: Model, needs: Needs) -> dict[str, Any]:
    """The size and the seconds of an order for which nobody says them: on a GPU of one's own a small clip."""
    is_own = needs is Needs.GPU
    offers_720p = model.sizes is None or VIDEO.size in model.sizes
    usual = 5 if is_own else VIDEO.seconds
    assert usual is not None
    seconds = usual if model.seconds is None else min(model.seconds, key=lambda each: (abs(each - usual), each))
    return {"size": VIDEO.size if offers_720p and not is_own else Aim.AUTO, "seconds": seconds}


def check_prices(catalogue: Mapping[str, Model], names: Collection[str], limits: Limits, section: Section) -> None:
    """Report each model of ``names`` with an unknown price, if there is a limit in dollars that needs it.

    Orders for other models without a price are refused one by one.
    """
    named = " and ".join(limits.counting_money)
    for model in (catalogue[name] for name in catalogue if name in names):
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


def read_model(section: Section, base: Model, sizes_check: Check[tuple[Size, ...] | None] | None = None) -> Model:
    """The keys of one model; what they do not say is as in ``base``."""
    second_price = section.get("usd_per_second", _price, (base.micros_per_second, base.micros_per_second_by_size))
    video_price = section.get("usd_per_video", _price, _NO_PRICE)
    if video_price != _NO_PRICE and section.node("usd_per_second") is None:
        # A price for each clip replaces the built-in price; it is not added to it.
        second_price = _NO_PRICE
    return replace(
        base,
        sizes=section.get("sizes", sizes_check or any_or(size), base.sizes),
        seconds=section.get("seconds", _seconds, base.seconds),
        micros_per_second=second_price[0],
        micros_per_second_by_size=second_price[1],
        micros_per_video=video_price[0],
        micros_per_video_by_size=video_price[1],
        fps=section.get("fps", nullable(integer(1, 240)), base.fps),
        fields=section.get("fields", fields, base.fields),
    )


def any_or(check: Check[T], more: str = "") -> Check[tuple[T, ...] | None]:
    """``any``, which becomes None, or a list. ``more`` names what else is allowed."""

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
    return any_or(seconds, " a range such as 1-10,")(node)


def _price(node: Node) -> Price:
    """One price for all sizes, one for each size, or null if it is unknown."""
    if isinstance(node.value, Mapping):
        return None, tuple((size(Node(key, key)), micros(price)) for key, price in node.value.items())
    return (None if node.value is None else micros(node)), ()
