"""Forked processes: each begins with everything imported, tells its parent one thing, and ends."""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.request import Request, urlopen

from sorawatch import simulator

KILLED = 137
"""What a victim ends with, as if by SIGKILL."""

_write, _exit = os.write, os._exit


@dataclass
class Child:
    """A forked process and what it has said so far."""

    pid: int
    pipe: int
    said: bytearray = field(default_factory=bytearray)

    @classmethod
    def start(cls, work: Callable[[Callable[[str], None]], object]) -> Child:
        """Fork; the child calls ``work`` with a function to speak with, and ends with 0, or with 70 if it raised."""
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            _live(work, writer)
        os.close(writer)
        return cls(pid, reader)

    def hear(self) -> bool:
        """Take in what there is; False once the child has ended."""
        data = os.read(self.pipe, 1 << 16)
        self.said += data
        return bool(data)

    def end(self) -> int:
        """The exit status of a child that has ended; negative for a signal."""
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def wait(self, timeout: float) -> int:
        """The exit status; one that has not ended after ``timeout`` seconds is killed."""
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self.pipe, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, end - time.monotonic())):
                    os.kill(self.pid, signal.SIGKILL)
                if not self.hear():
                    return self.end()


def _live(work: Callable[[Callable[[str], None]], object], writer: int) -> NoReturn:
    def say(text: str) -> None:
        data = text.encode()
        while data:
            data = data[_write(writer, data) :]

    status = 70
    try:
        work(say)
        status = 0
    finally:
        if status:
            say(traceback.format_exc())
        sys.stdout.flush()
        sys.stderr.flush()
        _exit(status)


def at_once(tasks: Iterable[Callable[[Callable[[str], None]], object]], places: int) -> Iterator[tuple[int, str]]:
    """Run each task in a process of its own, ``places`` at a time. Yields its number and what it said, as they end."""
    waiting = enumerate(tasks)
    with selectors.DefaultSelector() as selector:

        def begin() -> None:
            for number, task in waiting:
                child = Child.start(task)
                selector.register(child.pipe, selectors.EVENT_READ, (number, child))
                return

        for _ in range(places):
            begin()
        while selector.get_map():
            for key, _ in selector.select():
                number, child = key.data
                if not child.hear():
                    selector.unregister(child.pipe)
                    status = child.end()
                    yield number, child.said.decode() + (f"\nstatus {status}" if status else "")
                    begin()


@contextmanager
def simulated(*faults: dict[str, Any]) -> Iterator[str]:
    """A simulator in a process of its own, whose address this gives."""
    alive, hold = os.pipe()

    def serve(say: Callable[[str], None]) -> None:
        os.close(hold)
        with simulator.running(simulator.SimulatorSettings(generation_seconds=0.02, frames_per_second=1)) as running:
            say(running.root)
            os.read(alive, 1)

    child = Child.start(serve)
    os.close(alive)
    child.hear()
    try:
        inject(child.said.decode(), *faults)
        yield child.said.decode()
    finally:
        os.close(hold)
        child.wait(10)


def inject(server: str, *faults: dict[str, Any]) -> list[dict[str, Any]]:
    """Switch faults of the simulator on. Returns all that have hits left."""
    request = Request(f"{server}/faults", json.dumps(faults).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        active: list[dict[str, Any]] = json.load(answer)["active"]
    return active
