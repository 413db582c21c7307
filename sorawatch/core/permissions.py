"""The permissions of the files and folders that sorawatch makes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Permissions:
    """Permission bits of files and of folders, and the id of their group; None is the default of the system."""

    file_mode: int | None = None
    dir_mode: int | None = None
    group: int | None = None
