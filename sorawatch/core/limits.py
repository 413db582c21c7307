"""The keys of ``limits``, for the whole inbox or for one folder: money, pace, and how many clips at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.value_checks import CheckError, integer, micros, nullable, positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.core.value_checks import Section
    from sorawatch.core.yaml_tree import Node


@dataclass(frozen=True, slots=True)
class Limits:
    """``micros_per_day`` is ``usd_per_day`` in micro-dollars, and so on. None means no limit; 0 allows no spending."""

    in_flight: int | None = None
    submits_per_minute: float | None = None
    burst: int = 1
    """How many submits may follow each other immediately after a pause, before the pace applies."""
    micros_per_clip: int | None = None
    micros_per_day: int | None = None
    micros_per_month: int | None = None
    confirm_above_micros: int | None = None
    """Orders that settle together and cost more wait for approval. Only for the whole inbox."""

    @property
    def spending_caps(self) -> Mapping[str, int]:
        """The caps on spending by their keys, in micro-dollars."""
        caps = {"clip": self.micros_per_clip, "day": self.micros_per_day, "month": self.micros_per_month}
        return {f"limits.usd_per_{name}": cap for name, cap in caps.items() if cap is not None}

    @property
    def counting_money(self) -> tuple[str, ...]:
        """The keys that are set and count money. If there is one, every price must be known."""
        confirm = () if self.confirm_above_micros is None else ("limits.confirm_above_usd",)
        return (*self.spending_caps, *confirm)


def _cap(node: Node) -> int | None:
    """A cap on spending, or null. An empty value, such as an empty variable, must not remove a cap."""
    if node.value is None and not node.text.strip():
        raise CheckError("is empty", "Write an amount in dollars, such as 0.10, or null for no cap.")
    return nullable(micros)(node)


def read_limits(section: Section, default: Limits, *, of_folder: bool = False) -> Limits:
    """The keys of ``limits`` in a configuration or a ``_defaults.yaml``. Problems are reported to the section.

    Args:
        of_folder: it is a ``_defaults.yaml``, so the keys that are only for the whole inbox are problems.
    """
    limits = Limits(
        in_flight=section.get("in_flight", integer(1, 100_000), default.in_flight),
        submits_per_minute=section.get("submits_per_minute", positive(100_000), default.submits_per_minute),
        burst=section.get("burst", integer(1, 100_000), default.burst),
        micros_per_clip=section.get("usd_per_clip", _cap, default.micros_per_clip),
        micros_per_day=section.get("usd_per_day", _cap, default.micros_per_day),
        micros_per_month=section.get("usd_per_month", _cap, default.micros_per_month),
        confirm_above_micros=section.get("confirm_above_usd", _cap, default.confirm_above_micros),
    )
    if of_folder and section.node("confirm_above_usd") is not None:
        hint = "Write it into the section limits of the configuration, or set usd_per_day here."
        section.report("confirm_above_usd", "is only for the whole inbox", hint)
    section.close()
    return limits
