"""Reads the bodies of requests: multipart forms and JSON objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from starlette.requests import Request


class BadBodyError(Exception):
    """A body is not what its Content-Type says. ``is_json`` if it is JSON, but no object."""

    def __init__(self, message: str, *, is_json: bool = False) -> None:
        super().__init__(message)
        self.is_json = is_json


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part of a form."""

    media_type: str | None
    data: bytes
    filename: str = ""


Form = Mapping[str, Sequence[str | Upload]]
"""The parts of a multipart body by field name."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a create: a form, or a JSON object."""

    form: Form = field(default_factory=dict)
    document: Mapping[str, object] = field(default_factory=dict)
    prompt: str | None = None

    @property
    def fields(self) -> Mapping[str, str]:
        """Every field as text; for a file its media type."""
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in self.document.items()}
        for name, parts in self.form.items():
            for part in parts:
                texts[name] = part if isinstance(part, str) else part.media_type or ""
        return texts

    def text(self, name: str) -> str | None:
        """The first text of a form field, or None."""
        return next((part for part in self.form.get(name, ()) if isinstance(part, str)), None)

    def uploads(self, name: str) -> list[Upload]:
        """The files of a form field."""
        return [part for part in self.form.get(name, ()) if isinstance(part, Upload)]


def media_type(request: Request) -> str:
    """The Content-Type in lower case, without parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def read_form(request: Request) -> Form:
    """The parts of a multipart body.

    Raises:
        BadBodyError: if it cannot be read.
    """
    form: dict[str, list[str | Upload]] = {}
    try:
        async with request.form() as parts:
            for name, part in parts.multi_items():
                if isinstance(part, UploadFile):
                    value: str | Upload = Upload(part.content_type, await part.read(), part.filename or "")
                else:
                    value = part
                form.setdefault(name, []).append(value)
    except HTTPException as error:
        raise BadBodyError(error.detail) from error
    return form


async def read_json(request: Request) -> dict[str, object]:
    """The JSON object that is the body, whatever the Content-Type says.

    Raises:
        BadBodyError: for anything else.
    """
    try:
        document = json.loads(await request.body())
    except ValueError as error:
        raise BadBodyError(str(error)) from error
    if not isinstance(document, dict):
        raise BadBodyError("the body is no JSON object", is_json=True)
    return document
