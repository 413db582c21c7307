"""The file ``.sorawatch`` in each of the four folders: it shows that the folder is mounted, and names its state.

It is read and replaced, never locked or held open: anybody who may read a file can lock it, and an open file on a share
may not reach the server.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from typing import TYPE_CHECKING

from sorawatch.core.marker_text import UNNAMED, marker_text, named_state
from sorawatch.core.os_errors import translate
from sorawatch.core.permissions import Permissions
from sorawatch.edges.directories import Directory, NotAFile, opened
from sorawatch.errors import Blocked, UsageError

if TYPE_CHECKING:
    from pathlib import Path

MARKER = ".sorawatch"

_MOST_READ = 4096
_TEMPORARY = f"{MARKER}.new"
_READABLE_BY_ALL = Permissions(file_mode=0o644)
"""Daemons of other machines may run as other users."""


def is_marked(folder: Path) -> bool:
    """Whether our marker is in ``folder``, so that it is the mounted folder and not an empty mount point."""
    return os.path.lexists(folder / MARKER)


def require_marker(folder: Path) -> None:
    """Make sure that ``folder`` is mounted.

    Raises:
        Blocked: if our marker is missing.
        Blocked, Deferred: if the folder cannot be read.
    """
    try:
        os.lstat(folder / MARKER)
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = f"Mount the share again. If the folder was replaced on purpose: {_touch(folder)}"
        raise Blocked(
            f"{folder} has lost its file {MARKER}, so its share is not mounted", hint, temporary=True
        ) from error
    except OSError as error:
        raise translate(error, str(folder)) from error


def read_marker(folder: Path) -> str | None:
    """The UUID of the state that the marker names, or `UNNAMED`; None if there is no marker.

    Raises:
        UsageError: if there is something else of this name.
        Blocked, Deferred: if it cannot be read.
    """
    try:
        with opened(folder) as directory:
            return _read(directory)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise translate(error, str(folder / MARKER)) from error


def make_marker(folder: Path) -> None:
    """Make an empty marker, which names no state yet, unless there is one. It is on disk when this returns.

    Raises:
        Blocked, Deferred: if it cannot be made.
    """
    try:
        with opened(folder) as directory:
            if directory.has(MARKER):
                return
            with contextlib.suppress(FileExistsError), directory.create(MARKER):
                directory.fsync()
    except OSError as error:
        raise translate(error, str(folder)) from error


def write_marker(folder: Path, state: str) -> None:
    """Let the marker name ``state``, whatever it names. It is replaced whole, and is on disk when this returns.

    Raises:
        Blocked, Deferred: if it cannot be written.
    """
    try:
        with opened(folder) as directory:
            directory.write_durably(MARKER, marker_text(state).encode(), _READABLE_BY_ALL, _TEMPORARY)
    except OSError as error:
        raise translate(error, str(folder)) from error


def name_marker(folder: Path, state: str) -> str | None:
    """Let a marker that names no state name ``state``. A marker that names one is left as it is.

    Returns:
        The state that the marker names now; None if there is no marker.

    Raises:
        UsageError: if there is something else of this name.
        Blocked, Deferred: if it cannot be read or written.
    """
    named = read_marker(folder)
    if named == UNNAMED:
        write_marker(folder, state)
        return state
    return named


def _read(directory: Directory) -> str:
    path = directory.path / MARKER
    hint = f"sorawatch needs this name for its own file. Move it away, then: {_touch(directory.path)}"
    try:
        with directory.read(MARKER) as file:
            named = named_state(file.read(_MOST_READ))
    except NotAFile as error:
        raise UsageError(f"{error}. {hint}") from error
    if named is None:
        raise UsageError(f"{path} was not written by sorawatch. {hint}")
    return named


def _touch(folder: Path) -> str:
    return f"touch {shlex.quote(str(folder / MARKER))}"
