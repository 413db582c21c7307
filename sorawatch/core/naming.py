"""The names that sorawatch gives: clips, taken names, jobs and orders."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sorawatch.core.pairing import ERROR_SUFFIX, IMAGE_SUFFIXES, SIDECAR_SUFFIXES, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sorawatch.core.order import Order

LONGEST_NAME = 255
"""Bytes that a file name may have on every usual file system."""

JOB_ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""No vowels that make words, no signs that look alike."""


def stem_of(image: str) -> str:
    """``beach`` of ``beach.jpg``."""
    return image.rpartition(".")[0] or image


def clip_name(image: str) -> str:
    """``beach.mp4`` for ``beach.jpg``."""
    return fitted(stem_of(image), ".mp4")


def error_name(image: str) -> str:
    """``beach.error.txt`` for ``beach.jpg``."""
    return fitted(stem_of(image), ERROR_SUFFIX)


def fitted(stem: str, suffix: str) -> str:
    """``stem + suffix``, the stem cut at a character's end where the whole is too long for a file name."""
    room = LONGEST_NAME - len(_bytes(suffix))
    while len(_bytes(stem)) > room:
        stem = stem[:-1]
    return stem + suffix


def numbered(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """``names``, then all of them with `` (2)``, `` (3)`` … before their extension.

    Files that belong together get the same number, so that they still belong together.
    """
    yield tuple(names)
    number = 2
    while True:
        yield tuple(_number(name, number) for name in names)
        number += 1


def _number(name: str, number: int) -> str:
    cut = _extension_at(name)
    return fitted(name[:cut], f" ({number}){name[cut:]}")


def _extension_at(name: str) -> int:
    """Where the extension starts, a sidecar's being all of ``.jpg.yaml`` and an error text's ``.error.txt``."""
    if fold(name).endswith(ERROR_SUFFIX):
        return len(name) - len(ERROR_SUFFIX)
    stem, dot, last = name.rpartition(".")
    if not stem:
        return len(name)
    if f".{fold(last)}" in SIDECAR_SUFFIXES:
        inner, _, middle = stem.rpartition(".")
        if inner and f".{fold(middle)}" in IMAGE_SUFFIXES:
            return len(inner)
    return len(stem) if dot else len(name)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def order_key(digest: str, order: Order) -> str:
    """Names what is bought: orders of equal key would give the same clip twice."""
    parts = (digest, order.prompt, order.model, str(order.size), str(order.seconds), order.fit.value)
    return _hash(parts)


def likeness(order: Order) -> str:
    """Names what a server's list can tell of an order: submits of equal likeness cannot be told apart there."""
    return _hash((order.prompt, order.model, str(order.size), str(order.seconds)))


def job_id(seed: bytes) -> str:
    """Eight characters a person can type, from random bytes."""
    number = int.from_bytes(seed, "big")
    characters = []
    for _ in range(8):
        number, index = divmod(number, len(JOB_ID_ALPHABET))
        characters.append(JOB_ID_ALPHABET[index])
    return "".join(characters)


def _hash(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
