"""The worker: a restricted process that handles one file after the other for the ``Workers`` that started it.

Requests come over a socket, its standard input. It ends when that is closed, which happens when the daemon ends in any
way.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from sorawatch.edges.confined import messages
from sorawatch.edges.confined.kernel import confine
from sorawatch.edges.confined.messages import Reply
from sorawatch.edges.confined.process import ProcessLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

Begin = Callable[[], AbstractContextManager[None]]
"""Tells the daemon that the content of the file causes whatever happens next, and limits the time of the block."""
Handler = Callable[[Any, IO[bytes], Begin], Reply]
"""Handles a request with its open file."""


def serve(handle: Handler, load: Callable[[], None]) -> None:
    """Serve until there are no more requests.

    The command line arguments are the limits, and the descriptor of a pipe that is closed when the daemon ends.

    Args:
        handle: answers a request.
        load: uses once whatever opens files at its first use. Afterwards nothing can be opened.
    """
    cpu_seconds, seconds, address_space, pipe = sys.argv[1:]
    limits, liveness = ProcessLimits(float(cpu_seconds), float(seconds), int(address_space)), int(pipe)
    # A service manager sends SIGTERM to all processes of the daemon; this one ends when the daemon ends.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    _limit(limits)
    warnings.simplefilter("ignore")
    load()
    _load_traceback()
    # Not before: the daemon's standard error shows why a worker cannot start.
    _silence()
    fcntl.fcntl(liveness, fcntl.F_SETOWN, os.getpid())
    requests = socket.socket(fileno=0)
    messages.send_reply(output, Reply({"kind": messages.READY, **asdict(confine())}))

    @contextmanager
    def begin() -> Iterator[None]:
        messages.send_reply(output, Reply({"kind": messages.BEGUN}))
        with _time_limit(limits, liveness):
            yield

    with suppress(BrokenPipeError), requests:
        while (received := messages.receive_request(requests)) is not None:
            request, file = received
            with file:
                reply = _reply_to(handle, request, file, begin)
            messages.send_reply(output, reply)


def _reply_to(handle: Handler, request: object, file: BinaryIO | IO[bytes], begin: Begin) -> Reply:
    try:
        return handle(request, file, begin)
    except BrokenPipeError:
        raise
    except Exception:  # noqa: BLE001 -- the daemon logs it, as it would one of its own
        return Reply({"kind": messages.FAULT, "trace": traceback.format_exc()})


def _load_traceback() -> None:
    """Describe an exception, which imports modules in some versions of Python."""
    try:
        raise ValueError
    except ValueError:
        traceback.format_exc()


def _silence() -> None:
    """Discard what libraries write to stdout and stderr: it would disturb the terminal, or corrupt our replies."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _limit(limits: ProcessLimits) -> None:
    _lower(resource.RLIMIT_AS, limits.address_space)
    # A crash is handled like any other reply; a core dump would only fill the disk.
    _lower(resource.RLIMIT_CORE, 0)
    # If the machine is short of memory or computing time, this process must suffer and not the daemon.
    with suppress(OSError):
        os.nice(5)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (value, value))


@contextmanager
def _time_limit(limits: ProcessLimits, liveness: int) -> Iterator[None]:
    """In the block, the kernel kills this process when its time is up or the daemon has ended."""
    flags = fcntl.fcntl(liveness, fcntl.F_GETFL)
    # SIGIO is sent when the other end of a pipe is closed, but also for each write, and that of a write to stdin can
    # come after the request was read. Nothing is written to this pipe.
    fcntl.fcntl(liveness, fcntl.F_SETFL, flags | os.O_ASYNC)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        fcntl.fcntl(liveness, fcntl.F_SETFL, flags)
