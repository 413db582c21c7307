"""What a person asks a daemon to do."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Command:
    """``verb`` for the job ``job_id``, if it is about one, with an optional ``argument``."""

    verb: str
    job_id: str | None = None
    argument: str | None = None
    at: int = field(default=0, compare=False)
    """When the command was given, in milliseconds of the store's clock."""
