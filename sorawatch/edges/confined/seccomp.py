"""seccomp: a filter that lets this process make few system calls, none of which takes a path. See seccomp(2).

Calls that are not listed fail with EPERM and do not kill the process, because a library may try one and do without it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
from dataclasses import dataclass

from sorawatch.edges.confined.syscalls import call

_CALLS = {
    # name: (x86_64, aarch64), as in the kernel's headers asm/unistd_64.h and asm-generic/unistd.h
    "futex": (202, 98),
    "read": (0, 63),
    "write": (1, 64),
    "munmap": (11, 215),
    "madvise": (28, 233),
    "mremap": (25, 216),
    "brk": (12, 214),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "close": (3, 57),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "recvmsg": (47, 212),
    "ppoll": (271, 73),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "sigaltstack": (131, 132),
    "setitimer": (38, 103),
    "getitimer": (36, 102),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "membarrier": (324, 283),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "nanosleep": (35, 101),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "gettimeofday": (96, 169),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""Allowed with all arguments. The frequent ones come first, since the filter compares one after the other."""

_MMAP, _MPROTECT, _CLONE, _TGKILL, _FCNTL = (9, 222), (10, 226), (56, 220), (234, 131), (72, 25)
_PRCTL = (157, 167)
_CLONE3 = 435
"""Its flags are in memory, where a filter cannot see them. The C library uses ``clone`` if it is told ENOSYS."""
_SECCOMP = (317, 277)

_CLONE_THREAD = 0x10000
_NAMESPACES = 0x7E020000
"""The flags of clone(2) for new namespaces."""
_PR_SET_NAME = 15

_SET_FILTER, _ALL_THREADS = 1, 1
"""The operation and the flag of seccomp(2)."""

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000
"""The call returns the error in the lower half."""

_LOAD, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
"""Codes of instructions of BPF."""
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Offsets in ``struct seccomp_data``, in bytes. Arguments have 8, of which the lower half comes first."""

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column in the tables of calls, and the number in ``linux/audit.h``."""


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class _Condition:
    """A call is allowed if the bits ``mask`` of its argument ``argument`` (from 0) are those of ``value``."""

    argument: int
    mask: int
    value: int


def install() -> None:
    """Install the filter in all threads of this process.

    Raises:
        OSError: if the kernel does not have seccomp, or something forbids it, or there is no filter for this machine.
    """
    machine = os.uname().machine
    if machine not in _ARCHITECTURES or struct.calcsize("P") != 8:
        raise OSError(errno.ENOSYS, f"there is no filter for {machine}")
    column, architecture = _ARCHITECTURES[machine]
    instructions = _filter(column, architecture, os.getpid())
    program = _Program(len(instructions) // 8, instructions)
    if call(_SECCOMP[column], _SET_FILTER, _ALL_THREADS, program):
        raise OSError(errno.EAGAIN, "a thread has another filter")


def _filter(column: int, architecture: int, pid: int) -> bytes:
    """The program, in the byte order of the machine.

    Calls of another architecture, such as those of 32 bits on x86, have other numbers and are refused, as is x32, whose
    numbers are all above those listed.
    """
    no_code = (_Condition(2, mmap.PROT_EXEC, 0),)
    conditions = {
        _MMAP: no_code,
        _MPROTECT: no_code,
        _CLONE: (_Condition(0, _CLONE_THREAD | _NAMESPACES, _CLONE_THREAD),),
        _TGKILL: (_Condition(0, 0xFFFFFFFF, pid),),
        _FCNTL: tuple(_Condition(1, 0xFFFFFFFF, command) for command in (fcntl.F_GETFD, fcntl.F_GETFL, fcntl.F_SETFL)),
        _PRCTL: (_Condition(0, 0xFFFFFFFF, _PR_SET_NAME),),
    }
    refusal = _REFUSE | errno.EPERM
    parts = [
        _op(_LOAD, _ARCHITECTURE),
        _when(architecture, otherwise=_op(_RETURN, refusal)),
        _op(_LOAD, _NUMBER),
        *(_if_equal(numbers[column], _op(_RETURN, _ALLOW)) for numbers in _CALLS.values()),
        _if_equal(_CLONE3, _op(_RETURN, _REFUSE | errno.ENOSYS)),
    ]
    for numbers, alternatives in conditions.items():
        body = b"".join(map(_allow_if, alternatives)) + _op(_RETURN, refusal)
        parts.append(_if_equal(numbers[column], body))
    return b"".join((*parts, _op(_RETURN, refusal)))


def _allow_if(condition: _Condition) -> bytes:
    return b"".join(
        (
            _op(_LOAD, _ARGUMENTS + 8 * condition.argument),
            _op(_AND, condition.mask),
            _if_equal(condition.value, _op(_RETURN, _ALLOW)),
        )
    )


def _if_equal(value: int, body: bytes) -> bytes:
    """Run ``body`` if the loaded word is ``value``."""
    return _op(_EQUAL, value, 0, len(body) // 8) + body


def _when(value: int, *, otherwise: bytes) -> bytes:
    """Go on if the loaded word is ``value``."""
    return _op(_EQUAL, value, len(otherwise) // 8, 0) + otherwise


def _op(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction, ``struct sock_filter``. The jumps are counted in instructions."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)
