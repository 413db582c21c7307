"""A service manager for tests: the socket that ``$NOTIFY_SOCKET`` names."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.workspace import wait_until

_END = b"END=1"


class Notified:
    """What was sent to a socket, message by message; each maps names to values."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.messages: list[dict[str, str]] = []

    def wait_for(self, name: str, value: str = "1") -> dict[str, str]:
        """The first message that says so."""
        return wait_until(
            lambda: next((each for each in self.messages if each.get(name) == value), None),
            told=lambda: self.messages,
        )

    def wait_for_names(self, *names: str) -> None:
        """Wait until the messages say just this, in this order, beside their statuses."""
        wait_until(lambda: self.names() == [*names], told=lambda: self.messages)

    def names(self) -> list[str]:
        return [name for each in [*self.messages] for name in each if name not in {"STATUS", "MONOTONIC_USEC"}]

    def receive(self, server: socket.socket) -> None:
        while (data := server.recv(65536)) != _END:
            self.messages.append(dict(line.split("=", 1) for line in data.decode().splitlines()))


@contextmanager
def listening(address: str) -> Iterator[Notified]:
    """Listen at a path, or at ``@name`` in the abstract namespace."""
    bound = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(bound)
        notified = Notified(address)
        # A queue of datagrams is short, and whoever sends to a full one waits.
        thread = threading.Thread(target=notified.receive, args=[server])
        thread.start()
        try:
            yield notified
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.sendto(_END, server.getsockname())
            thread.join()
