"""One worker process, as seen from the daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import astuple, dataclass

from sorawatch.edges.images.wire import Begun, Garbled, Request, WorkerReply, receive_reply, send_request

_COMMAND = (sys.executable, "-P", "-m", "sorawatch.edges.images.worker")

_LARGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Pixels by the dozen megabytes come and go, and a third of the time went into their pages of 4 KiB. Since glibc 2.35,
which lists it in its manual under "Memory Allocation Tunables"; where it is not known, nobody minds."""

_PATIENCE = 5.0
"""Seconds that a killed process is waited for: one that hangs on a dead share may not end before the share is back."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What one picture may take. A slow or busy machine decodes slowly, so it is computing time that is scarce."""

    cpu_seconds: float = 60.0
    seconds: float = 600.0
    address_space: int = 5 << 29
    """Bytes: what the largest picture that is let in needs, its file, and the worker itself."""


DEFAULT = ProcessLimits()


class Lost(Exception):
    """A worker ended without an answer: with this ``status``, and after or before it had ``begun`` to decode."""

    def __init__(self, status: int, *, begun: bool) -> None:
        super().__init__(f"signal {-status}" if status < 0 else f"status {status}")
        self.status = status
        self.begun = begun


class WorkerProcess:
    """A process that decodes one picture after the other. Used by one thread at a time, but for ``kill``."""

    def __init__(self, limits: ProcessLimits) -> None:
        """Raises: OSError: if it cannot be started."""
        # A decoder needs no secrets.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SORAWATCH_")}
        self._process = subprocess.Popen(  # noqa: S603 -- nothing in the command comes from outside
            [*_COMMAND, *map(str, astuple(limits))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_LARGE_PAGES | environment,
            # Out of reach of the terminal's Ctrl-C: it ends when the daemon does, not before.
            start_new_session=True,
        )

    def ask(self, request: Request) -> WorkerReply:
        """Raises: Lost: if no answer comes; then the process has been ended."""
        begun = False
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            send_request(self._process.stdin, request)
            answer = receive_reply(self._process.stdout)
            if isinstance(answer, Begun):
                begun = True
                answer = receive_reply(self._process.stdout)
            if isinstance(answer, Begun):
                raise Garbled("it began twice")
        except (Garbled, OSError) as error:
            raise Lost(self.end(), begun=begun) from error
        return answer

    def kill(self) -> None:
        """Have ``ask`` fail. May be called from any thread."""
        self._process.kill()

    def end(self) -> int:
        """Kill the process and leave nothing of it. Returns its status, negative for a signal."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
