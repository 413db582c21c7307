"""The status line and the headers of an answer, which http.client also takes for complete if they are cut off."""

from __future__ import annotations

from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO


class HeadCutOffError(HTTPException):
    """The connection was closed in the middle of the status line or the headers."""


class WholeHeadResponse(HTTPResponse):
    """An answer that is not read any further if its head is cut off."""

    def begin(self) -> None:
        """Read the head. Raises: HeadCutOffError."""
        stream = self.fp
        self.fp = _Lines(stream)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = stream


class _Lines:
    """The lines of a head. The end of the stream before the first one is left to http.client to report."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._has_begun = False

    def readline(self, limit: int) -> bytes:
        line = self._stream.readline(limit)
        if (line or self._has_begun) and not line.endswith(b"\n") and len(line) < limit:
            raise HeadCutOffError("the answer was cut off in its head")
        self._has_begun = True
        return line

    def close(self) -> None:
        self._stream.close()
