"""A program that writes a file bit by bit and holds it open meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.workspace import wait_until


class Writer:
    """``cat``, which writes to ``path`` what it is given and closes the file when it is given no more."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._process = subprocess.Popen(["sh", "-c", 'exec cat > "$1"', "sh", path], stdin=subprocess.PIPE)
        self._written = 0
        wait_until(path.exists)
        self._file = path.stat().st_ino
        self.path = path

    def write(self, data: bytes) -> None:
        """Returns when the data is in the file."""
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()
        self._written += len(data)
        wait_until(lambda: self.path.stat().st_size == self._written)

    def moved(self, path: Path) -> None:
        """The file has another name now."""
        assert path.stat().st_ino == self._file
        self.path = path

    def close(self) -> None:
        """Returns when the file is closed."""
        self._process.communicate()


@contextmanager
def writing(path: Path, data: bytes) -> Iterator[Writer]:
    """A program that has written ``data`` to ``path`` and holds it open until the block ends."""
    writer = Writer(path)
    try:
        writer.write(data)
        yield writer
    finally:
        writer.close()
