"""The interface with which tests and the demo control a running simulator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sorawatch.simulator.fault_types import Fault
    from sorawatch.simulator.ledger import Ledger, SimulatedVideo
    from sorawatch.simulator.service import Service, Submit


class Simulator:
    """A running simulator: ``root`` is its address, ``url`` the base URL of its API."""

    def __init__(self, root: str, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.root = root
        self.url = f"{root}{service.api.base_path}"
        self._service = service
        self._loop = loop

    def ledger(self) -> Ledger:
        """What was ordered and billed up to now. It includes every request that has been answered."""
        return self._service.ledger_book.snapshot()

    def wait_for(self, condition: Callable[[Ledger], bool], timeout: float = 60.0) -> Ledger:
        """Wait for a ledger for which ``condition`` is true. Raises TimeoutError after ``timeout`` seconds."""
        if not self._service.ledger_book.wait_for(lambda: condition(self.ledger()), timeout):
            raise TimeoutError(f"not within {timeout} s: {self.ledger()}")
        return self.ledger()

    def inject(self, *faults: Fault) -> None:
        """Switch faults on, in addition to those that are already on."""
        self._service.faults.inject(*faults)

    def clear_faults(self) -> None:
        self._service.faults.clear()

    def complete(self, video_id: str, timeout: float = 60.0) -> None:
        """Finish a generation now. Returns when its clip is ready. Raises LookupError or TimeoutError."""
        video = self._service.ledger_book.find(video_id)
        if video is None:
            raise LookupError(f"there is no video {video_id}")
        self._finish([video], timeout)

    def finish_all(self, timeout: float = 60.0) -> None:
        """Finish all running generations now. Returns when their clips are ready. Raises TimeoutError."""
        self._finish(self._service.ledger_book.unfinished(), timeout)

    def restart(self, timeout: float = 60.0) -> None:
        """Forget all videos, as a server does that is restarted and keeps them in memory. Raises TimeoutError."""
        asyncio.run_coroutine_threadsafe(self._forget(), self._loop).result(timeout)

    def keys(self) -> frozenset[str]:
        """Each value of the header Authorization of a request to the API; empty for a request without one."""
        return frozenset(self._service.keys)

    def submits(self) -> tuple[Submit, ...]:
        """Every create with a readable form, including refused ones."""
        return tuple(self._service.submits)

    def storage_requests(self) -> tuple[Mapping[str, str], ...]:
        """The headers of each request to the storage host, with names in lower case."""
        return tuple(self._service.storage_requests)

    async def _forget(self) -> None:
        self._service.forget_all()

    def _finish(self, videos: list[SimulatedVideo], timeout: float) -> None:
        for video in videos:
            self._loop.call_soon_threadsafe(video.released.set)
        if not self._service.ledger_book.wait_for(lambda: all(video.outcome for video in videos), timeout):
            raise TimeoutError(f"{len(videos)} videos were not finished within {timeout} s")
