"""What differs between two readings of a configuration, and what of it can be exchanged while a daemon runs."""

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
"""Keys whose fields are called otherwise."""

_FIXED = ("folders", "state", "work", "api.base_url", "watch.mode")
"""What a running daemon has opened, locked or sent orders to."""


def changed(old: Config, new: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dotted keys that differ: those that a running daemon can take over, and those that need a restart."""
    keys = [*_differing(old, new)]
    fixed = [key for key in keys if any(key == each or key.startswith(f"{each}.") for each in _FIXED)]
    return tuple(key for key in keys if key not in fixed), tuple(fixed)


def merged(old: Config, new: Config) -> Config:
    """``new``, but ``old`` in everything that needs a restart."""
    return replace(
        new,
        folders=old.folders,
        state=old.state,
        work=old.work,
        api=replace(new.api, base_url=old.api.base_url),
        watch=replace(new.watch, mode=old.watch.mode),
    )


def _differing(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    for each in fields(old):
        one, other = getattr(old, each.name), getattr(new, each.name)
        if not each.compare or one == other:
            continue
        name = prefix + _NAMES.get(each.name, each.name)
        if is_dataclass(one) and is_dataclass(other) and type(one) is type(other) and prefix == "":
            yield from _differing(one, other, f"{name}.")
        else:
            yield name
