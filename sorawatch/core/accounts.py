"""Tells the accounts at a server apart, without keeping their API keys."""

from __future__ import annotations

import hashlib
from functools import lru_cache

_COST = 1 << 14
"""Of scrypt: it takes some 50 ms and 16 MiB, so that a short key cannot be found by trying all."""


@lru_cache(maxsize=16)
def account_of(key: str | None, salt: str) -> str:
    """The fingerprint of an API key: 16 characters from which the key cannot be found; empty without a key.

    Args:
        salt: text of the state, such as its UUID, so that one key has different fingerprints in different states.
    """
    if key is None:
        return ""
    return hashlib.scrypt(key.encode(), salt=salt.encode(), n=_COST, r=8, p=1, dklen=8).hex()
