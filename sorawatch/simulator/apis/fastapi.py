"""How FastAPI checks fields and refuses them, for the servers that are built on it.

Source: FastAPI and pydantic 2, whose messages these are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

from sorawatch.simulator.responses import ApiError, SimulatedResponse

_TRUE = ("true", "1", "on", "yes", "y", "t")
_FALSE = ("false", "0", "off", "no", "n", "f")


class FieldError(TypedDict):
    """One error of pydantic. ``loc`` has where the field is, and its name."""

    type: str
    loc: list[str]
    msg: str
    input: object
    ctx: NotRequired[object]


def refused(status: int, detail: object) -> ApiError:
    """An ``HTTPException`` of FastAPI."""
    return ApiError(SimulatedResponse.of({"detail": detail}, status))


@dataclass(slots=True)
class Fields:
    """The fields of a form or of a JSON object, and what is wrong with them.

    An empty text in a form counts as absent, as FastAPI has it.
    """

    values: Mapping[str, object]
    location: str = "body"
    is_form: bool = True
    errors: list[FieldError] = field(default_factory=list)

    def text(self, name: str, default: str | None = None, pattern: str | None = None, *, required: bool = False) -> str:
        """A text; empty if it is absent and has no default, or is wrong."""
        value = self._value(name, required=required)
        if value is None and (self.is_form or name not in self.values):
            return default or ""
        if not isinstance(value, str):
            self._wrong(name, "string_type", "Input should be a valid string", value)
            return default or ""
        if pattern is not None and not re.search(pattern, value):
            text = f"String should match pattern '{pattern}'"
            self._wrong(name, "string_pattern_mismatch", text, value, {"pattern": pattern})
        return value

    def integer(
        self, name: str, default: int | None = None, least: int | None = None, most: int | None = None
    ) -> int | None:
        """A whole number, also as text."""
        value = self._number(name, default, least, "integer")
        if most is not None and value is not None and value > most:
            text = f"Input should be less than or equal to {most}"
            self._wrong(name, "less_than_equal", text, self.values[name], {"le": most})
        return None if value is None else int(value)

    def number(self, name: str, default: float | None = None, least: float | None = None) -> float | None:
        """A number, also as text."""
        return self._number(name, default, least, "number")

    def boolean(self, name: str) -> None:
        """Check a truth value, also as text."""
        value = self._value(name)
        if value is None or isinstance(value, bool) or str(value).lower() in (*_TRUE, *_FALSE):
            return
        self._wrong(name, "bool_parsing", "Input should be a valid boolean, unable to interpret input", value)

    def choice(self, name: str, choices: tuple[str, str]) -> str:
        """One of two words; the first if it is absent, or wrong."""
        value = self._value(name)
        if value is None or value in choices:
            return str(value or choices[0])
        listed = " or ".join(repr(choice) for choice in sorted(choices))
        self._wrong(name, "literal_error", f"Input should be {listed}", value, {"expected": listed})
        return choices[0]

    def raise_errors(self) -> None:
        """Raises ApiError 422 if anything is wrong."""
        if self.errors:
            raise refused(422, self.errors)

    def _value(self, name: str, *, required: bool = False) -> object:
        value = self.values.get(name)
        absent = name not in self.values or (self.is_form and value in ("", None))
        if absent and required:
            whole = None if self.is_form else dict(self.values)
            self.errors.append(
                {"type": "missing", "loc": [self.location, name], "msg": "Field required", "input": whole}
            )
        return None if absent else value

    def _number(self, name: str, default: float | None, least: float | None, word: str) -> float | None:
        value = self._value(name)
        if value is None:
            return default
        kind = {"integer": "int", "number": "float"}[word]
        try:
            number = _parsed(value, word)
        except ValueError:
            article = {"integer": "an", "number": "a"}[word]
            text = f"Input should be a valid {word}, unable to parse string as {article} {word}"
            self._wrong(name, f"{kind}_parsing", text, value)
            return default
        except TypeError:
            if isinstance(value, float):
                text = "Input should be a valid integer, got a number with a fractional part"
                self._wrong(name, "int_from_float", text, value)
            else:
                self._wrong(name, f"{kind}_type", f"Input should be a valid {word}", value)
            return default
        if least is not None and number < least:
            text = f"Input should be greater than or equal to {least}"
            self._wrong(name, "greater_than_equal", text, value, {"ge": least})
        return number

    def _wrong(self, name: str, kind: str, text: str, value: object, context: object = None) -> None:
        error: FieldError = {"type": kind, "loc": [self.location, name], "msg": text, "input": value}
        if context is not None:
            error["ctx"] = context
        self.errors.append(error)


def _parsed(value: object, word: str) -> float:
    """A number, also from text. Raises ValueError for a text that is none, TypeError for any other value."""
    if isinstance(value, str):
        return int(value) if word == "integer" else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or (word == "integer" and value != int(value)):
        raise TypeError(value)
    return value


def not_json(error: json.JSONDecodeError) -> ApiError:
    """The body of a request is no JSON."""
    detail = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error", "input": {}}
    return refused(422, [{**detail, "ctx": {"error": error.msg}}])


def not_an_object(body: bytes) -> ApiError:
    """The body of a request is no JSON object."""
    text = "Input should be a valid dictionary or object to extract fields from"
    try:
        value: object = json.loads(body)
    except ValueError:
        value = body.decode(errors="replace")
    return refused(422, [{"type": "model_attributes_type", "loc": ["body"], "msg": text, "input": value}])
