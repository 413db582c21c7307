"""Reads a picture file once, without following links, and checks that it did not change meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from sorawatch.core.naming import one_line
from sorawatch.errors import Damaged, Deferred, Rejected

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 512 << 20
"""The largest file: it is read into memory as a whole."""


def read(path: Path) -> bytes:
    """The bytes of the regular file at ``path``.

    Raises:
        Rejected: if it is not a regular file, empty, or longer than ``MAX_BYTES``.
        Deferred: if it cannot be read now, or changed while it was read.
    """
    name = one_line(path.name)
    try:
        with open(path, "rb", opener=_open) as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise _not_a_file(name, "a pipe or device")
            if before.st_size == 0:
                raise Damaged(f"{name} is empty: it has 0 bytes", "Copy the picture again.")
            if before.st_size > MAX_BYTES:
                reason = f"{name} has {before.st_size / 2**20:.0f} MiB, which is more than {MAX_BYTES >> 20} MiB"
                raise Rejected(reason, "Save it as a JPEG, or smaller.")
            data = file.read(before.st_size + 1)
            after = os.fstat(file.fileno())
        same = len(data) == before.st_size and _stamp(before) == _stamp(after) == _stamp(os.lstat(path))
    except FileNotFoundError as error:
        raise Deferred(f"{name} is gone: it was moved or deleted") from error
    except PermissionError as error:
        raise Deferred(f"{name} cannot be read: {error.strerror}. Let sorawatch's user read it") from error
    except IsADirectoryError as error:
        raise _not_a_file(name, "a folder") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_a_file(name, "a symbolic link") from error
        if error.errno == errno.ENXIO:
            raise _not_a_file(name, "a socket") from error
        raise Deferred(f"{name} cannot be read: {error.strerror or error}") from error
    if not same:
        raise Deferred(f"{name} changed while it was read")
    return data


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a named pipe waits for a writer.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _not_a_file(name: str, kind: str) -> Rejected:
    return Rejected(f"{name} is {kind}, not a file", "Put the picture itself there.")
