"""A hand-written file as a tree that remembers where everything stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from sorawatch.errors import Problem, SorawatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 64 * 1024
"""The largest sidecar or configuration that is read, in bytes."""

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | tuple[Node, ...] | Mapping[str, Node]"

NOTHING: Mapping[str, Node] = MappingProxyType({})

# What a YAML stream may hold (YAML 1.2.2, production 1). NUL and lone surrogates would break paths and
# requests long after the person who wrote them has gone.
_ILLEGIBLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# 18 digits fit every 64-bit column; longer ones become floats, which no integer key takes.
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class Invalid(SorawatchError):
    """A file that cannot be used, with every problem found in it.

    Who reads the file gives this its meaning: ``Rejected`` for a sidecar, ``ConfigError`` for the configuration.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Node:
    """One value. A value under a key stands on the line of its key, which is where people look for it."""

    value: Value
    text: str = ""
    """A scalar exactly as written, without its quotes: ``0.10`` keeps its digits, ``2024-01-01`` its dashes."""
    source: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    """Counted from 1; 0 where there are no lines, as in an environment variable."""

    @property
    def place(self) -> str:
        return f"{self.source} line {self.line}" if self.line else self.source


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar in the core schema of YAML 1.2, decimal numbers only.

    Nothing else is special, so ``yes``, ``12:30``, ``2024-01-01``, ``0x10`` and ``.inf`` are the text they look like.
    """
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def decode(data: bytes, name: str) -> str:
    """The text of the small UTF-8 file ``name``; a byte order mark is dropped.

    Raises:
        Invalid: over 64 KiB, not UTF-8, or with control characters.
    """
    if len(data) > MAX_BYTES:
        raise Invalid(Problem(name, f"is larger than {MAX_BYTES // 1024} KiB", "Shorten it."))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The error counts from after a byte order mark, if there is one.
        line = error.object[: error.start].count(b"\n") + 1
        what = f"is not UTF-8 text (byte 0x{error.object[error.start]:02x})"
        hint = "Save it with the encoding UTF-8."
        raise Invalid(Problem(f"{name} line {line}", what, hint)) from error
    if bad := illegible(text):
        line = text[: bad.start()].count("\n") + 1
        hint = "Remove that character, or save the file again as plain text in UTF-8."
        raise Invalid(Problem(f"{name} line {line}", f"contains the control character U+{ord(bad[0]):04X}", hint))
    return text


def illegible(text: str) -> re.Match[str] | None:
    """The first character of ``text`` that no text file holds, such as NUL or half a surrogate pair."""
    return _ILLEGIBLE.search(text)
