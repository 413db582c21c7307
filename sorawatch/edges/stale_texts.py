"""Removes the text of a failed pair once the pair is no longer beside it."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from sorawatch.core.error_text import REMOVED_NOTE
from sorawatch.core.naming import LONGEST_NAME
from sorawatch.core.pairing import ERROR_SUFFIX, IMAGE_SUFFIXES, fold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_BYTES = 1 << 20
"""The longest text that is looked at."""


def remove_stale_texts(root: Path) -> list[Path]:
    """Remove all stale texts below ``root``, and return their paths. Folders that cannot be listed are left out."""
    return [text for folder, names in _folders(root) for text in _without_pair(folder, names) if remove_if_stale(text)]


def remove_moved_text(text: Path) -> bool:
    """Remove a text that was moved back into the inbox together with its pair. Returns whether it was removed."""
    with suppress(OSError), open(text, "rb", opener=_open) as file:
        status = os.fstat(file.fileno())
        if _is_ours(file, status) and os.path.samestat(status, os.lstat(text)):
            text.unlink()
            return True
    return False


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    todo = [root]
    while todo:
        folder = todo.pop()
        names = []
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(folder / entry.name)
                else:
                    names.append(entry.name)
        yield folder, names


def _without_pair(folder: Path, names: list[str]) -> Iterator[Path]:
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
            yield folder / name


def remove_if_stale(text: Path) -> bool:
    """Remove one text if its picture is no longer beside it. Returns whether it was removed."""
    with suppress(OSError), open(text, "rb", opener=_open) as file:
        status = os.fstat(file.fileno())
        # Another pair of this name may have been placed here since the folder was listed.
        names = [path.name for path in text.parent.iterdir()] if _is_ours(file, status) else []
        if text in _without_pair(text.parent, names) and os.path.samestat(status, os.lstat(text)):
            text.unlink()
            return True
    return False


def _is_ours(file: IO[bytes], status: os.stat_result) -> bool:
    """Whether an open file is a text that says that it is removed."""
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
        return False
    return file.read().decode(errors="replace").endswith(f"{REMOVED_NOTE}\n")


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
