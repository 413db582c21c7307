"""Finds values in a JSON document by pointers: RFC 6901, and ``*`` for any one member."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ANY = "*"


def find_all(document: object, pointer: str) -> Iterator[object]:
    """Every value at ``pointer``, such as ``/data/0/url``. The empty pointer is the whole document."""
    yield from _descend(document, steps(pointer))


def first(document: object, pointers: tuple[str, ...]) -> object:
    """The first value that is not null at the first of ``pointers`` that has one; None if there is none."""
    return next((value for each in pointers for value in find_all(document, each) if value is not None), None)


def steps(pointer: str) -> tuple[str, ...]:
    """The keys and indexes of ``pointer``.

    Raises:
        ValueError: if it is neither empty nor begins with a slash.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError(pointer)
    return tuple(each.replace("~1", "/").replace("~0", "~") for each in pointer[1:].split("/"))


def _descend(value: object, left: tuple[str, ...]) -> Iterator[object]:
    if not left:
        yield value
        return
    step, rest = left[0], left[1:]
    match value:
        case dict() if step == ANY:
            members = [*value.values()]
        case list() if step == ANY:
            members = value
        case dict():
            members = [value[step]] if step in value else []
        case list() if step.isdecimal() and step.isascii() and int(step) < len(value):
            members = [value[int(step)]]
        case _:
            members = []
    for member in members:
        yield from _descend(member, rest)
