"""The service manager that started us, if one did: the protocol of sd_notify(3) and the variables of systemd.exec(5).

Messages go through systemd-python where that is installed, and through a few lines of our own elsewhere.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

from sorawatch.core.naming import legible

_READY, _RELOADING, _STOPPING, _ALIVE = "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"

_MICROS = 1_000_000
_PATIENCE = 5.0
"""Seconds that a manager whose queue is full is waited for."""


def _send(state: str) -> None:
    """Send ``state`` to ``$NOTIFY_SOCKET``, whose name begins with ``@`` where it is in the abstract namespace."""
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
        client.settimeout(_PATIENCE)
        client.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        client.sendall(state.encode())


def _sender() -> Callable[[str], object]:
    try:
        from systemd.daemon import notify  # noqa: PLC0415 -- the extra "systemd", which need not be installed
    except ImportError:
        return _send
    return notify  # type: ignore[no-any-return]


class ServiceManager:
    """Whoever listens at ``$NOTIFY_SOCKET``; nothing is sent where nobody does. Never raises."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.listens = bool(environ.get("NOTIFY_SOCKET"))
        self.watchdog_seconds = _watchdog_seconds(environ) if self.listens else None
        """How long it waits for a sign of life before it ends us; None if it does not wait for any."""
        self._notify = _sender()

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._tell(_READY, _status(status))

    def alive(self, status: str) -> None:
        """All goes well; ``status`` is one line for people."""
        self._tell(_ALIVE, _status(status))

    def status(self, status: str) -> None:
        """What people should know, without a sign of life."""
        self._tell(_status(status))

    def reloading(self) -> None:
        """The configuration is being read anew."""
        micros = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell(_RELOADING, f"MONOTONIC_USEC={micros}")

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._tell(_STOPPING, _status(status))

    def extend(self, seconds: float) -> None:
        """Ask for so many seconds more from now on before the start or the stop counts as failed."""
        self._tell(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROS)}", _ALIVE)

    def _tell(self, *lines: str) -> None:
        if not self.listens:
            return
        try:
            self._notify("\n".join(lines))
        except OSError:
            # It has gone, or takes no more now; either way the work goes on, and its watchdog judges the silence.
            return


def is_started_by_systemd(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this very process is what a unit's ``ExecStart=`` names, rather than a child or a shell of one."""
    return environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    micros, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    meant_for_us = not pid or pid == str(os.getpid())
    return int(micros) / _MICROS if micros.isdecimal() and int(micros) > 0 and meant_for_us else None


def _status(line: str) -> str:
    return "STATUS=" + " ".join(legible(line).split())
