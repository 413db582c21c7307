"""A state in a file whose clock stands where a test puts it, and the paid orders in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sorawatch.core.job import Charged, Job, Pair, Stamp, State
from sorawatch.core.order import Order, Size
from sorawatch.edges.store import Store, Transaction

NOW = 1_760_000_000_000
SERVER = "https://api.example/v1"


class ClockedState:
    """``now`` is milliseconds. Each ``owner`` is a daemon; several may open the state in one folder."""

    def __init__(self, folder: Path, owner: str = "one") -> None:
        self.now = NOW
        self._store, _ = Store.create_or_open(folder / "state.db", owner, lambda: self.now)

    @contextmanager
    def at(self, after: int = 0) -> Iterator[Transaction]:
        """A transaction so many milliseconds after `NOW`."""
        self.now = NOW + after
        with self._store.transaction() as tx:
            yield tx

    def close(self) -> None:
        self._store.close()


def order(job_id: str, state: State = State.SUBMITTING, model: str = "sora-2", **changes: Any) -> Job:
    """A job whose order was submitted at `NOW`, for $0.80."""
    fields: dict[str, Any] = {
        "digest": f"digest of {job_id}",
        "price": 800_000,
        "token": f"token of {job_id}",
        "submitted_at": NOW,
        "charged": Charged.PERHAPS,
    }
    pair = Pair("", f"{job_id}.jpg", Stamp(1, 1))
    waves = Order("waves", model, Size(1280, 720), 8)
    return Job(job_id, state, pair, NOW, NOW, NOW, waves, **{**fields, **changes})
