"""Worker processes that decode pictures, so that no picture can harm or delay the daemon."""

from __future__ import annotations

import logging
import signal
import threading
from typing import IO, TYPE_CHECKING, Self

from sorawatch.core.naming import one_line
from sorawatch.edges.images.process import DEFAULT, Lost, ProcessLimits, WorkerProcess
from sorawatch.edges.images.reference import Reference, ReferenceRequest
from sorawatch.edges.images.source import opened_picture
from sorawatch.edges.images.wire import Request, UnknownError, WorkerReply
from sorawatch.errors import Damaged, Deferred, Rejected

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

logger = logging.getLogger("sorawatch")


class Pool:
    """A few workers. They are started when there are pictures, used for one after the other, and ended when idle.

    May be used from any number of threads; at most ``workers`` pictures are decoded at once. If a worker dies, or is
    killed because it took too long, only the picture that it was decoding is refused.
    """

    def __init__(self, limits: ProcessLimits = DEFAULT, *, workers: int = 2, idle_seconds: float = 60.0) -> None:
        self._limits = limits
        self._free_workers = threading.BoundedSemaphore(workers)
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._idle_timer: threading.Timer | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, even busy ones. Pictures being decoded, or requested later, are deferred."""
        with self._lock:
            self._closed = True
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            for worker in self._busy:
                worker.kill()
        self._end_idle()

    def prepare(self, path: Path, reference_request: ReferenceRequest, root: Path | None = None) -> Reference:
        """Make a reference from the picture at ``path``. Waits until a worker is free.

        Args:
            root: the folder below which no link is followed on the way to the picture. None: its own folder.

        Raises:
            Damaged: if it is not a picture, or incomplete.
            Rejected: if it can never become a reference: too large, too small, or needs more than a worker may use.
            Deferred: if it cannot be read now, changed while it was read, or no worker can be started.
        """
        name, root = one_line(path.name), root or path.parent
        with self._free_workers, opened_picture(root, str(path.relative_to(root))) as picture:
            reply = self._reply_to(Request(name, reference_request), picture)
        match reply:
            case Reference():
                return reply
            case Rejected() | Deferred():
                raise reply
            case UnknownError():
                raise RuntimeError(f"in a worker that was to decode {name}\n{reply.trace}")

    def _reply_to(self, request: Request, picture: IO[bytes]) -> WorkerReply:
        while True:
            try:
                worker, is_fresh = self._acquire()
            except OSError as error:
                return Deferred(f"no process to decode pictures can be started: {error.strerror}")
            try:
                reply = worker.ask(request, picture)
            except Lost as lost:
                with self._lock:
                    self._busy.discard(worker)
                if self._closed:
                    return Deferred("sorawatch is being stopped")
                if lost.begun:
                    logger.warning("%s: the process that decoded it ended (%s)", request.name, lost)
                    return self._refusal(request.name, lost)
                if is_fresh:
                    return Deferred(f"the process that decodes pictures ended before it began ({lost})")
                # The worker ended while it was idle, not because of this picture. Try the next one.
            else:
                self._release(worker)
                return reply

    def _acquire(self) -> tuple[WorkerProcess, bool]:
        """A worker, and whether it is new."""
        with self._lock:
            if self._closed:
                raise Deferred("sorawatch is being stopped")
            is_fresh = not self._idle
            worker = WorkerProcess(self._limits) if is_fresh else self._idle.pop()
            self._busy.add(worker)
            return worker, is_fresh

    def _release(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._busy.discard(worker)
            self._idle.append(worker)
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._idle_timer = threading.Timer(0.0 if self._closed else self._idle_seconds, self._end_idle)
            self._idle_timer.daemon = True
            self._idle_timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _refusal(self, name: str, lost: Lost) -> Rejected:
        """The refusal of a picture during whose decoding the worker ended."""
        match -lost.status:
            case signal.SIGPROF | signal.SIGALRM:
                reason = f"{name} took longer to decode than the {self._limits.cpu_seconds:g} seconds that are allowed"
                return Rejected(reason, "Save it again as a plain JPEG, or smaller.")
            case signal.SIGKILL:
                reason = f"the process that decoded {name} was killed, perhaps because the memory ran out"
                return Rejected(reason, "Save it smaller. If something else took the memory, just try it again.")
            case _:
                reason = f"{name} made its decoder crash ({lost})"
                return Damaged(reason, "It is probably damaged. Copy it again, or save it again as JPEG or PNG.")
