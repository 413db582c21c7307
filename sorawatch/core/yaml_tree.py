"""A YAML file as a tree whose values know their lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from sorawatch.errors import Problem, SorawatchError

MAX_BYTES = 64 * 1024
"""The largest sidecar or configuration that is read, in bytes."""

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = "Scalar | tuple[Node, ...] | Mapping[str, Node]"

EMPTY: Mapping[str, Node] = MappingProxyType({})

# Everything but the characters that YAML allows (YAML 1.2.2, production 1). NUL and lone surrogates would break paths
# and requests later, when their cause is hard to find.
_CONTROL_CHARACTER = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# "p\0r\0" or "\0p\0r": what editors call "Unicode", if they leave out the byte order mark.
_NULS_OF_UTF16 = re.compile(rb"[^\0]\0[^\0]\0|\0[^\0]\0[^\0]")
_LIKE_UTF8 = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]{3}")
_SYMBOL_IN_WORD = re.compile(
    r"(?<=[^\W\d_])[^\w\s\x00-\x7f\u2010-\u2019\u2026](?=[^\W\d_])|(?<=[^\W\d_])[¹²³ªº¼½¾](?=[^\W\d_])"
)
_SAVE_AS_UTF8 = "Save it with the encoding UTF-8."

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# 18 digits fit a 64-bit column; longer numbers become floats, which no integer key accepts.
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class Invalid(SorawatchError):
    """A file that cannot be used, with all its problems.

    The caller turns it into ``Rejected`` for a sidecar, or ``ConfigError`` for the configuration.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Node:
    """One value. ``line`` of a value under a key is the line of the key, since people look for it there."""

    value: Value
    text: str = ""
    """A scalar exactly as written, without quotes: ``0.10`` keeps its digits, ``2024-01-01`` its dashes."""
    source: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)
    """Counted from 1; 0 if there are no lines, as in an environment variable."""
    with_comments: str = field(default="", compare=False)
    """An unquoted scalar with the comments that may have been meant as a part of it; empty without any."""
    written: str = field(default="", compare=False)
    """A list or mapping in brackets, as it is written."""

    @property
    def place(self) -> str:
        return f"{self.source} line {self.line}" if self.line else self.source


def plain(node: Node) -> object:
    """The value of a node and of everything below it, with the types that YAML gives them."""
    if isinstance(node.value, tuple):
        return [plain(each) for each in node.value]
    if isinstance(node.value, Mapping):
        return {key: plain(each) for key, each in node.value.items()}
    return node.value


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar in the core schema of YAML 1.2, with decimal numbers only.

    Nothing else is special: ``yes``, ``12:30``, ``2024-01-01``, ``0x10`` and ``.inf`` are text.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def decode(data: bytes, name: str) -> str:
    """The text of the small file ``name`` in UTF-8, or in UTF-16 with a byte order mark, which is dropped.

    What is not UTF-8 but can well be Windows-1252 is read as that, since old editors on Windows save it.

    Raises:
        Invalid: over 64 KiB, in another encoding, or with control characters.
    """
    if len(data) > MAX_BYTES:
        raise Invalid(Problem(name, f"is larger than {MAX_BYTES // 1024} KiB", "Shorten it."))
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif _NULS_OF_UTF16.match(data):
        what = "is UTF-16 text without the byte order mark that would say so"
        raise Invalid(Problem(name, what, _SAVE_AS_UTF8))
    else:
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-8-sig" and (western := _windows_1252(data)) is not None:
            return western
        # The positions of the error do not count a byte order mark.
        line = error.object[: error.start].count(b"\n") + 1
        kind = "UTF-16" if encoding == "utf-16" else "UTF-8"
        what = f"is not {kind} text (byte 0x{error.object[error.start]:02x})"
        raise Invalid(Problem(f"{name} line {line}", what, _SAVE_AS_UTF8)) from error
    if bad := find_control_character(text):
        line = text[: bad.start()].count("\n") + 1
        hint = "Remove that character, or save the file again as plain text in UTF-8."
        raise Invalid(Problem(f"{name} line {line}", f"contains the control character U+{ord(bad[0]):04X}", hint))
    return text


def _windows_1252(data: bytes) -> str | None:
    """``data`` as Windows-1252 if it reads like a language of Western Europe; None if another encoding is likelier.

    In Cyrillic, Greek, Chinese and Japanese encodings most letters are above ASCII and follow one another. In central
    European ones some letters have the codes of symbols, which then stand within words.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    letters = [letter for letter in text if letter.isalpha()]
    accented = [letter for letter in letters if not letter.isascii()]
    is_foreign = _LIKE_UTF8.search(data) or _HIGH_RUN.search(data) or _SYMBOL_IN_WORD.search(text)
    if is_foreign or 3 * len(accented) > len(letters) or find_control_character(text):
        return None
    return text


def find_control_character(text: str) -> re.Match[str] | None:
    """The first character of ``text`` that a text file must not contain, such as NUL or a lone surrogate."""
    return _CONTROL_CHARACTER.search(text)
