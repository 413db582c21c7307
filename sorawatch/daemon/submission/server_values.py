"""What is learnt of one server, kept in the state by model. Another server begins with nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction


class ServerValues:
    """The values under one name. ``server`` is the base URL; what is kept for a model is any JSON."""

    def __init__(self, name: str, server: str) -> None:
        self._name = name
        self._server = server

    def read(self, tx: Transaction) -> dict[str, Any]:
        kept: dict[str, Any] = (tx.key_values.read(self._name) or {}).get(self._server, {})
        return kept

    def write(self, tx: Transaction, by_model: dict[str, Any]) -> None:
        """Replace what is kept of this server. What is kept of other servers stays."""
        servers = {
            server: kept for server, kept in (tx.key_values.read(self._name) or {}).items() if server != self._server
        }
        if by_model:
            servers[self._server] = by_model
        tx.key_values.write(self._name, servers or None)
