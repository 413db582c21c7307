"""The names of clips, jobs and orders, and how any name or text is made safe to print."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from sorawatch.core.order import Fit, Focus
from sorawatch.core.pairing import ERROR_SUFFIX, RETURNED_SUFFIX, TEXT_SUFFIXES, fold, sidecar_stem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sorawatch.core.order import Order

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

LONGEST_NAME = 255
"""Bytes: the longest file name on all common file systems."""

JOB_ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
"""Characters that are not easily confused with each other."""

_SNAPSHOT = re.compile(r"-20\d\d-?[01]\d-?[0-3]\d$")
"""The date of a model's snapshot, as in ``sora-2-2025-12-08``."""


_OLD_KEY = re.compile("[0-9a-f]{64}")
_IN_A_ROW = 16
"""Numbers below this are tried one by one."""


def valid_text(text: str) -> str:
    """``text`` as valid Unicode: bytes of a file name that are not UTF-8 (see ``os.fsdecode``) are escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def terminal_text(text: str) -> str:
    """``text`` made safe for a terminal: valid Unicode, with all control characters but tab and newline escaped.

    A file name or a message of the server may contain sequences that change what a terminal shows.
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", valid_text(text))


def one_line(name: str) -> str:
    """A file name as valid Unicode on one line, whatever characters it has."""
    text = valid_text(name)
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


def full_name(name: str, image: str) -> str:
    """``beach.png.yaml`` for ``beach.yaml``, the sidecar of ``beach.png``, and likewise for a text beside it.

    It is free where another picture, such as ``beach.jpg``, has the short name. The name of the image stays as it is.
    """
    if name == image:
        return name
    return fitted(image, _text_suffix(name) or name[len(sidecar_stem(name)) :])


def returned_name(image: str) -> str:
    """``beach.returned.txt`` for ``beach.jpg``."""
    return fitted(stem_of(image), RETURNED_SUFFIX)


def fitted(stem: str, suffix: str) -> str:
    """``stem + suffix``, with the stem shortened by whole characters if the name would be too long."""
    return _cut(stem, LONGEST_NAME - len(_bytes(suffix))) + suffix


def with_number(names: Sequence[str], number: int) -> tuple[str, ...]:
    """``names`` with `` (2)``, `` (3)`` … before their extension.

    ``names`` belong together; the first is the picture. The numbered names all have the stem of the picture,
    shortened equally if one of them is too long, so that they still belong together.
    """
    stem = _split(names[0], "")[0]
    suffixes = [f" ({number}){_split(name, names[0])[1]}" for name in names]
    short = _cut(stem, LONGEST_NAME - max(len(_bytes(suffix)) for suffix in suffixes))
    return tuple(short + suffix for suffix in suffixes)


def first_free(names: Sequence[str], is_free: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    """``names`` with the first free number from 2 on.

    After some numbers in a row are taken, the rest is searched by halving: of 100,000 taken names a few dozen are asked
    for. Where numbers are free in between, one of those may be passed over.
    """
    for number in range(2, _IN_A_ROW):
        if is_free(given := with_number(names, number)):
            return given
    taken, free = _IN_A_ROW - 1, _IN_A_ROW
    while not is_free(with_number(names, free)):
        taken, free = free, 2 * free
    while free - taken > 1:
        middle = (taken + free) // 2
        if is_free(with_number(names, middle)):
            free = middle
        else:
            taken = middle
    return with_number(names, free)


def _split(name: str, image: str) -> tuple[str, str]:
    """Stem and extension. ``.error.txt`` is one extension, and so is the ``.jpg.yaml`` of a sidecar of ``image``."""
    beside = sidecar_stem(name)
    text_suffix = _text_suffix(name)
    if text_suffix:
        stem = name[: -len(text_suffix)]
    elif fold(beside) == fold(image):
        stem = stem_of(beside)
    else:
        stem = beside if beside != name else stem_of(name)
    return stem, name[len(stem) :]


def _text_suffix(name: str) -> str:
    """``.error.txt`` or ``.returned.txt``; empty for other names."""
    return next((suffix for suffix in TEXT_SUFFIXES if fold(name).endswith(suffix)), "")


def _cut(stem: str, room: int) -> str:
    while stem and len(_bytes(stem)) > room:
        stem = stem[:-1]
    return stem


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def current_key(key: str) -> str:
    """A key of an order or its likeness, of which an older sorawatch wrote all 256 bits in hexadecimal digits."""
    return _key(bytes.fromhex(key)) if _OLD_KEY.fullmatch(key) else key


def order_key(digest: str, order: Order) -> str:
    """The key of what is bought: orders with the same key are duplicates.

    Args:
        digest: of the picture's file, or of the reference image made from it.
    """
    # "auto" replaced "centre" as the default: what was ordered with the one must not be bought again with the other.
    focused = order.fit is Fit.CROP and order.focus not in {Focus.CENTRE, Focus.AUTO}
    framing = f"{order.fit} {order.focus}" if focused else order.fit.value
    take = () if order.take == 1 else (f"take {order.take}",)
    fields = (f"fields {order.fields}",) if order.fields else ()
    return _hash((digest, order.prompt, order.model, str(order.size), str(order.seconds), framing, *fields, *take))


def likeness(order: Order) -> str:
    """The key of what a server's list shows of an order: two submits with the same key look the same there."""
    return _hash((order.prompt, base_model(order.model), str(order.size), str(order.seconds)))


def base_model(name: str) -> str:
    """A model's name without what a list may add to it: the provider in front, the date of a snapshot at the end."""
    return _SNAPSHOT.sub("", name.rpartition("/")[2].casefold())


def job_id(seed: bytes) -> str:
    """An id of eight characters that are easy to type, from random bytes."""
    number = int.from_bytes(seed, "big")
    characters = []
    for _ in range(8):
        number, index = divmod(number, len(JOB_ID_ALPHABET))
        characters.append(JOB_ID_ALPHABET[index])
    return "".join(characters)


def _hash(parts: tuple[str, ...]) -> str:
    return _key(hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest())


def _key(digest: bytes) -> str:
    """96 bits, in which no two of all orders ever made agree by chance, as 16 characters."""
    return base64.urlsafe_b64encode(digest[:12]).decode()
