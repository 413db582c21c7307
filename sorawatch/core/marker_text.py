"""The text of the file ``.sorawatch``, which names the state that a folder belongs to."""

from __future__ import annotations

import re

UNNAMED = ""
"""A marker that names no state: of an older version, or made with ``touch``."""

_BEGINNING = "sorawatch works with this folder."
_EXPLANATION = f"""\
{_BEGINNING} Please leave this file where it is: as long as it is here, sorawatch knows that
the folder is really there and not an empty place where a share ought to be mounted.
"""
_STATE = "State: "
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def marker_text(state: str) -> str:
    """The content of a marker. ``state`` is the UUID of the state."""
    return f"{_EXPLANATION}{_STATE}{state}\n"


def named_state(content: bytes) -> str | None:
    """The UUID of the state that a marker names, or `UNNAMED`; None if the content is not that of a marker."""
    text = content.decode("utf-8", "replace").strip()
    if not text:
        return UNNAMED
    if not text.startswith(_BEGINNING):
        return None
    named = [line.removeprefix(_STATE).strip() for line in text.splitlines() if line.startswith(_STATE)]
    if not named:
        return UNNAMED
    return named[0] if len(named) == 1 and _IDENTIFIER.fullmatch(named[0]) else None
