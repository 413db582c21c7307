"""The simulator as tests and the demo hold it in their hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from sorawatch.simulator.app import Service, Submit
    from sorawatch.simulator.faults import Fault
    from sorawatch.simulator.ledger import Ledger, SimulatedVideo


class Simulator:
    """A running simulator: ``root`` is its address, ``url`` the base URL of its API."""

    def __init__(self, root: str, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.root = root
        self.url = f"{root}/v1"
        self._service = service
        self._loop = loop

    def ledger(self) -> Ledger:
        """What was ordered and billed up to now; exact as soon as a request is answered."""
        return self._service.books.snapshot()

    def wait_for(self, holds: Callable[[Ledger], bool], timeout: float = 60.0) -> Ledger:
        """The first ledger for which ``holds``; raises TimeoutError with the last one after ``timeout`` seconds."""
        if not self._service.books.wait_for(lambda: holds(self.ledger()), timeout):
            raise TimeoutError(f"not within {timeout} s: {self.ledger()}")
        return self.ledger()

    def inject(self, *faults: Fault) -> None:
        """Switch faults on, beside those that are on already."""
        self._service.faults.inject(*faults)

    def clear_faults(self) -> None:
        self._service.faults.clear()

    def complete(self, video_id: str, timeout: float = 60.0) -> None:
        """End a generation now; returns when its clip is ready. Raises TimeoutError."""
        self._finish([self._service.books.find(video_id)], timeout)

    def finish_all(self, timeout: float = 60.0) -> None:
        """End every generation under way now; returns when the clips are ready. Raises TimeoutError."""
        self._finish(self._service.books.unfinished(), timeout)

    def submits(self) -> tuple[Submit, ...]:
        """Every create with a readable form, refused ones among them."""
        return tuple(self._service.submits)

    def storage_requests(self) -> tuple[Mapping[str, str], ...]:
        """The headers, with names in lower case, of each request that reached the storage host."""
        return tuple(self._service.storage_requests)

    def _finish(self, videos: list[SimulatedVideo], timeout: float) -> None:
        for video in videos:
            self._loop.call_soon_threadsafe(video.released.set)
        if not self._service.books.wait_for(lambda: all(video.outcome for video in videos), timeout):
            raise TimeoutError(f"{len(videos)} videos were not finished within {timeout} s")
