"""What is learnt of one server, kept in a note of the state by model: another server begins with nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction


class ServerNotes:
    """One note. ``server`` is the base URL, ``name`` the note's; what is kept by model is anything JSON can say."""

    def __init__(self, name: str, server: str) -> None:
        self._name = name
        self._server = server

    def read(self, tx: Transaction) -> dict[str, Any]:
        kept: dict[str, Any] = (tx.notes.read(self._name) or {}).get(self._server, {})
        return kept

    def write(self, tx: Transaction, by_model: dict[str, Any]) -> None:
        """Keep this of the server, beside what is known of others; nothing at all where it is empty."""
        servers = {server: kept for server, kept in (tx.notes.read(self._name) or {}).items() if server != self._server}
        if by_model:
            servers[self._server] = by_model
        tx.notes.write(self._name, servers or None)
