"""Removes the text of a failed pair once the pair is no longer beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from sorawatch.core.error_text import REMOVED_NOTE
from sorawatch.core.job import path_in
from sorawatch.core.naming import LONGEST_NAME
from sorawatch.core.pairing import ERROR_SUFFIX, IMAGE_SUFFIXES, fold
from sorawatch.edges.directories import MOST_LEVELS, Descent, Directory, opened
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
    with Descent(root) as descent:
        while folders:
            folder = folders.pop()
            names = []
            with suppress(OSError, Deferred):
                directory = descent.open(folder)
                is_deepest = folder.count("/") + 1 == MOST_LEVELS
                with os.scandir(directory.descriptor) as entries:
                    for entry in entries:
                        if not entry.is_dir(follow_symlinks=False):
                            names.append(entry.name)
                        elif not is_deepest:
                            folders.append(path_in(folder, entry.name))
                removed += [path_in(folder, name) for name in _without_pair(names) if _remove(directory, name)]
    return removed


def remove_if_stale(root: Path, text: str) -> bool:
    """Remove the text at a path below ``root`` if its pair is no longer beside it. Returns whether it was removed."""
    folder, _, name = text.rpartition("/")
    with suppress(OSError, Deferred), opened(root, folder) as directory:
        return directory.has(name) and _remove(directory, name)
    return False


def remove_moved_text(root: Path, text: str) -> bool:
    """Remove a text that was moved back into the inbox together with its pair. Returns whether it was removed."""
    folder, _, name = text.rpartition("/")
    with suppress(OSError, Deferred), opened(root, folder) as directory, directory.read(name) as file:
        status = os.fstat(file.fileno())
        if _is_ours(file, status) and os.path.samestat(status, directory.lstat(name)):
            directory.unlink(name)
            return True
    return False


def _without_pair(names: Sequence[str]) -> Iterator[str]:
    """The texts of a folder that have no image of their name beside them."""
    others = {name for name in names if fold(name).endswith(IMAGE_SUFFIXES)}
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
        # Another pair of this name may have been placed here since the folder was listed.
        names = directory.names() if _is_ours(file, status) else []
        if text in _without_pair(names) and os.path.samestat(status, directory.lstat(text)):
            directory.unlink(text)
            return True
    return False


def _is_ours(file: IO[bytes], status: os.stat_result) -> bool:
    """Whether an open file is a text that says that it is removed."""
    return status.st_size <= _MOST_BYTES and file.read().decode(errors="replace").endswith(f"{REMOVED_NOTE}\n")
