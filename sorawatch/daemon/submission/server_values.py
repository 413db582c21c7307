"""Values about one server in the state, by model. They do not apply to another server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sorawatch.edges.store import Transaction


class ServerValues:
    """The values under one name. ``server`` is the base URL. The value of a model can be any JSON."""

    def __init__(self, name: str, server: str) -> None:
        self._name = name
        self._server = server

    def read(self, tx: Transaction) -> dict[str, Any]:
        values: dict[str, Any] = (tx.key_values.read(self._name) or {}).get(self._server, {})
        return values

    def write(self, tx: Transaction, by_model: dict[str, Any]) -> None:
        """Replace the values of this server. Those of other servers are not changed."""
        servers = {
            server: values
            for server, values in (tx.key_values.read(self._name) or {}).items()
            if server != self._server
        }
        if by_model:
            servers[self._server] = by_model
        tx.key_values.write(self._name, servers or None)
