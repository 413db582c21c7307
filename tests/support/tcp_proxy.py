"""A TCP proxy on loopback that cuts connections, refuses them, and holds back what goes through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_BLOCK = 1 << 16


class TcpProxy:
    """Forwards connections to ``target``. Each method may be called at any time, from any thread."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._changed = threading.Condition()
        self._refuses = False
        self._holds_requests = False
        self._holds_answers = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._held: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def to(cls, url: str) -> TcpProxy:
        """A proxy to the server at ``url``, to be closed in the end."""
        parts = urlsplit(url)
        return cls((str(parts.hostname), int(parts.port or 0)))

    def in_front(self, url: str) -> str:
        """``url`` with this proxy in place of its host and port."""
        parts = urlsplit(url)
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{self._port}"))

    @property
    def holding(self) -> int:
        """The number of connections of which something is held back."""
        with self._changed:
            return len(self._held)

    def cut(self) -> None:
        """Reset all connections, and every new one until `let_through`."""
        with self._changed:
            self._refuses = True
        self.reset()

    def reset(self) -> None:
        """Reset all connections. What was held back is lost."""
        with self._changed:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                self._held -= {*pair}
        for pair in pairs:
            _close(*pair)
        with self._changed:
            self._changed.notify_all()

    def hold_requests(self) -> None:
        """Keep what clients send, until `let_through`."""
        with self._changed:
            self._holds_requests = True

    def hold_answers(self) -> None:
        """Keep what the server sends, until `let_through`."""
        with self._changed:
            self._holds_answers = True

    def let_through(self) -> None:
        """Forward everything again."""
        with self._changed:
            self._refuses = self._holds_requests = self._holds_answers = False
            self._changed.notify_all()

    def close(self) -> None:
        """End everything."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                if self._refuses:
                    _close(client)
                    continue
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _close(client)
                continue
            with self._changed:
                self._pairs.append((client, server))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, sink, source is client), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        try:
            while data := source.recv(_BLOCK):
                with self._changed:
                    self._wait(source, is_request)
                    if not any(source in pair for pair in self._pairs):
                        return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # Where one side has reset the connection, the other would wait for ever.
            _close(source, sink)

    def _wait(self, source: socket.socket, is_request: bool) -> None:
        while (self._holds_requests if is_request else self._holds_answers) and any(
            source in pair for pair in self._pairs
        ):
            self._held.add(source)
            self._changed.wait()
        self._held.discard(source)


def _close(*sockets: socket.socket) -> None:
    """Close with a reset, as a machine does that has lost its memory of a connection."""
    for each in sockets:
        with suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            each.shutdown(socket.SHUT_RDWR)
        each.close()


@contextmanager
def proxy(url: str) -> Iterator[TcpProxy]:
    """A proxy to the server at ``url``."""
    made = TcpProxy.to(url)
    try:
        yield made
    finally:
        made.close()
