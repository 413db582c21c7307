"""Compares two versions of a configuration, and says which changes a running daemon can apply."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.config.sections import Config

_NAMES = {
    "defaults": "video",
    "catalogue": "models",
    "micros_per_clip": "usd_per_clip",
    "micros_per_day": "usd_per_day",
    "micros_per_month": "usd_per_month",
}
"""The keys whose fields have another name."""

_NEEDS_RESTART = ("folders", "state", "work", "api.base_url", "watch.mode")
"""Keys that cannot change while the daemon runs: it has opened, locked or sent orders to what they name."""


def changed(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dotted keys that differ: those that a running daemon can apply, and those that need a restart."""
    keys = [*_differing(old, new)]
    needs_restart = [key for key in keys if any(key == item or key.startswith(f"{item}.") for item in _NEEDS_RESTART)]
    return tuple(key for key in keys if key not in needs_restart), tuple(needs_restart)


def merged(old: Config, new: Config) -> Config:
    """``new``, but with the values of ``old`` for all keys that need a restart."""
    return replace(
        new,
        folders=old.folders,
        state=old.state,
        work=old.work,
        api=replace(new.api, base_url=old.api.base_url),
        watch=replace(new.watch, mode=old.watch.mode),
    )


def _differing(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    for item in fields(old):
        one, other = getattr(old, item.name), getattr(new, item.name)
        if not item.compare or one == other:
            continue
        name = prefix + _NAMES.get(item.name, item.name)
        if is_dataclass(one) and is_dataclass(other) and type(one) is type(other) and prefix == "":
            yield from _differing(one, other, f"{name}.")
        else:
            yield name
