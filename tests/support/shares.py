"""Shares that can be killed, frozen and mounted again: sshfs over a bare connection to OpenSSH's own file server."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.workspace import wait_until

SERVER = Path("/usr/lib/openssh/sftp-server")


class FileServer:
    """Serves every connection with a process of its own, as sshd does, without the encryption between."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._serving = threading.Event()
        self._serving.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def kill(self) -> None:
        """Everything ends at once, and nobody is let in."""
        self._serving.clear()
        self._end()

    def restart(self) -> None:
        self._serving.set()

    def freeze(self) -> None:
        """Every call hangs."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._serving.clear()
        # Without this, the thread would go on waiting at a socket that is closed.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._end()

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            pipe = connection.fileno()
            with connection:
                if self._serving.is_set():
                    self._processes.append(subprocess.Popen([str(SERVER)], stdin=pipe, stdout=pipe))


@dataclass
class Share:
    """A folder of the server's, mounted at ``point``."""

    remote: Path
    point: Path
    options: tuple[str, ...] = ()
    server: FileServer = field(default_factory=FileServer)

    def mount(self) -> None:
        options = ",".join((f"directport={self.server.port}", *self.options))
        done = subprocess.run(
            ["sshfs", "-o", options, f"127.0.0.1:{self.remote}", self.point],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"sshfs cannot mount here: {done.stderr.strip()}")

    @property
    def is_mounted(self) -> bool:
        return any(line.split()[4] == str(self.point) for line in Path("/proc/self/mountinfo").read_text().splitlines())

    def gone(self) -> None:
        """Wait until it has unmounted itself, which it does when its server is gone and it may not reconnect."""
        wait_until(lambda: not self.is_mounted)

    def close(self) -> None:
        self.server.thaw()
        while self.is_mounted and subprocess.run(["umount", "-l", self.point], check=False).returncode == 0:
            pass
        self.server.close()


@dataclass
class Shares:
    """All that a test has mounted."""

    remotes: Path
    shares: list[Share] = field(default_factory=list)

    def mount(self, point: Path, *options: str) -> Share:
        """A new share over the folder ``point``."""
        missing = [name for name in ("sshfs", str(SERVER)) if shutil.which(name) is None]
        if missing or not os.access("/dev/fuse", os.R_OK | os.W_OK):
            pytest.skip(f"needs {' and '.join(missing) or '/dev/fuse'}")
        remote = self.remotes / str(len(self.shares))
        remote.mkdir()
        share = Share(remote, point, options)
        self.shares.append(share)
        share.mount()
        return share

    def close(self) -> None:
        for share in reversed(self.shares):
            share.close()
