"""Values by key, as JSON, within a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sorawatch.edges.store import statements
from sorawatch.edges.store.tables import notes

if TYPE_CHECKING:
    from sorawatch.edges.store.session import Session


class KeyValues:
    """Reads and writes within the transaction whose session it is given."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._texts: dict[str, str | None] = {}
        """As read or written in this transaction."""

    def read(self, key: str) -> Any:
        """What was last written under ``key``, or None."""
        if key not in self._texts:
            self._texts[key] = self._session.connection.scalar(statements.READ_NOTE, {"name": key})
        text = self._texts[key]
        return None if text is None else json.loads(text)

    def write(self, key: str, value: object) -> None:
        """Keep any value that JSON can express; None deletes it."""
        connection = self._session.connection
        text = self._texts[key] = None if value is None else json.dumps(value)
        if text is None:
            connection.execute(notes.delete().where(notes.c.key == key))
        elif connection.execute(statements.WRITE_NOTE, {"name": key, "text": text}).rowcount == 0:
            connection.execute(statements.ADD_NOTE, {"key": key, "value": text})
