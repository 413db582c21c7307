"""Opens a picture file without following links, reads it once, and checks that it did not change meanwhile.

The daemon opens the file, and the worker reads it by the descriptor: the worker needs no access to any folder.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from sorawatch.core.naming import one_line
from sorawatch.core.picture_limits import MAX_PICTURE_BYTES
from sorawatch.edges.directories import NotAFile, opened
from sorawatch.errors import Damaged, Deferred, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def opened_picture(root: Path, path: str) -> Iterator[IO[bytes]]:
    """Open the regular file at ``path`` below ``root``.

    Raises:
        Rejected: if it is not a regular file.
        Deferred: if it cannot be opened now, or it changed while it was open.
    """
    name = one_line(path.rpartition("/")[2])
    try:
        folder, _, file_name = path.rpartition("/")
        with opened(root, folder) as directory, directory.read(file_name) as file:
            before = _stamp(os.fstat(file.fileno()))
            yield file
            if not before == _stamp(os.fstat(file.fileno())) == _stamp(directory.lstat(file_name)):
                raise Deferred(f"{name} changed while it was read")
    except NotAFile as error:
        raise Rejected(f"{name} is {error.kind}, not a file", "Put the picture itself there.") from error
    except FileNotFoundError as error:
        raise Deferred(f"{name} is gone: it was moved or deleted") from error
    except PermissionError as error:
        raise Deferred(f"{name} cannot be read: {error.strerror}. Let sorawatch's user read it") from error
    except OSError as error:
        raise Deferred(f"{name} cannot be read: {error.strerror or error}") from error


def read(file: IO[bytes], name: str) -> bytes:
    """The bytes of an open picture. Whether it changed meanwhile is for `opened_picture` to see.

    Raises:
        Rejected: if it is empty, or longer than ``MAX_PICTURE_BYTES``.
        Deferred: if it cannot be read now, or got shorter or longer while it was read.
    """
    try:
        # Not fstat, which may be a system call that takes a path, and is then refused to a worker.
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        if length == 0:
            raise Damaged(f"{name} is empty: it has 0 bytes", "Copy the picture again.")
        if length > MAX_PICTURE_BYTES:
            reason = f"{name} has {length / 2**20:.0f} MiB, which is more than {MAX_PICTURE_BYTES >> 20} MiB"
            raise Rejected(reason, "Save it as a JPEG, or smaller.")
        data = file.read(length + 1)
        if len(data) == length:
            return data
    except OSError as error:
        raise Deferred(f"{name} cannot be read: {error.strerror or error}") from error
    raise Deferred(f"{name} changed while it was read")


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns
