"""Fingerprints of API keys."""

from __future__ import annotations

import hashlib

from sorawatch.core.accounts import account_of


def test_accounts_are_told_apart_without_their_keys() -> None:
    found = account_of("sk-one", "salt")
    assert found == account_of("sk-one", "salt")
    assert len({found, account_of("sk-two", "salt"), account_of("sk-one", "another"), account_of(None, "salt")}) == 4
    assert len(found) == 16
    assert account_of(None, "salt") == ""
    assert not any(hashlib.new(name, b"sk-one").hexdigest().startswith(found) for name in ("md5", "sha1", "sha256"))
