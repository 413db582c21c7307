"""The file that a download goes into, and whether what arrives continues what it holds."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from sorawatch.core.os_errors import translate
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

OVERLAP = 4096
"""Bytes that are fetched again when a download resumes: a clip made anew, or a tail that a power cut left as zeros,
differs there."""

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.IGNORECASE)


class Part:
    """The file that a download goes into. ``size`` is its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._known = b""
        with _disk():
            self.size = file.seek(0, os.SEEK_END)

    def holds(self, head: bytes, start: int) -> bool:
        """Whether what is here from byte ``start`` on is ``head``, as far as both go.

        Raises:
            Blocked, Deferred: if the disk fails, as in all other methods.
        """
        with _disk():
            self._file.seek(start)
            known = self._file.read(len(head))
        return bool(known and head) and head.startswith(known)

    def begin(self, response: Response, start: int) -> int | None:
        """Make ready for the body of a 200 or 206. Returns the bytes of the whole clip, if the server tells.

        Args:
            start: the byte from which on the clip was asked for.

        Raises:
            Deferred: if another part of it comes.
        """
        encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        if response.status_code == 200:
            self.restart()
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdecimal() and not encoded else None
        found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if encoded or found is None or int(found[1]) != start:
            self.restart()
            raise Deferred("the server answered with another part of the clip than it was asked for; it starts afresh")
        with _disk():
            self._file.seek(start)
            self._known = self._file.read(self.size - start)
        return None if found[2] == "*" else int(found[2])

    def take(self, chunk: bytes) -> None:
        """Append, once the overlap with what is here already has proved equal.

        Raises:
            Deferred: if it is not.
        """
        if self._known:
            overlap = min(len(self._known), len(chunk))
            if chunk[:overlap] != self._known[:overlap]:
                self.restart()
                raise Deferred("the clip is not the one whose download broke off; it starts afresh")
            self._known, chunk = self._known[overlap:], chunk[overlap:]
        with _disk():
            self._file.write(chunk)
        self.size += len(chunk)

    def finish(self, total: int | None) -> None:
        """Make sure that all ``total`` bytes are here, where the server told how many there are.

        Raises:
            Deferred: if there are fewer or more; what is too long is dropped.
        """
        if total is not None and self.size != total:
            got = self.size
            if got > total:
                self.restart()
            raise Deferred(f"the download ended after {got} of {total} bytes")

    def restart(self) -> None:
        """Drop what is here, for another download from the first byte on."""
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
