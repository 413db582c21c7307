"""Messages to the service manager that started us: the protocol of sd_notify(3), the variables of systemd.exec(5).

They are sent by systemd-python if it is installed, otherwise by `_send`.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from sorawatch.core.naming import valid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_READY, _RELOADING, _STOPPING, _ALIVE = "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1"

_MICROS = 1_000_000
_SEND_SECONDS = 5.0
"""Seconds to wait for a manager whose queue is full."""


def _send(state: str) -> None:
    """Send ``state`` to ``$NOTIFY_SOCKET``. A name that begins with ``@`` is in the abstract namespace."""
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as client:
        client.settimeout(_SEND_SECONDS)
        client.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        client.sendall(state.encode())


def _sender() -> Callable[[str], object]:
    try:
        from systemd.daemon import notify  # noqa: PLC0415 -- the extra "systemd", which need not be installed
    except ImportError:
        return _send
    return notify  # type: ignore[no-any-return]


class ServiceManager:
    """The service manager at ``$NOTIFY_SOCKET``. Without one, nothing is sent. Never raises."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.is_connected = bool(environ.get("NOTIFY_SOCKET"))
        self.watchdog_seconds = _watchdog_seconds(environ) if self.is_connected else None
        """The watchdog's timeout: it ends us if it gets no `alive` for so long. None without a watchdog."""
        self._notify = _sender()

    def ready(self, status: str) -> None:
        """Report that the start, or a reload, is complete."""
        self._send_lines(_READY, _status(status))

    def alive(self, status: str) -> None:
        """Reset the watchdog. ``status`` is one line for people."""
        self._send_lines(_ALIVE, _status(status))

    def status(self, status: str) -> None:
        """Set the status line without resetting the watchdog."""
        self._send_lines(_status(status))

    def reloading(self) -> None:
        """Report that the configuration is being read again."""
        micros = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send_lines(_RELOADING, f"MONOTONIC_USEC={micros}")

    def stopping(self, status: str) -> None:
        """Report that the daemon is stopping."""
        self._send_lines(_STOPPING, _status(status))

    def extend(self, seconds: float) -> None:
        """Ask for ``seconds`` more, from now, before the start or the stop counts as failed."""
        self._send_lines(f"EXTEND_TIMEOUT_USEC={round(seconds * _MICROS)}", _ALIVE)

    def _send_lines(self, *lines: str) -> None:
        if not self.is_connected:
            return
        try:
            self._notify("\n".join(lines))
        except OSError:
            # The manager is gone or its queue is full. The work continues; its watchdog decides.
            return


def is_started_by_systemd(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is the one that ``ExecStart=`` of a unit started, and not a child of it."""
    return environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def _watchdog_seconds(environ: Mapping[str, str]) -> float | None:
    micros, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    meant_for_us = not pid or pid == str(os.getpid())
    return int(micros) / _MICROS if micros.isdecimal() and int(micros) > 0 and meant_for_us else None


def _status(line: str) -> str:
    return "STATUS=" + " ".join(valid_text(line).split())
