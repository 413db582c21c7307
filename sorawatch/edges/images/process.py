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
from typing import IO

from sorawatch.edges.images.wire import Begun, Garbled, Request, WorkerReply, receive_reply, send_request

_COMMAND = (sys.executable, "-P", "-m", "sorawatch.edges.images.worker")

_HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Huge pages: without them a third of the time was spent on the 4 KiB pages of large images. Known to glibc since 2.35,
see "Memory Allocation Tunables" in its manual; older ones ignore it."""

_NEEDED = re.compile(r"PATH|PYTHON\w+|VIRTUAL_ENV|LD_\w+|LANG|LC_\w+|TZ|TMPDIR|GLIBC_TUNABLES|MALLOC_\w+")
"""Environment variables that a worker gets: what Python and its libraries need to be found and to run. Others may be
secrets, such as those of a server, a database or a proxy."""

_KILL_SECONDS = 5.0
"""Seconds to wait for a killed process. One that hangs on a dead share may not end before the share is back."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one picture may use. The main limit is computing time, since a busy machine needs more elapsed time."""

    cpu_seconds: float = 60.0
    seconds: float = 600.0
    address_space: int = 5 << 29
    """Bytes: enough for the largest picture that is accepted, its file, and the worker itself."""


DEFAULT = ProcessLimits()


class Lost(Exception):
    """A worker ended with ``status`` before it replied. ``begun`` says whether it had begun to decode."""

    def __init__(self, status: int, *, begun: bool) -> None:
        super().__init__(f"signal {-status}" if status < 0 else f"status {status}")
        self.status = status
        self.begun = begun


class WorkerProcess:
    """A process that decodes one picture after the other. Used by one thread at a time, except ``kill``."""

    def __init__(self, limits: ProcessLimits) -> None:
        """Raises: OSError: if it cannot be started."""
        environment = {name: value for name, value in os.environ.items() if _NEEDED.fullmatch(name)}
        # Nothing is ever written to this pipe. It is closed when the daemon ends, which the worker notices.
        liveness, write_end = os.pipe()
        self._liveness = open(write_end, "wb", buffering=0)  # noqa: SIM115 -- as long as the process
        self._requests, worker_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- nothing in the command comes from outside
                [*_COMMAND, *map(str, astuple(limits)), str(liveness)],
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

    def ask(self, request: Request, picture: IO[bytes]) -> WorkerReply:
        """Send a request with its open picture and wait for the reply.

        Raises:
            Lost: if there is none; then the process has been ended.
        """
        begun = False
        assert self._process.stdout is not None
        try:
            send_request(self._requests, request, picture)
            reply = receive_reply(self._process.stdout)
            if isinstance(reply, Begun):
                begun = True
                reply = receive_reply(self._process.stdout)
            if isinstance(reply, Begun):
                raise Garbled("it began twice")
        except (Garbled, OSError) as error:
            raise Lost(self.end(), begun=begun) from error
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
