"""Which history a database has: it changes when a standby takes over and when a dump or an archive is restored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Incarnation:
    """What a database server tells of its own history. None is what it does not tell us."""

    system: str | None
    """The identifier of the cluster, from the time it was made. Its standbys have the same one."""
    timeline: str | None
    """It changes when a standby becomes the primary, and at the end of a recovery from an archive."""
    tables: str | None
    """It changes when the tables are made again, as from a dump."""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Incarnation:
        """From what `as_json` returned."""
        return cls(document.get("system"), document.get("timeline"), document.get("tables"))

    def as_json(self) -> dict[str, str | None]:
        return asdict(self)

    def with_unknown_of(self, other: Incarnation) -> Incarnation:
        """This one, with the parts of ``other`` that are unknown here."""
        return Incarnation(self.system or other.system, self.timeline or other.timeline, self.tables or other.tables)

    def continues(self, other: Incarnation) -> bool:
        """Whether both are one history, as far as both are known."""
        pairs = ((self.system, other.system), (self.timeline, other.timeline), (self.tables, other.tables))
        return all(mine == theirs or None in {mine, theirs} for mine, theirs in pairs)
