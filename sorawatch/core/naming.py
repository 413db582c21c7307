"""The names that sorawatch gives to clips, jobs and orders, and the form in which any name may be shown."""

from __future__ import annotations

import hashlib
import re
from itertools import count
from typing import TYPE_CHECKING

from sorawatch.core.order import Fit, Focus
from sorawatch.core.pairing import ERROR_SUFFIX, fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sorawatch.core.order import Order

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

LONGEST_NAME = 255
"""Bytes that a file name may have on every usual file system."""

JOB_ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""Signs that are not mistaken for one another."""

_SNAPSHOT = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d$")
"""The day that a model was frozen, as in ``sora-2-2025-12-08``."""


def legible(text: str) -> str:
    """``text`` as valid text: the bytes of an odd file name, as ``os.fsdecode`` gives it, are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def tame(text: str) -> str:
    """``text`` as a terminal may be given it: valid, and with no control characters but tabs and the ends of lines.

    A file's name or a server's message may hold sequences that rewrite what a terminal shows.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", legible(text))


def on_a_line(name: str) -> str:
    """A file name in valid text and on one line, whatever is in it."""
    text = legible(name)
    return text if text.isprintable() else repr(text)


def stem_of(image: str) -> str:
    """``beach`` of ``beach.jpg``."""
    return image.rpartition(".")[0] or image


def clip_name(image: str, suffix: str = ".mp4") -> str:
    """``beach.mp4`` for ``beach.jpg``."""
    return fitted(stem_of(image), suffix)


def error_name(image: str) -> str:
    """``beach.error.txt`` for ``beach.jpg``."""
    return fitted(stem_of(image), ERROR_SUFFIX)


def fitted(stem: str, suffix: str) -> str:
    """``stem + suffix``, the stem cut at a character's end where the whole is too long for a file name."""
    return _cut(stem, LONGEST_NAME - len(_bytes(suffix))) + suffix


def numbered(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """``names``, then all of them with `` (2)``, `` (3)`` … before their extension.

    ``names`` belong together, the picture coming first. Numbered, they all have its stem, cut alike where one of
    them is too long: so they still belong together.
    """
    yield tuple(names)
    stem = _split(names[0], "")[0]
    tails = [_split(name, names[0])[1] for name in names]
    for number in count(2):
        suffixes = [f" ({number}){tail}" for tail in tails]
        short = _cut(stem, LONGEST_NAME - max(len(_bytes(suffix)) for suffix in suffixes))
        yield tuple(short + suffix for suffix in suffixes)


def _split(name: str, image: str) -> tuple[str, str]:
    """Stem and extension, that of ``beach.error.txt`` and of ``image``'s own ``beach.jpg.yaml`` being in two parts."""
    stem = stem_of(name)
    if fold(name).endswith(ERROR_SUFFIX) or fold(stem) == fold(image):
        stem = stem_of(stem)
    return stem, name[len(stem) :]


def _cut(stem: str, room: int) -> str:
    while stem and len(_bytes(stem)) > room:
        stem = stem[:-1]
    return stem


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def order_key(digest: str, order: Order) -> str:
    """Names what is bought: orders of equal key would give the same clip twice.

    Args:
        digest: of the picture's file, or of the reference image made from it.
    """
    focused = order.fit is Fit.CROP and order.focus is not Focus.CENTRE
    framing = f"{order.fit} {order.focus}" if focused else order.fit.value
    take = () if order.take == 1 else (f"take {order.take}",)
    return _hash((digest, order.prompt, order.model, str(order.size), str(order.seconds), framing, *take))


def likeness(order: Order) -> str:
    """Names what a server's list can tell of an order: submits of equal likeness cannot be told apart there."""
    return _hash((order.prompt, bare_model(order.model), str(order.size), str(order.seconds)))


def bare_model(name: str) -> str:
    """A model's name without what a list may put around it: the provider before it, a snapshot's date behind it."""
    return _SNAPSHOT.sub("", name.rpartition("/")[2].casefold())


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
