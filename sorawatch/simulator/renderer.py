"""Clips on demand: rendered off the event loop by a few workers, each once, and kept while there is room."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.simulator import clips

if TYPE_CHECKING:
    from sorawatch.simulator.clips import ClipKey

CACHE_BYTES = 128 * 2**20
"""Clips beyond this many bytes are dropped, the longest unused first, and rendered anew if asked for."""


class Renderer:
    """Lives on one event loop. References wait on disk: thousands of them would fill the memory."""

    def __init__(self, cache_bytes: int = CACHE_BYTES) -> None:
        self._references = tempfile.TemporaryDirectory(prefix="sorawatch-simulator-")
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="render")
        self._stopping = threading.Event()
        self._under_way: dict[ClipKey, asyncio.Future[bytes]] = {}
        self._kept: OrderedDict[ClipKey, bytes] = OrderedDict()
        self._room = cache_bytes

    def keep(self, sha256: str, reference: bytes) -> None:
        """Store a reference under its digest."""
        path = self._path(sha256)
        if not path.exists():
            path.write_bytes(reference)

    def begin(self, key: ClipKey) -> None:
        """Have the clip of ``key``, whose reference was kept, rendered in good time."""
        if key not in self._kept and key not in self._under_way:
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._render, key)
            self._under_way[key] = work
            work.add_done_callback(lambda done: self._finished(key, done))

    async def clip(self, key: ClipKey) -> bytes:
        """The clip of ``key``. Askers at the same time share one rendering."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self.begin(key)
        return await asyncio.shield(self._under_way[key])

    def close(self) -> None:
        """Break off what is under way and remove the references."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)
        self._references.cleanup()

    def _path(self, sha256: str) -> Path:
        return Path(self._references.name, sha256)

    def _render(self, key: ClipKey) -> bytes:
        return clips.render(self._path(key.reference_sha256).read_bytes(), key, self._stopping.is_set)

    def _finished(self, key: ClipKey, work: asyncio.Future[bytes]) -> None:
        del self._under_way[key]
        if work.cancelled() or work.exception() is not None:
            return
        self._kept[key] = work.result()
        self._room -= len(work.result())
        while self._room < 0 and len(self._kept) > 1:
            self._room += len(self._kept.popitem(last=False)[1])
