"""How large a picture may be."""

from __future__ import annotations

MAX_PICTURE_BYTES = 512 << 20
"""The largest file: it is read into memory as a whole."""
