"""Keeps secrets out of logs, wherever in a record they come from."""

from __future__ import annotations

import json
import threading
from urllib.parse import quote


class Secrets:
    """The secrets that this process has read. Used from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._written: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Hide ``secret`` from now on: as it is, and as JSON, URLs and Python write it."""
        if not secret or secret in self._written:
            return
        quoted = json.dumps(secret)[1:-1]
        forms = {secret, quoted, quoted.replace("/", "\\/"), quote(secret, safe=""), repr(secret)[1:-1]}
        with self._guard:
            # The longest first, lest a part of one leaves the rest of another.
            self._written = tuple(sorted({*self._written, *forms}, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """``text`` with ``[key]`` for every secret in it."""
        for written in self._written:
            text = text.replace(written, "[key]")
        return text


SECRETS = Secrets()
"""Those of the whole process, as its logs are."""
