"""Templates with placeholders, such as ``<prompt>``, and what an order fills into them.

A placeholder that is a whole value keeps the type of what is filled in; within a text it becomes text. A key whose
placeholder has no value is left out. What is filled in is not searched for placeholders again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable

PLACEHOLDER = re.compile(r"<([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?|(?:answer|item)/[^<>]*)>")

ORDER = ("model", "prompt", "seconds", "seconds_text", "frames", "width", "height", "size", "aspect", "resolution")
"""What every order has, apart from its picture."""
FILE = "image.file"
PICTURE = (FILE, "image.data_uri", "image.base64", "image.mime", "upload")
OTHER = ("tag", "seed", "graph", "id")
NAMES = (*ORDER, *PICTURE, *OTHER)

Values = Mapping[str, object]


class _Missing:
    """No value."""


MISSING: Final = _Missing()

_RATIOS = ((16, 9), (9, 16), (1, 1), (4, 3), (3, 4), (21, 9), (3, 2), (2, 3))


def names_in(template: object) -> Iterator[str]:
    """The names of all placeholders in a template."""
    match template:
        case str():
            yield from PLACEHOLDER.findall(template)
        case Mapping():
            for value in template.values():
                yield from names_in(value)
        case list() | tuple():
            for value in template:
                yield from names_in(value)


def fill(template: object, values: Values) -> object:
    """The template with its placeholders filled in; `MISSING` if it is a text whose placeholder has no value."""
    match template:
        case str():
            return _filled_text(template, values)
        case Mapping():
            filled = {name: fill(value, values) for name, value in template.items()}
            return {name: value for name, value in filled.items() if value is not MISSING}
        case list() | tuple():
            return [value for each in template if (value := fill(each, values)) is not MISSING]
        case _:
            return template


def _filled_text(template: str, values: Values) -> object:
    if (whole := PLACEHOLDER.fullmatch(template)) is not None:
        return values.get(whole[1], MISSING)
    return _within(template, values, str)


def fill_address(template: str, values: Values) -> str | None:
    """The address with its placeholders filled in and percent-encoded; None if one has no value.

    ``<id.raw>`` keeps slashes. An address that is one placeholder, such as ``<answer/url>``, is taken as it is.
    """
    if (whole := PLACEHOLDER.fullmatch(template)) is not None:
        value = values.get(whole[1])
        return value if isinstance(value, str) and value else None
    plain = {name: value for name, value in values.items() if isinstance(value, str | int)}
    raw = {f"{name}.raw": _Raw(str(value)) for name, value in plain.items()}
    filled = _within(template, {**plain, **raw}, _encoded)
    return filled if isinstance(filled, str) else None


class _Raw(str):
    """A text whose slashes are kept in an address."""

    __slots__ = ()


def _encoded(value: object) -> str:
    return quote(str(value), safe="/" if isinstance(value, _Raw) else "")


def _within(template: str, values: Values, written: Callable[[object], str]) -> object:
    if any(name not in values for name in PLACEHOLDER.findall(template)):
        return MISSING
    return PLACEHOLDER.sub(lambda found: written(values[found[1]]), template)


def aspect(width: int, height: int) -> str:
    """The usual ratio that is nearest to that of a size, such as ``16:9``."""
    wide, high = min(_RATIOS, key=lambda ratio: abs(ratio[0] / ratio[1] - width / height))
    return f"{wide}:{high}"
