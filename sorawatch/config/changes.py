"""Compares two versions of a configuration, and says which changes a running daemon can apply."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sorawatch.config.sections import Config

_NAMES = {
    "catalogue": "models",
    "limits.micros_per_clip": "limits.usd_per_clip",
    "limits.micros_per_day": "limits.usd_per_day",
    "limits.micros_per_month": "limits.usd_per_month",
    "limits.confirm_above_micros": "limits.confirm_above_usd",
    "policy.waits.first": "retries.first_seconds",
    "policy.waits.longest": "retries.max_seconds",
    "policy.waits.poll_min": "polling.min_seconds",
    "policy.waits.poll_max": "polling.max_seconds",
    "policy.waits.stall": "polling.stall_minutes",
    "policy.waits.abandon": "polling.abandon_hours",
    "policy.attempts": "retries.attempts",
    "policy.failed_generations": "retries.failed_generations",
    "policy.resubmit_lost": "api.unresolved_submit",
    "policy.damaged_grace_seconds": "watch.damaged_grace_seconds",
    "policy.billing.failed": "billing.failed",
    "policy.billing.moderated": "billing.moderated",
}
"""Fields whose keys in the file have other names."""

_DERIVED = ("policy.late_seconds", "policy.witness_seconds")
"""Fields that follow from another key, ``api.timeout_seconds``."""
_SECTIONS = frozenset(
    {
        "folders",
        "api",
        "defaults",
        "watch",
        "reference",
        "decoders",
        "limits",
        "logging",
        "policy",
        "policy.waits",
        "policy.billing",
    }
)
"""Fields whose parts are keys of their own."""

_NEEDS_RESTART = ("folders", "state", "work", "api.base_url", "api.dialect", "api.graph", "watch.mode", "decoders")
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
        api=replace(new.api, base_url=old.api.base_url, dialect=old.api.dialect, graph=old.api.graph),
        watch=replace(new.watch, mode=old.watch.mode),
        decoders=old.decoders,
    )


def _differing(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    for each in fields(old):
        before, after, name = getattr(old, each.name), getattr(new, each.name), prefix + each.name
        if not each.compare or before == after or name in _DERIVED:
            continue
        if name in _SECTIONS:
            yield from _differing(before, after, f"{name}.")
        else:
            yield _NAMES.get(name) or name.replace("defaults.", "video.")
