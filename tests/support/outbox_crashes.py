"""Places files while dying at every line, or in many threads at once. Run by the tests in a process of its own.

Arguments: ``crash|race``, the folder of the sources, the folder of the targets, a key of `ANSWERS`, and for ``crash``
the number of lines from one death to the next.
Prints a JSON object; ``faults`` is empty where all went well.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import shutil
import struct
import sys
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from sorawatch.edges import directories, outbox
from sorawatch.errors import Deferred

CALLS = {
    "x86_64": {"link": 86, "linkat": 265, "renameat2": 316},
    "aarch64": {"linkat": 37, "renameat2": 276},
}
ANSWERS: dict[str, dict[str, int]] = {
    "linux": {},
    "nfs": {"renameat2": errno.EINVAL},
    "rclone": {"renameat2": errno.EINVAL, "link": errno.EIO, "linkat": errno.EIO},
    "bare": {"renameat2": errno.EINVAL, "link": errno.EPERM, "linkat": errno.EPERM},
}
"""How file systems answer the calls that they do not have."""

UNSUPPORTED = 77
"""The exit status where this machine has no way to refuse system calls."""

CONTENTS = {
    "beach.jpg": b"\xff\xd8" + bytes(range(256)) * 400,
    "beach.jpg.yaml": b"prompt: waves\n",
    "beach.error.txt": b"the reason\n",
}
KEPT = "beach.error.txt"
TAKEN = {"beach.jpg": b"another beach"}
GIVEN = {"beach.jpg": "beach (2).jpg", "beach.jpg.yaml": "beach (2).jpg.yaml", KEPT: "beach (2).error.txt"}


def pretend(system: str) -> None:
    """Have the kernel answer this process, until it ends, as a file system would that has less than Linux's own."""
    answers = ANSWERS[system]
    if not answers:
        return
    numbers = CALLS.get(platform.machine())
    if numbers is None:
        sys.exit(UNSUPPORTED)
    load, jump_equal, give = 0x20, 0x15, 0x06
    program = struct.pack("HBBI", load, 0, 0, 0)
    for name, number in numbers.items():
        if name in answers:
            program += struct.pack("HBBI", jump_equal, 0, 1, number)
            program += struct.pack("HBBI", give, 0, 0, 0x00050000 | answers[name])
    program += struct.pack("HBBI", give, 0, 0, 0x7FFF0000)
    code = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters, 0, 0):
        sys.exit(UNSUPPORTED)


class Placement:
    """A pair and a text on their way to a folder where one of their names is taken."""

    def __init__(self, sources: Path, targets: Path, system: str) -> None:
        self.system = system
        self.sources, self.root = sources, targets
        self.target = targets / "sub"
        self.intent = targets.with_name("work") / "archive.json"
        for folder in (sources, targets, self.intent.parent):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (sources, self.target, self.intent.parent):
            folder.mkdir(parents=True)
        for name, data in CONTENTS.items():
            (sources / name).write_bytes(data)
        for name, data in TAKEN.items():
            (self.target / name).write_bytes(data)

    def place(self) -> bool:
        """Whether the names are as they should be."""
        items = [outbox.Item(self.sources / name, name, keep=name == KEPT) for name in CONTENTS]
        return outbox.place(items, self.root, "sub", self.intent) == tuple(GIVEN.values())

    def place_and_die(self, line: int) -> bool:
        """Place in a child process; whether it lived to the end."""
        child = os.fork()
        if child == 0:
            die_at(line)
            os._exit(0 if self.place() else 1)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 1:
            raise RuntimeError("the call failed")
        return status == 0

    def faults_now(self) -> list[str]:
        """What must never be, at whatever moment the process died."""
        whole = {(GIVEN[name], data) for name, data in CONTENTS.items()} | {*TAKEN.items()}
        visible = {(path.name, path.read_bytes()) for path in self.target.iterdir() if path.name[0] != "."}
        partial = [name for name, data in visible - whole if data or "link" not in ANSWERS[self.system]]
        here = {path.name: path.read_bytes() for path in self.sources.iterdir()}
        atomic = self.system == "linux" and self.sources.stat().st_dev == self.root.stat().st_dev
        twice = [name for name in {*here} - {KEPT} if (GIVEN[name], here[name]) in visible] if atomic else []
        lost = [
            name for name, data in CONTENTS.items() if here.get(name) != data and (GIVEN[name], data) not in visible
        ]
        faults = {"partial": partial, "twice": twice, "lost": lost}
        return [f"{fault}: {name}" for fault, names in faults.items() for name in names]

    def faults_in_the_end(self) -> list[str]:
        expected = {GIVEN[name]: data for name, data in CONTENTS.items()} | TAKEN
        there = {path.name: path.read_bytes() for path in self.target.iterdir()}
        left = {path.name for path in self.sources.iterdir()}
        faults = [f"target has {sorted(there)}"] if there != expected else []
        return faults + ([f"source has {sorted(left)}"] if left != {KEPT} else [])


def die_at(line: int) -> None:
    """End this process, as SIGKILL would, at the so-manieth line that the outbox comes to."""
    left = line
    watched = {outbox.__file__, directories.__file__}

    def trace(frame, event, _argument):  # type: ignore[no-untyped-def]
        nonlocal left
        if frame.f_code.co_filename not in watched:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os._exit(9)
        return trace

    sys.settrace(trace)


def crash(sources: Path, targets: Path, system: str, step: int) -> dict[str, Any]:
    """Die once at every ``step``-th line, and after a fourth of them at some line of the call that follows, too."""
    faults: list[str] = []
    for line in count(1, step):
        placement = Placement(sources, targets, system)
        survived = placement.place_and_die(line)
        faults += [f"line {line}: {fault}" for fault in placement.faults_now()]
        if survived:
            return {"points": line - 1, "faults": faults}
        if line % 4 == 0:
            placement.place_and_die(line * 7 % 97 + 1)
            faults += [f"line {line} and another: {fault}" for fault in placement.faults_now()]
        if not placement.place():
            faults.append(f"line {line}: other names the second time")
        faults += [f"line {line}, in the end: {fault}" for fault in placement.faults_in_the_end()]
    raise AssertionError


def race(sources: Path, targets: Path) -> dict[str, Any]:
    """Sixteen threads want one name."""
    contents = {f"{number} ".encode() * 1000 for number in range(16)}
    targets.mkdir()
    begin = threading.Barrier(len(contents))
    names: list[str] = []

    def place(folder: Path) -> None:
        begin.wait()
        placed: tuple[str, ...] = ()
        while not placed:
            # As the daemon does if another thread takes the chosen name first.
            with suppress(Deferred):
                placed = outbox.place([outbox.Item(folder / "clip", "beach.mp4")], targets, "", folder / "intent.json")
        names.extend(placed)

    threads = []
    for number, data in enumerate(contents):
        folder = sources / str(number)
        folder.mkdir(parents=True)
        (folder / "clip").write_bytes(data)
        threads.append(threading.Thread(target=place, args=(folder,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    placed = {path.name: path.read_bytes() for path in targets.iterdir()}
    sound = {*placed.values()} == contents and sorted(names) == sorted(placed)
    return {"points": len(names), "faults": [] if sound else [f"placed {sorted(placed)}, named {sorted(names)}"]}


def main() -> None:
    what, sources, targets, system, step = sys.argv[1:]
    pretend(system)
    where = (Path(sources) / "from", Path(targets) / "to")
    result = crash(*where, system, int(step)) if what == "crash" else race(*where)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
