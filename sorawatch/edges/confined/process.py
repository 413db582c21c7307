"""One worker process, from the side of the daemon."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import IO, TYPE_CHECKING, TypeVar

from sorawatch.edges.confined import messages
from sorawatch.edges.confined.confinement import Confinement
from sorawatch.edges.confined.messages import Garbled, UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sorawatch.edges.confined.messages import Reply

T = TypeVar("T")

_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Huge pages: without them a third of the time was spent on the 4 KiB pages of large images. Known to glibc since 2.35,
see "Memory Allocation Tunables" in its manual; older ones ignore it."""

_NEEDED = re.compile(r"PATH|PYTHON\w+|VIRTUAL_ENV|LD_\w+|LANG|LC_\w+|TZ|TMPDIR|GLIBC_TUNABLES|MALLOC_\w+")
"""Environment variables that a worker gets: what Python and its libraries need to be found and to run. Others may be
secrets, such as those of a server, a database or a proxy."""

_KILL_SECONDS = 5.0
"""Seconds to wait for a killed process. One that hangs on a dead share may not end before the share is back."""


_INVALID = (Garbled, OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one file may use. The main limit is computing time, since a busy machine needs more elapsed time."""

    cpu_seconds: float = 60.0
    seconds: float = 600.0
    address_space: int = 5 << 29
    """Bytes: enough for the largest picture that is accepted, its file, and the worker itself."""


class Lost(Exception):
    """A worker ended with ``status`` before it replied. ``begun`` says whether it had begun with the file."""

    def __init__(self, status: int, *, begun: bool) -> None:
        super().__init__(f"signal {-status}" if status < 0 else f"status {status}")
        self.status = status
        self.begun = begun


class WorkerProcess:
    """A process that handles one file after the other. Used by one thread at a time, except ``kill``."""

    def __init__(self, module: str, limits: ProcessLimits) -> None:
        """Start the process, which runs ``module``.

        Raises:
            OSError: if it cannot be started.
        """
        environment = {name: value for name, value in os.environ.items() if _NEEDED.fullmatch(name)}
        # Nothing is ever written to this pipe. It is closed when the daemon ends, which the worker notices.
        liveness, write_end = os.pipe()
        self._liveness = open(write_end, "wb", buffering=0)  # noqa: SIM115 -- as long as the process
        self._requests, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- nothing in the command comes from outside
                [sys.executable, "-P", "-m", module, *map(str, astuple(limits)), str(liveness)],
                stdin=worker_end.fileno(),
                stdout=subprocess.PIPE,
                env=_HUGE_PAGES | environment,
                pass_fds=(liveness,),
                # Ctrl-C in the terminal must not reach it: it ends when the daemon ends, not before.
                start_new_session=True,
            )
        except OSError:
            self._liveness.close()
            self._requests.close()
            raise
        finally:
            os.close(liveness)
            worker_end.close()

    def confinement(self) -> Confinement:
        """Wait until a process that was just started is confined. Must be called before the first ``ask``.

        Raises:
            Lost: if it ended instead.
        """
        try:
            head = self._receive(messages.READY).head
            return Confinement(int(head["landlock"]), bool(head["seccomp"]))
        except _INVALID as error:
            raise Lost(self.end(), begun=False) from error

    def ask(self, request: object, file: IO[bytes], read: Callable[[Reply], T]) -> T | UnknownError:
        """Send a request with its open file and wait for the reply.

        Args:
            read: interprets a reply. If it raises an error of Python, the reply is not valid.

        Raises:
            Lost: if there is no valid reply; then the process has been ended.
        """
        begun = False
        try:
            messages.send_request(self._requests, request, file)
            reply = self._receive()
            if reply.kind == messages.BEGUN:
                begun = True
                reply = self._receive()
            if reply.kind == messages.FAULT:
                return UnknownError(str(reply.head["trace"]))
            return read(reply)
        except _INVALID as error:
            raise Lost(self.end(), begun=begun) from error

    def _receive(self, kind: str | None = None) -> Reply:
        """The next message. Raises: Garbled: if it is of another ``kind``, or none."""
        assert self._process.stdout is not None
        reply = messages.receive_reply(self._process.stdout)
        if kind is not None and reply.kind != kind:
            raise Garbled(f"it is no {kind}")
        return reply

    def kill(self) -> None:
        """Kill the process, so that ``ask`` raises. May be called from any thread."""
        self._process.kill()

    def end(self) -> int:
        """Kill the process, close its pipes and wait for it. Returns its status, negative for a signal."""
        self.kill()
        for pipe in (self._requests, self._process.stdout, self._liveness):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        try:
            return self._process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
