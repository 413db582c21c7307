"""Removes the text of a failed pair once the pair is no longer beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from sorawatch.core.error_text import REMOVED_NOTE
from sorawatch.core.job import path_in
from sorawatch.core.naming import LONGEST_NAME
from sorawatch.core.pairing import ERROR_SUFFIX
from sorawatch.edges.directories import Directory, opened
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MOST_BYTES = 1 << 20
"""The longest text that is looked at."""


def remove_stale_texts(root: Path) -> list[str]:
    """Remove all stale texts below ``root``, and return their paths. Folders that cannot be listed are left out."""
    removed = []
    folders = [""]
    while folders:
        folder = folders.pop()
        names = []
        with suppress(OSError, Deferred), opened(root, folder) as directory:
            with os.scandir(directory.descriptor) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path_in(folder, entry.name))
                    else:
                        names.append(entry.name)
            removed += [path_in(folder, name) for name in _without_pair(names) if _remove(directory, name)]
    return removed


def remove_if_stale(root: Path, text: str) -> bool:
    """Remove the text at a path below ``root`` if its pair is no longer beside it. Returns whether it was removed."""
    folder, _, name = text.rpartition("/")
    with suppress(OSError, Deferred), opened(root, folder) as directory:
        return directory.has(name) and _remove(directory, name)
    return False


def _without_pair(names: Sequence[str]) -> Iterator[str]:
    """The texts of a folder that have no other file of their name beside them."""
    others = {name for name in names if not name.endswith(ERROR_SUFFIX)}
    stems = others | {name[:end] for name in others for end, letter in enumerate(name) if letter == "."}
    for name in names:
        stem = name.removesuffix(ERROR_SUFFIX)
        if stem == name or stem in stems:
            continue
        # The stem of a very long name was shortened for the text.
        is_shortened = len(os.fsencode(name)) > LONGEST_NAME - 4
        if not (is_shortened and any(other.startswith(stem) for other in others)):
            yield name


def _remove(directory: Directory, text: str) -> bool:
    with suppress(OSError, Deferred), directory.read(text) as file:
        status = os.fstat(file.fileno())
        if status.st_size > _MOST_BYTES:
            return False
        has_note = file.read().decode(errors="replace").endswith(f"{REMOVED_NOTE}\n")
        # Another pair of this name may have been placed here since the folder was listed.
        is_alone = has_note and text in _without_pair(directory.names())
        if is_alone and os.path.samestat(status, directory.lstat(text)):
            directory.unlink(text)
            return True
    return False
