"""The worker: a restricted process that decodes one picture after the other for the ``Pool`` that started it.

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
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, BinaryIO

from sorawatch.edges.images import pipeline, source, wire
from sorawatch.edges.images.process import ProcessLimits
from sorawatch.errors import Deferred, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Serve until there are no more requests.

    The command line arguments are the limits, and the descriptor of a pipe that is closed when the daemon ends.
    """
    cpu_seconds, seconds, address_space, liveness = sys.argv[1:]
    limits = ProcessLimits(float(cpu_seconds), float(seconds), int(address_space))
    # A service manager sends SIGTERM to all processes of the daemon; this one ends when the daemon ends.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    output = os.fdopen(os.dup(1), "wb")
    _silence()
    _confine(limits)
    warnings.simplefilter("ignore")
    with suppress(BrokenPipeError), socket.socket(fileno=0) as requests:
        while (received := wire.receive_request(requests)) is not None:
            request, picture = received
            with picture:
                reply = _reply_to(request, picture, output, limits, int(liveness))
            wire.send_reply(output, reply)


def _reply_to(
    request: wire.Request, picture: IO[bytes], output: BinaryIO, limits: ProcessLimits, liveness: int
) -> wire.WorkerReply:
    try:
        data = source.read(picture, request.name)
        wire.send_reply(output, wire.Begun())
        with _time_limit(limits, liveness):
            return pipeline.make(request.name, data, request.reference_request)
    except (Rejected, Deferred) as refusal:
        return refusal
    except BrokenPipeError:
        raise
    except Exception:  # noqa: BLE001 -- the daemon logs it, as it would one of its own
        return wire.UnknownError(traceback.format_exc())


def _silence() -> None:
    """Discard what decoders write to stdout and stderr: it would disturb the terminal, or corrupt our replies."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _confine(limits: ProcessLimits) -> None:
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
    fcntl.fcntl(liveness, fcntl.F_SETOWN, os.getpid())
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


if __name__ == "__main__":
    main()
