"""Tells once that a default has changed on which the orders of an existing state relied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sorawatch.config.sections import FORMER_VIDEO, VIDEO

if TYPE_CHECKING:
    from sorawatch.config import Config
    from sorawatch.edges.store import Transaction

_TOLD = "defaults"
_VERSION = "video.size and video.focus are auto"
"""What a state remembers when its daemon has told it, or was never used with the former defaults."""


def changed_defaults(config: Config, tx: Transaction) -> tuple[str, str] | None:
    """What has changed for this state, and what to write for the former defaults; None if there is nothing to tell."""
    keys = [key for key in FORMER_VIDEO if key in config.unset_video_keys]
    if not keys or tx.key_values.read(_TOLD) == _VERSION or not (tx.jobs.counts() or tx.purchases.witnesses(1)):
        return None
    changes = [f"video.{key} was {FORMER_VIDEO[key]} and is {getattr(VIDEO, key)}" for key in keys]
    former = ", ".join(f"{key}: {FORMER_VIDEO[key]}" for key in keys)
    what = (
        f"defaults have changed: {'; '.join(changes)}. New clips are landscape or portrait like the picture, which may "
        "change their price, and a crop keeps more of the upper part. Orders already made stay as they are"
    )
    return what, f"For the former defaults, write in {config.path}: video: {{{former}}}"


def defaults_were_told(tx: Transaction) -> None:
    """Remember that the present defaults are known."""
    if tx.key_values.read(_TOLD) != _VERSION:
        tx.key_values.write(_TOLD, _VERSION)
