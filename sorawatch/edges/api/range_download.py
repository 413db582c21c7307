"""The file of a download: checks that new bytes continue those that it already has, and that there is room for them."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from sorawatch.core.os_errors import translate
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests import Response

OVERLAP = 4096
"""Bytes that are requested again when a download continues. They differ if the server made the clip again, or if a
power cut left zeros at the end of the file."""

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.IGNORECASE)


class Part:
    """The file of a download. ``size`` is the number of its bytes.

    If there is no room for the rest of a clip, the file is emptied, because the state may be on the same disk.
    """

    def __init__(self, file: BinaryIO, max_bytes: int, room: Callable[[], int] | None = None) -> None:
        """``room`` returns how many more bytes may be written; None means any number."""
        self._file = file
        self._max_bytes = max_bytes
        self._room = room
        self._known = b""
        with _disk():
            self.size = file.seek(0, os.SEEK_END)

    def matches(self, head: bytes, start: int) -> bool:
        """Whether the bytes of the file from ``start`` are equal to ``head``, as far as both extend.

        Raises:
            Blocked, Deferred: if the disk fails, as in all other methods.
        """
        with _disk():
            self._file.seek(start)
            known = self._file.read(len(head))
        return bool(known and head) and head.startswith(known)

    def begin(self, response: Response, start: int) -> int | None:
        """Prepare for the body of a 200 or 206. Returns the size of the whole clip in bytes, if the server says it.

        Args:
            start: the first byte that was requested.

        Raises:
            Deferred: if the response is another part of the clip, or the clip is too large.
            Blocked: if there is no room for the clip.
        """
        encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        if response.status_code == 200:
            self.restart()
            length = response.headers.get("Content-Length", "")
            return self._fitting(int(length)) if length.isdecimal() and not encoded else None
        found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if encoded or found is None or int(found[1]) != start:
            self.restart()
            raise Deferred("the server sent another part of the clip than requested; the download starts again")
        with _disk():
            self._file.seek(start)
            self._known = self._file.read(self.size - start)
        return None if found[2] == "*" else self._fitting(int(found[2]))

    def append(self, chunk: bytes) -> None:
        """Append ``chunk``, after comparing the overlap with the bytes that are already in the file.

        Raises:
            Deferred: if they differ, or the clip is too large.
            Blocked: if there is no room left.
        """
        if self._known:
            overlap = min(len(self._known), len(chunk))
            if chunk[:overlap] != self._known[:overlap]:
                self.restart()
                raise Deferred("the clip on the server has changed since the last download; the download starts again")
            self._known, chunk = self._known[overlap:], chunk[overlap:]
        self._fitting(self.size + len(chunk))
        try:
            with _disk():
                rest = memoryview(chunk)
                while rest:
                    rest = rest[self._file.write(rest) :]
        except Blocked as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in {errno.ENOSPC, errno.EDQUOT}:
                self.restart()
            raise
        self.size += len(chunk)

    def _fitting(self, size: int) -> int:
        """``size`` if the file can have so many bytes; otherwise empty it and raise `Deferred` or `Blocked`."""
        if size > self._max_bytes:
            self.restart()
            most = f"{self._max_bytes >> 20} MiB, the most that api.max_clip_mb allows"
            raise Deferred(f"the clip is larger than {most}")
        if self._room is not None and (needed := size - self.size) > (room := self._room()):
            self.restart()
            why = f"{max(room, 0) >> 20} MiB are free for clips, and at least {-(-needed >> 20)} more are needed"
            raise translate(OSError(errno.ENOSPC, why), "the file of the download")
        return size

    def finish(self, total: int | None) -> None:
        """Check that the file has ``total`` bytes, if the server said how many there are.

        Raises:
            Deferred: if there are fewer or more. If there are more, the file is emptied.
        """
        if total is not None and self.size != total:
            got = self.size
            if got > total:
                self.restart()
            raise Deferred(f"the download ended after {got} of {total} bytes")

    def restart(self) -> None:
        """Empty the file, so that the next download starts with the first byte."""
        with _disk():
            self._file.seek(0)
            self._file.truncate()
        self.size, self._known = 0, b""


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise translate(error, "the file of the download") from error
