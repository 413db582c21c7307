"""Keeps the texts about batches that wait for approval in the errors folder as they should be."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from sorawatch.core.batches import NOTICE_HEADING, Share, notice
from sorawatch.core.pairing import NOTICE_NAME
from sorawatch.daemon.thread_pool import ThreadPool
from sorawatch.errors import Blocked, Deferred

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sorawatch.core.batches import Batch
    from sorawatch.daemon.upkeep.notice_folder import NoticeFolder
    from sorawatch.edges.store import Transaction

logger = logging.getLogger("sorawatch")

_KEY = "approval-notices"
"""The key in the state of the list of folders with such a text, so that it is also removed after a restart."""
_RETRY_SECONDS = 30.0


class ApprovalNotices:
    """There is one text for each first-level folder. Files are written in a separate thread, because shares can hang.

    `update` and `publish` are called from the daemon's thread: within each turn, and after its commit.
    """

    def __init__(self, folder: NoticeFolder) -> None:
        self._folder = folder
        self._thread: ThreadPool | None = None
        self._batches: Sequence[Batch] | None = None
        self._wanted: Mapping[str, str] = {}
        """The texts that there should be, by their folders."""
        self._recorded: frozenset[str] = frozenset()
        """The folders that may have a text, as the state has them."""
        self._done: tuple[Mapping[str, str], bool] | None = None
        """The texts for which the thread has ended last, and whether it succeeded. Written by the thread."""
        self._started: Mapping[str, str] | None = None
        self._retry_at = 0.0
        self._warned = ""

    def update(self, tx: Transaction, batches: Sequence[Batch], limit: int | None) -> None:
        """Decide which texts there should be, and record the folders before anything is written."""
        if self._batches is None:
            self._recorded = frozenset(tx.key_values.read(_KEY) or ())
        if batches is not self._batches:
            self._batches = batches
            self._wanted = _texts(batches, limit)
        recorded = self._recorded | self._wanted.keys()
        if self._done is not None and self._done == (self._wanted, True):
            recorded = frozenset(self._wanted)
        if recorded != self._recorded:
            tx.key_values.write(_KEY, sorted(recorded) or None)
            self._recorded = recorded

    def forget(self) -> None:
        """Read everything again in the next turn, because the last transaction failed."""
        self._batches = None

    def publish(self) -> None:
        """Begin to write and remove texts if they are not as they should be."""
        wanted, former = self._wanted, self._recorded - self._wanted.keys()
        done = self._done
        if done is not None and done[0] is self._started:
            self._started = None
            if not done[1]:
                self._retry_at = time.monotonic() + _RETRY_SECONDS
        is_done = done is not None and done == (wanted, True)
        if self._started is not None or is_done or (not wanted and not former) or time.monotonic() < self._retry_at:
            return
        self._started = wanted
        if self._thread is None:
            self._thread = ThreadPool("notices", 1)
        self._thread.run(lambda: self._write(wanted, former))

    def _write(self, wanted: Mapping[str, str], former: frozenset[str]) -> None:
        succeeded = True
        for folder in sorted(former | wanted.keys()):
            try:
                if folder in wanted:
                    self._folder.put(folder, NOTICE_NAME, NOTICE_HEADING, wanted[folder])
                else:
                    self._folder.remove(folder, NOTICE_NAME, NOTICE_HEADING)
            except (Blocked, Deferred) as error:
                succeeded = False
                self._warn(str(error))
        self._done = wanted, succeeded

    def _warn(self, why: str) -> None:
        if why != self._warned:
            logger.warning("a text about orders that wait for approval cannot be written or removed: %s", why)
        self._warned = why


def _texts(batches: Sequence[Batch], limit: int | None) -> dict[str, str]:
    shares: dict[str, Share] = defaultdict(Share)
    for batch in batches:
        for folder, share in batch.shares.items():
            before = shares[folder]
            shares[folder] = Share(before.orders + share.orders, before.micros + share.micros)
    return {folder: notice(folder, share, limit) for folder, share in shares.items()}
