"""A confined process is refused what it does not need, by each means of the kernel alone, and goes on."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sorawatch.edges.confined import Confinement
from tests.support.confinement import available, needs_landlock, needs_seccomp

SCRIPT = """
import ctypes, encodings.idna, errno, mmap, os, resource, signal, socket, sys, threading, time
from sorawatch.edges.confined import landlock, seccomp, syscalls
from sorawatch.edges.confined.kernel import confine

libc = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    if libc.syscall(number, *map(ctypes.c_ulong, words)) < 0:
        raise OSError(ctypes.get_errno(), "system call")
def listen():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
def connect_abstract():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(sys.argv[3])
folder, port, parent = sys.argv[1], int(sys.argv[2]), os.getppid()
inside = folder + "/file"
pipe = os.pipe()
"""


def attempted(how: str, attempt: str, *arguments: object) -> str:
    """What comes of an attempt in a process that confined itself: ``done``, or the name of the error."""
    script = f"""{SCRIPT}
{how}
try:
    {attempt}
except OSError as error:
    print(errno.errorcode[error.errno])
else:
    print("done")
"""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, (process.returncode, process.stderr)
    return process.stdout.strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("a secret")
    return tmp_path


ALL = "confine()"
FILTER = "syscalls.renounce_privileges(); seccomp.install()"
LANDLOCK = "syscalls.renounce_privileges(); landlock.forbid_everything()"

FILES = {
    "read": "open(inside)",
    "write": "open(inside, 'w')",
    "make": "open(folder + '/new', 'x')",
    "list": "os.listdir(folder)",
    "remove": "os.unlink(inside)",
    "rename": "os.rename(inside, folder + '/other')",
    "link": "os.link(inside, folder + '/other')",
    "a device": "open('/dev/null', 'w')",
    "itself": "open('/proc/self/status')",
}


@pytest.mark.parametrize("attempt", FILES.values(), ids=FILES)
@pytest.mark.parametrize("how", [ALL, *(pytest.param(each, marks=pytest.mark.slow) for each in (FILTER, LANDLOCK))])
def test_no_file_is_opened_or_changed(folder: Path, how: str, attempt: str) -> None:
    if how == LANDLOCK:
        needs_landlock()
    else:
        needs_seccomp()
    assert attempted(how, attempt, folder, 0) in {"EPERM", "EACCES"}
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"file": "a secret"}
    assert attempted("", FILES["read"], folder, 0) == "done"


OTHERS = {
    "stat": "os.stat(inside)",
    "chmod": "os.chmod(inside, 0)",
    "truncate": "os.truncate(inside, 0)",
    "chdir": "os.chdir(folder)",
    "connect": "socket.create_connection(('127.0.0.1', port))",
    "listen": "listen()",
    "a socket of this machine": "socket.socket(socket.AF_UNIX)",
    "a pair of sockets": "socket.socketpair()",
    "fork": "os.fork() or os._exit(0)",
    "a program": "os.execv('/bin/true', ['true'])",
    "another program": "os.posix_spawn('/bin/true', ['true'], {})",
    "a signal": "os.kill(parent, signal.SIGCONT)",
    "a signal by a file": "__import__('fcntl').fcntl(pipe[0], __import__('fcntl').F_SETOWN, parent)",
    "limits of another": "resource.prlimit(parent, resource.RLIMIT_CORE)",
    "scheduling of another": "os.sched_setaffinity(parent, {0})",
    "a file descriptor of another": "os.pidfd_open(parent)",
    "code": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
    "a namespace": "call({'x86_64': 272, 'aarch64': 97}[os.uname().machine], 0x10000000)",
    "trace": "call({'x86_64': 101, 'aarch64': 117}[os.uname().machine], 16, parent, 0, 0)",
    "io_uring": "call(425, 1, 0)",
    "a key": "call({'x86_64': 250, 'aarch64': 219}[os.uname().machine], 0, 0, 0)",
}


@pytest.mark.parametrize("attempt", OTHERS.values(), ids=OTHERS)
def test_a_filtered_process_reaches_nothing_outside(folder: Path, attempt: str) -> None:
    needs_seccomp()
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert attempted(FILTER, attempt, folder, server.getsockname()[1]) == "EPERM"
    assert (folder / "file").stat().st_mode & 0o777 != 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="another architecture has one set of numbers")
def test_the_numbers_of_x32_are_refused(folder: Path) -> None:
    needs_seccomp()
    # 39 is getpid, which is allowed by its usual number.
    assert attempted(FILTER, "call(39)", folder, 0) == "done"
    assert attempted(FILTER, "call(0x40000000 | 39)", folder, 0) == "EPERM"


def test_landlock_alone_refuses_tcp_and_signals_and_abstract_sockets(folder: Path) -> None:
    needs_landlock()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0sorawatch-{os.getpid()}")
        abstract.listen()
        port = server.getsockname()[1]
        expected = "EACCES" if available().landlock >= 4 else "done"
        assert attempted(LANDLOCK, OTHERS["connect"], folder, port) == expected
        assert attempted(LANDLOCK, OTHERS["listen"], folder, port) == expected
        expected = "EPERM" if available().landlock >= 6 else "done"
        assert attempted(LANDLOCK, OTHERS["a signal"], folder, port) == expected
        name = f"sys.argv[3] = chr(0) + 'sorawatch-{os.getpid()}'"
        assert attempted(f"{name}; {LANDLOCK}", "connect_abstract()", folder, port, "") == expected
        assert attempted(name, "connect_abstract()", folder, port, "") == "done"


NEEDED = {
    "an open file": "opened.seek(0); assert opened.read() == 'a secret'",
    "memory": "bytearray(1 << 28)",
    "threads": "each = threading.Thread(target=time.sleep, args=(0,)); each.start(); each.join()",
    "time": "time.sleep(0); signal.setitimer(signal.ITIMER_REAL, 60)",
    "random numbers": "os.urandom(8)",
}


@pytest.mark.parametrize("attempt", NEEDED.values(), ids=NEEDED)
def test_a_confined_process_still_does_what_it_needs(folder: Path, attempt: str) -> None:
    assert attempted(f"opened = open(inside); {ALL}", attempt, folder, 0) == "done"


def test_a_confined_process_that_aborts_ends_by_that_signal(folder: Path) -> None:
    command = [sys.executable, "-c", f"{SCRIPT}\n{ALL}\nos.abort()", str(folder), "0"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -6


def test_where_the_kernel_refuses_that_is_said_and_work_goes_on(folder: Path) -> None:
    needs_seccomp()
    assert attempted(ALL, "assert confine().is_complete is False", folder, 0) == "done"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Confinement(7, True), "no files, connections or programs (Landlock ABI 7, seccomp)"),
        (Confinement(0, True), "Landlock is not available"),
        (Confinement(3, False), "seccomp is not available"),
        (Confinement(0, False), "are not confined by the kernel"),
    ],
)
def test_the_confinement_is_said_in_one_line(found: Confinement, words: str) -> None:
    assert words in str(found)
    assert found.is_complete == (found.landlock > 0 and found.seccomp)
