"""The server's own parameters of an order: the key ``fields``, kept as JSON so that every value keeps its type."""

from __future__ import annotations

import json
from typing import Any


def to_text(fields: dict[str, object]) -> str:
    """The fields as JSON with sorted keys, the same for the same fields; empty for none."""
    return json.dumps(fields, sort_keys=True, ensure_ascii=False) if fields else ""


def from_text(text: str) -> dict[str, Any]:
    """What `to_text` was given."""
    found: dict[str, Any] = json.loads(text) if text else {}
    return found


def layered(*layers: str) -> str:
    """The fields of several layers together; the first layer that has a key decides it, also to null."""
    found: dict[str, object] = {}
    for layer in reversed(layers):
        found |= from_text(layer)
    return to_text(found)
