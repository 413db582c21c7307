"""The worker: a process that decodes one picture after the other, confined, for the ``Pool`` that started it.

It ends when its standard input does, which is when the daemon ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from sorawatch.core.naming import on_a_line
from sorawatch.edges.images import pipeline, source, wire
from sorawatch.edges.images.process import ProcessLimits
from sorawatch.errors import Deferred, Rejected


def main() -> None:
    """Serve until there are no more requests; the limits are the arguments."""
    cpu_seconds, seconds, address_space = sys.argv[1:]
    limits = ProcessLimits(float(cpu_seconds), float(seconds), int(address_space))
    # A service manager that stops the daemon tells all of its processes; this one has no say in when to end.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    _silence()
    _confine(limits)
    warnings.simplefilter("ignore")
    with suppress(BrokenPipeError):
        while (request := wire.receive_request(sys.stdin.buffer)) is not None:
            wire.send_reply(answers, _answer(request, answers, limits))


def _answer(request: wire.Request, answers: BinaryIO, limits: ProcessLimits) -> wire.WorkerReply:
    try:
        data = source.read(request.path)
        wire.send_reply(answers, wire.Begun())
        with _leash(limits):
            return pipeline.make(on_a_line(request.path.name), data, request.wish)
    except (Rejected, Deferred) as refusal:
        return refusal
    except BrokenPipeError:
        raise
    except Exception:  # noqa: BLE001 -- the daemon logs it, as it would one of its own
        return wire.UnknownError(traceback.format_exc())


def _silence() -> None:
    """Decoders write what they think of a file to the standard streams, over the terminal or into our answers."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _confine(limits: ProcessLimits) -> None:
    _lower(resource.RLIMIT_AS, limits.address_space)
    # A crash is an answer like any other; nobody wants its gigabyte on the disk.
    _lower(resource.RLIMIT_CORE, 0)
    # If the machine runs out of memory or time, let it be at the expense of this process and not of the daemon.
    with suppress(OSError):
        os.nice(5)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _lower(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (value, value))


@contextmanager
def _leash(limits: ProcessLimits) -> Iterator[None]:
    """Within, the kernel ends this process, whatever it is at, when its time is up or the daemon has gone."""
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    # SIGIO comes when the pipe is closed at its other end; the daemon writes nothing before it has its answer.
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        fcntl.fcntl(0, fcntl.F_SETFL, flags)


if __name__ == "__main__":
    main()
