"""Removes secrets from all parts of log records."""

from __future__ import annotations

import json
import threading
from urllib.parse import quote


class Secrets:
    """The secrets that this process has read. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Hide ``secret`` from now on, as it is and as JSON, URLs and Python write it."""
        if not secret or secret in self._forms:
            return
        quoted = json.dumps(secret)[1:-1]
        new_forms = {secret, quoted, quoted.replace("/", "\\/"), quote(secret, safe=""), repr(secret)[1:-1]}
        with self._lock:
            # The longest first, so that a shorter form is not replaced within a longer one.
            self._forms = tuple(sorted({*self._forms, *new_forms}, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """``text`` with ``[key]`` for every secret in it."""
        for form in self._forms:
            text = text.replace(form, "[key]")
        return text


SECRETS = Secrets()
"""The secrets of the whole process, which has one set of logs."""
