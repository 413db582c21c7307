"""A few workers, so that no file can harm or delay the daemon."""

from __future__ import annotations

import threading
from typing import IO, TYPE_CHECKING, Self, TypeVar

from sorawatch.edges.confined.process import Lost, ProcessLimits, WorkerProcess
from sorawatch.errors import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sorawatch.edges.confined.confinement import Confinement
    from sorawatch.edges.confined.messages import Reply, UnknownError

T = TypeVar("T")


class NoWorker(Deferred):
    """There is no worker now: none can be started, or they are being ended."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, affects_all=True)


class Workers:
    """Processes that are started when there are files, used for one after the other, and ended when idle.

    May be used from any number of threads; at most ``most`` files are handled at once. If a worker dies, or is killed
    because it took too long, only the file that it was handling is affected.
    """

    def __init__(
        self,
        module: str,
        limits: ProcessLimits,
        what: str,
        *,
        most: int,
        idle_seconds: float,
        on_start: Callable[[Confinement], None],
    ) -> None:
        """Nothing is started yet.

        Args:
            module: what the processes run; it calls `serve`.
            limits: what each may use.
            what: they do, for messages: ``"decodes pictures"``.
            most: processes at once.
            idle_seconds: after which they are ended.
            on_start: called with the confinement of each process that was started, from any thread.
        """
        self._module = module
        self._limits = limits
        self._what = what
        self._idle_seconds = idle_seconds
        self._on_start = on_start
        self._free = threading.BoundedSemaphore(most)
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
        """End all workers, even busy ones. For files being handled, or requested later, there is `NoWorker`."""
        with self._lock:
            self._closed = True
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            for worker in self._busy:
                worker.kill()
        self._end_idle()

    def start(self) -> None:
        """Start a worker if none is idle, for the files that come. Raises: NoWorker."""
        with self._free:
            self._release(self._acquire()[0])

    def ask(self, request: object, file: IO[bytes], read: Callable[[Reply], T]) -> T | UnknownError:
        """Have a worker handle an open file. Waits until one is free.

        Args:
            request: for the handler of the worker; it is pickled.
            file: only its descriptor is used.
            read: as for `WorkerProcess.ask`.

        Raises:
            Lost: if the worker ended while it was handling the file.
            NoWorker: if there is none.
        """
        with self._free:
            while True:
                worker, is_fresh = self._acquire()
                try:
                    reply = worker.ask(request, file, read)
                except Lost as lost:
                    self._forget(worker)
                    if lost.begun:
                        raise
                    if is_fresh:
                        raise NoWorker(self._ended_early(lost)) from lost
                    # The worker ended while it was idle, not because of this file. Try the next one.
                else:
                    self._release(worker)
                    return reply

    def _acquire(self) -> tuple[WorkerProcess, bool]:
        """A worker, and whether it is new. Raises: NoWorker."""
        with self._lock:
            self._refuse_if_closed()
            if self._idle:
                worker = self._idle.pop()
                self._busy.add(worker)
                return worker, False
            try:
                worker = WorkerProcess(self._module, self._limits)
            except OSError as error:
                raise NoWorker(f"no process that {self._what} can be started: {error.strerror}") from error
            self._busy.add(worker)
        try:
            confinement = worker.confinement()
        except Lost as lost:
            self._forget(worker)
            raise NoWorker(self._ended_early(lost)) from lost
        self._on_start(confinement)
        return worker, True

    def _forget(self, worker: WorkerProcess) -> None:
        """Forget a worker that has ended. Raises: NoWorker: if all are being ended."""
        with self._lock:
            self._busy.discard(worker)
            self._refuse_if_closed()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise NoWorker("sorawatch is being stopped")

    def _ended_early(self, lost: Lost) -> str:
        return f"the process that {self._what} ended before it began ({lost})"

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
