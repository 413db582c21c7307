"""Who may use what sorawatch makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permission bits for the files and folders made, and the id of their group; None leaves it to the system."""

    file_mode: int | None = None
    dir_mode: int | None = None
    group: int | None = None
