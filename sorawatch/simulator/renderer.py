"""Renders clips on demand in a few threads, each clip once, and caches them."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sorawatch.simulator import clip_encoder

if TYPE_CHECKING:
    from sorawatch.simulator.clip_encoder import ClipKey

CACHE_BYTES = 128 * 2**20
"""The size of a cache. Beyond it the least recently used clips are dropped, and rendered again on demand."""


class ClipCache:
    """Rendered clips. May be used from any thread, and by several simulators: a clip depends on its key alone."""

    def __init__(self, size: int = CACHE_BYTES) -> None:
        self._lock = threading.Lock()
        self._clips: OrderedDict[ClipKey, bytes] = OrderedDict()
        self._free_bytes = size

    def get(self, key: ClipKey) -> bytes | None:
        """The clip of ``key``, if it is here."""
        with self._lock:
            if key in self._clips:
                self._clips.move_to_end(key)
            return self._clips.get(key)

    def add(self, key: ClipKey, clip: bytes) -> None:
        """Add a clip, and drop others if there are too many."""
        with self._lock:
            self._free_bytes += len(self._clips.pop(key, b"")) - len(clip)
            self._clips[key] = clip
            while self._free_bytes < 0 and len(self._clips) > 1:
                self._free_bytes += len(self._clips.popitem(last=False)[1])


class Renderer:
    """Used on one event loop. References are kept on disk, since thousands of them would fill the memory."""

    def __init__(self, cache: ClipCache) -> None:
        self._references = tempfile.TemporaryDirectory(prefix="sorawatch-simulator-")
        self._pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="render")
        self._stopping = threading.Event()
        self._running_renders: dict[ClipKey, asyncio.Future[bytes]] = {}
        self._cache = cache

    def store_reference(self, sha256: str, reference: bytes) -> None:
        """Store a reference under its digest."""
        path = self._path(sha256)
        if not path.exists():
            path.write_bytes(reference)

    def start(self, key: ClipKey) -> None:
        """Start to render the clip of ``key``, whose reference must be stored; without one its picture is blank."""
        if self._cache.get(key) is None:
            self._rendering(key)

    async def clip(self, key: ClipKey) -> bytes:
        """The clip of ``key``. Concurrent calls share one rendering."""
        cached = self._cache.get(key)
        return await asyncio.shield(self._rendering(key)) if cached is None else cached

    def close(self) -> None:
        """Cancel running work and remove the references."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)
        self._references.cleanup()

    def _rendering(self, key: ClipKey) -> asyncio.Future[bytes]:
        if key not in self._running_renders:
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._render, key)
            self._running_renders[key] = work
            work.add_done_callback(lambda done: self._finished(key, done))
        return self._running_renders[key]

    def _path(self, sha256: str) -> Path:
        return Path(self._references.name, sha256)

    def _render(self, key: ClipKey) -> bytes:
        sha256 = key.reference_sha256
        reference = self._path(sha256).read_bytes() if sha256 else clip_encoder.blank_picture()
        return clip_encoder.render(reference, key, self._stopping.is_set)

    def _finished(self, key: ClipKey, work: asyncio.Future[bytes]) -> None:
        del self._running_renders[key]
        if work.cancelled() or work.exception() is not None:
            return
        self._cache.add(key, work.result())
