"""How much may be spent, sent, and made at once: the keys of ``limits``, for the whole inbox or for one folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sorawatch.core.schema import CheckError, integer, micros, nullable, positive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sorawatch.core.schema import Section
    from sorawatch.core.yaml_tree import Node


@dataclass(frozen=True, slots=True)
class Limits:
    """``micros_per_day`` is ``usd_per_day`` in micro-dollars, and so on; None is no limit, 0 buys nothing."""

    in_flight: int | None = None
    submits_per_minute: float | None = None
    burst: int = 1
    """Submits that may follow one another at once after a rest; then the pace holds."""
    micros_per_clip: int | None = None
    micros_per_day: int | None = None
    micros_per_month: int | None = None

    @property
    def of_money(self) -> Mapping[str, int]:
        """The caps on money by their keys, in micro-dollars: with any of them every price must be known."""
        caps = {"clip": self.micros_per_clip, "day": self.micros_per_day, "month": self.micros_per_month}
        return {f"limits.usd_per_{name}": cap for name, cap in caps.items() if cap is not None}


def _cap(node: Node) -> int | None:
    """A cap on money, or null. Nothing at all, such as a variable that was left empty, must not lift a cap."""
    if node.value is None and not node.text.strip():
        raise CheckError("is empty", "Write an amount in dollars, such as 0.10, or null for no cap.")
    return nullable(micros)(node)


def read_limits(section: Section, default: Limits) -> Limits:
    """The keys of ``limits`` in a configuration or a ``_defaults.yaml``; faults are noted in the section."""
    limits = Limits(
        in_flight=section.get("in_flight", integer(1, 100_000), default.in_flight),
        submits_per_minute=section.get("submits_per_minute", positive(100_000), default.submits_per_minute),
        burst=section.get("burst", integer(1, 100_000), default.burst),
        micros_per_clip=section.get("usd_per_clip", _cap, default.micros_per_clip),
        micros_per_day=section.get("usd_per_day", _cap, default.micros_per_day),
        micros_per_month=section.get("usd_per_month", _cap, default.micros_per_month),
    )
    section.close()
    return limits
