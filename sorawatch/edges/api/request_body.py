"""Builds the body of a request from its template, the order and the picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urllib3.filepost import encode_multipart_formdata

from sorawatch.core.dialect import Encoding
from sorawatch.core.placeholders import FILE, aspect, fill, names_in
from sorawatch.errors import Rejected

if TYPE_CHECKING:
    from sorawatch.core.dialect import Body, Dialect, DialectModel

_LONGEST_SHOWN = 200
"""Characters of one value that `described` repeats."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture that is sent: an encoded file of type ``mime``."""

    data: bytes = field(repr=False)
    file_name: str
    mime: str


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """What is ordered: a size such as ``1280x720``, whole seconds as text, and the server's own ``fields``."""

    model: str
    prompt: str
    size: str
    seconds: str
    tag: str = ""
    """A UUID that the server keeps with the order, if its dialect sends one."""
    fps: int | None = None
    fields: Mapping[str, object] = field(default_factory=dict)


def order_values(terms: OrderTerms, picture: Picture, dialect: Dialect, needed: frozenset[str]) -> dict[str, object]:
    """The values of the placeholders ``needed`` for an order; those that have none are left out."""
    width, height = map(int, terms.size.split("x"))
    seconds = int(terms.seconds)
    described = dialect.described(terms.model)
    fps = terms.fps or (described.model.fps if described else None)
    values: dict[str, object] = {
        **model_values(described, terms.model),
        "prompt": terms.prompt,
        "seconds": seconds,
        "seconds_text": terms.seconds,
    }
    if fps is not None:
        values["frames"] = seconds * fps + 1
    if dialect.sends_size:
        resolution = dict(described.resolutions).get(terms.size) if described else None
        values |= {"width": width, "height": height, "size": terms.size, "aspect": aspect(width, height)}
        values["resolution"] = resolution or f"{min(width, height)}p"
    if terms.tag:
        values |= {"tag": terms.tag, "seed": int(terms.tag.replace("-", "")[:8], 16) >> 1}
    # A field with the name of a placeholder that orders do not set fills it.
    values |= {name: value for name, value in terms.fields.items() if name in dialect.settable(terms.model)}
    values = {name: value for name, value in values.items() if value is not None}
    return values | _picture_values(picture, needed)


def model_values(described: DialectModel | None, model: str) -> dict[str, object]:
    """The placeholders that follow from the model alone."""
    return {**(dict(described.values) if described else {}), **({"model": model} if model else {})}


def _picture_values(picture: Picture, needed: frozenset[str]) -> dict[str, object]:
    values: dict[str, object] = {FILE: picture, "image.mime": picture.mime}
    if {"image.base64", "image.data_uri"} & needed:
        encoded = base64.b64encode(picture.data).decode("ascii")
        values |= {"image.base64": encoded, "image.data_uri": f"data:{picture.mime};base64,{encoded}"}
    return values


def order_body(terms: OrderTerms, dialect: Dialect) -> Body:
    """The template of an order's body, with the fields of the order.

    Raises:
        Rejected: a field would replace what the order sets itself.
    """
    conflict = dialect.conflicting(terms.model, terms.fields)
    if conflict is not None:
        what = f'fields has "{conflict}", which every order sets for itself'
        raise Rejected(f"{what}. Nothing was ordered", "Remove it from fields, then move the pair back into the inbox.")
    needed = frozenset(names_in(dialect.body(terms.model).template))
    return dialect.body(terms.model, {name: value for name, value in terms.fields.items() if name not in needed})


def encoded(body: Body, values: Mapping[str, object]) -> tuple[bytes, str]:
    """The bytes of the body and their ``Content-Type``.

    Raises:
        Rejected: if the text contains half a character.
    """
    filled = fill(body.template, values)
    assert isinstance(filled, dict)
    try:
        if body.encoding is Encoding.JSON:
            return json.dumps(filled, ensure_ascii=False).encode(), "application/json"
        parts = [(name, _part(value)) for name, value in filled.items()]
        # Pictures come last, because some servers read the form in order.
        files = [part for part in parts if isinstance(part[1], tuple)]
        return encode_multipart_formdata([*(part for part in parts if part not in files), *files])
    except UnicodeEncodeError as error:
        raise Rejected("the prompt contains half a character, which cannot be sent", "Write it again.") from error


def _part(value: object) -> str | tuple[str, bytes, str]:
    if isinstance(value, Picture):
        return value.file_name, value.data, value.mime
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def described(body: Body, values: Mapping[str, object]) -> str:
    """The body as text for people, with long values cut."""
    filled = fill(body.template, values)
    if body.encoding is Encoding.JSON:
        return json.dumps(_shown(filled), indent=2, ensure_ascii=False)
    assert isinstance(filled, dict)
    return "\n".join(f"{name}: {_shown(value)}" for name, value in filled.items())


def _shown(value: object) -> object:
    match value:
        case Picture():
            return f"(file {value.file_name}, {value.mime}, {len(value.data)} bytes)"
        case str() if len(value) > _LONGEST_SHOWN:
            return f"{value[:40]}… ({len(value)} characters)"
        case Mapping():
            return {name: _shown(each) for name, each in value.items()}
        case list():
            return [_shown(each) for each in value]
        case _:
            return value
