"""A machine that can be killed, frozen and cut off: a work folder, a daemon, and proxies for all that it says."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from tests.support.daemon_process import Running, start
from tests.support.tcp_proxy import TcpProxy
from tests.support.workspace import Workspace


@dataclass
class Machine:
    """A machine of which all traffic goes through proxies."""

    workspace: Workspace
    database: TcpProxy
    server: TcpProxy
    running: Running | None = None
    is_frozen: bool = False
    logs: list[Running] = field(default_factory=list)

    @property
    def works(self) -> bool:
        """Whether its process is there and not frozen."""
        return self.running is not None and self.running.process.poll() is None and not self.is_frozen

    def start(self) -> None:
        if self.running is None or self.running.process.poll() is not None:
            self.running = start(self.workspace)
            self.logs.append(self.running)

    def kill(self) -> None:
        if self.running is not None:
            self.running.kill()
        self.running, self.is_frozen = None, False

    def stop(self) -> None:
        """In good order, or before it has begun to work."""
        if self.running is not None and not self.is_frozen:
            self.running.stop()
            self.running = None

    def freeze(self) -> None:
        if self.running is not None and self.running.process.poll() is None:
            self.running.process.send_signal(signal.SIGSTOP)
            self.is_frozen = True

    def thaw(self) -> None:
        if self.running is not None and self.is_frozen:
            self.running.process.send_signal(signal.SIGCONT)
        self.is_frozen = False

    def replace_key(self, key: str) -> None:
        (self.workspace.root / "api.key").write_text(key)

    @property
    def key(self) -> str:
        return (self.workspace.root / "api.key").read_text()

    @property
    def log(self) -> str:
        return "\n".join(f"--- {each.path}\n{each.log}" for each in self.logs)

    def close(self) -> None:
        self.thaw()
        self.workspace.close()
        for each in (self.database, self.server):
            each.close()
