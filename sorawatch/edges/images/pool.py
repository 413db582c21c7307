"""Worker processes that decode pictures, so that no picture can harm or hold up the daemon."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from sorawatch.core.naming import on_a_line
from sorawatch.edges.images.process import DEFAULT, Lost, ProcessLimits, WorkerProcess
from sorawatch.edges.images.reference import Reference, ReferenceRequest
from sorawatch.edges.images.wire import Request, UnknownError, WorkerReply
from sorawatch.errors import Damaged, Deferred, Rejected

logger = logging.getLogger("sorawatch")


class Pool:
    """A few workers, started when there is a picture, used for one after the other, ended when there is none.

    May be used from any number of threads; as many pictures as the pool has places are worked on at once. A worker
    that dies, or is killed for taking too long, costs the picture it was decoding and nothing else.
    """

    def __init__(self, limits: ProcessLimits = DEFAULT, *, places: int = 2, idle_seconds: float = 60.0) -> None:
        self._limits = limits
        self._places = threading.BoundedSemaphore(places)
        self._idle_seconds = idle_seconds
        self._guard = threading.Lock()
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._retirement: threading.Timer | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, busy or not; pictures still under way, or asked for later, are deferred."""
        with self._guard:
            self._closed = True
            if self._retirement is not None:
                self._retirement.cancel()
            for worker in self._busy:
                worker.kill()
        self._retire()

    def prepare(self, path: Path, wish: ReferenceRequest) -> Reference:
        """Make of the picture at ``path`` what is wished; waits for a place.

        Raises:
            Damaged: if it is no picture, or not a whole one.
            Rejected: if this file can never become a reference: too large, too small, more than a worker can bear.
            Deferred: if it cannot be read now, changed while it was, or there is no worker to be had.
        """
        request = Request(path.absolute(), wish)
        with self._places:
            answer = self._answer(request)
        match answer:
            case Reference():
                return answer
            case Rejected() | Deferred():
                raise answer
            case UnknownError():
                raise RuntimeError(f"in a worker that was to decode {path.name}\n{answer.trace}")

    def _answer(self, request: Request) -> WorkerReply:
        while True:
            try:
                worker, is_fresh = self._take()
            except OSError as error:
                return Deferred(f"no process to decode pictures can be started: {error.strerror}")
            try:
                answer = worker.ask(request)
            except Lost as lost:
                with self._guard:
                    self._busy.discard(worker)
                if self._closed:
                    return Deferred("sorawatch is being stopped")
                if lost.begun:
                    logger.warning("%s: the process that decoded it ended (%s)", request.path, lost)
                    return self._blamed(on_a_line(request.path.name), lost)
                if is_fresh:
                    return Deferred(f"the process that decodes pictures ended before it began ({lost})")
                # It was lost while it had nothing to do, so the picture is not to blame: the next worker is asked.
            else:
                self._give_back(worker)
                return answer

    def _take(self) -> tuple[WorkerProcess, bool]:
        """A worker, and whether it is a new one."""
        with self._guard:
            if self._closed:
                raise Deferred("sorawatch is being stopped")
            is_fresh = not self._idle
            worker = WorkerProcess(self._limits) if is_fresh else self._idle.pop()
            self._busy.add(worker)
            return worker, is_fresh

    def _give_back(self, worker: WorkerProcess) -> None:
        with self._guard:
            self._busy.discard(worker)
            self._idle.append(worker)
            if self._retirement is not None:
                self._retirement.cancel()
            self._retirement = threading.Timer(0.0 if self._closed else self._idle_seconds, self._retire)
            self._retirement.daemon = True
            self._retirement.start()

    def _retire(self) -> None:
        with self._guard:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _blamed(self, name: str, lost: Lost) -> Rejected:
        """Why a picture is refused whose decoding has cost a worker."""
        match -lost.status:
            case signal.SIGPROF | signal.SIGALRM:
                told = f"{name} took longer to decode than the {self._limits.cpu_seconds:g} seconds that are allowed"
                return Rejected(told, "Save it anew as a plain JPEG, or smaller.")
            case signal.SIGKILL:
                told = f"the process that decoded {name} was killed, perhaps because the memory ran out"
                return Rejected(told, "Save it smaller. If something else took the memory, just try it again.")
            case _:
                told = f"{name} made its decoder crash ({lost})"
                return Damaged(told, "It is probably damaged. Copy it again, or save it anew as JPEG or PNG.")
