"""The lines of a YAML file as people write them: odd white space, text lost in comments, text that needs quotes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ODD_SPACES = "\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Spaces that look like a space and mean none in YAML: no-break spaces from web pages, the wide space of Japanese."""
_INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff"
_OTHER_BREAKS = "\x85\u2028\u2029"
"""Ordinary characters in YAML 1.2, but line breaks in YAML 1.1, which the parser implements."""

_INDENTATION = re.compile(rf"^[ \t{_ODD_SPACES}{_INVISIBLE}]+", re.MULTILINE)
_AFTER_KEY = re.compile(
    rf"""^([ ]*(?:-[ ]+)?(?:[A-Za-z_]+|"[A-Za-z_]+"|'[A-Za-z_]+')[ {_ODD_SPACES}{_INVISIBLE}]*:)"""
    rf"(?=[ \t]*[{_ODD_SPACES}{_INVISIBLE}])[ \t{_ODD_SPACES}{_INVISIBLE}]+",
    re.MULTILINE,
)
_SPACED = re.compile(f"[{_ODD_SPACES}]")
_UNSEEN = re.compile(f"[{_INVISIBLE}]")
_BREAKS = re.compile(f"[{_OTHER_BREAKS}]")

_KEY_LINE = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_][A-Za-z_0-9.-]*) *:[ \t]+(?P<text>\S.*)")
_NO_SPACE = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z_]+) *(?::(?!//)|\uff1a\s*)(?P<text>\S.*)")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*(\s+#.*)?")
_REST_OF_LINE = re.compile(r"[ \t]*(#[^\r\n]*)?(?:\r\n?|\n|\Z)")
_EMPTY_OR_HASHTAG = re.compile(r"([ \t]*)(#[^\s#][^\r\n]*)?(?:\r\n?|\n|\Z)")
_QUOTES = {'"': '"', "'": "'", "\N{LEFT DOUBLE QUOTATION MARK}": "\N{RIGHT DOUBLE QUOTATION MARK}"}


def regular(text: str) -> str:
    """``text`` with spaces where white space that YAML does not know is indentation, or follows a key and its colon.

    Invisible characters are removed there. Elsewhere everything stays, except for line breaks of YAML 1.1.
    """
    text = _BREAKS.sub(" ", text)
    text = _INDENTATION.sub(lambda found: _UNSEEN.sub("", _SPACED.sub(" ", found[0])), text)
    return _AFTER_KEY.sub(r"\1 ", text)


def trimmed(text: str) -> str:
    """``text`` without white space and invisible characters around it."""
    before = None
    while text != before:
        before, text = text, text.strip().strip(_INVISIBLE)
    return text


def folded_key(key: str) -> str:
    """The form in which keys are compared: phones write ``Prompt``, web pages add invisible characters."""
    return _UNSEEN.sub("", key).strip().casefold()


def quoted(key: str, text: str) -> str:
    """The line that gives ``text`` to ``key``, whatever characters it contains."""
    return f"{key}: '{' '.join(text.split()).replace(chr(39), chr(39) * 2)}'"


def instead(hint: str, line: str) -> str:
    """``hint`` with the ``line`` to write on a line of its own, indented."""
    return f"{hint.rstrip('.')}:\n    {line}"


def without_lines(message: str) -> str:
    """``message`` without the lines of ``instead``: logs must not contain prompts."""
    return re.sub(r"\n {4}.*", "", message)


def with_comments(text: str, start: int, end: int, key_end: int, column: int) -> str:
    """An unquoted value together with the comments that a person may have meant as a part of it; empty without any.

    These are a comment on a line of the key or the value, and a line below it that begins with a hashtag and is
    indented as a continuation of the value would be.

    Args:
        text: the whole file.
        start: index of the first character of the value.
        end: index after the last one.
        key_end: index after the key.
        column: of the key.
    """
    colon = text.find(":", key_end, start) + 1
    before = _comments(text, colon, start, column) if colon else []
    after = _comments(text, end, len(text), column)
    return " ".join([*before, *text[start:end].split(), *after]) if before or after else ""


def _comments(text: str, start: int, end: int, column: int) -> list[str]:
    """What would be read as a comment from ``start``, which is within a line, to ``end``."""
    rest = _REST_OF_LINE.match(text, start, end)
    found = [rest[1]] if rest and rest[1] else []
    while rest and rest.end() < end:
        rest = _EMPTY_OR_HASHTAG.match(text, rest.end(), end)
        if rest and rest[2]:
            if len(rest[1]) <= column:
                break
            found.append(rest[2])
    return [each.strip() for each in found]


def rewritten(text: str, line: int) -> Iterator[tuple[str, str]]:
    """Lines that could replace a faulty one, each with ``text`` changed accordingly.

    They give the whole text to its key: in quotes, or with the space that is missing after the colon.

    Args:
        text: the whole file.
        line: of the mistake, counted from 1.
    """
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return
    for index in (line - 1, _owner(lines, line - 1)):
        match = None if index is None else _KEY_LINE.fullmatch(lines[index])
        if index is None or match is None or _BLOCK_HEADER.fullmatch(match["text"].rstrip()):
            continue
        end = _end(lines, index)
        value = " ".join([match["text"], *lines[index + 1 : end]])
        better = quoted(match["key"], unwrapped(" ".join(value.split())))
        yield better, "\n".join([*lines[:index], match["indent"] + better, *lines[end:]])
    # A line without the space is text, and the parser notices it only at the next line.
    for index in range(line - 1, max(line - 3, -1), -1):
        match = _NO_SPACE.fullmatch(lines[index])
        if match is None:
            continue
        plain = f"{match['key']}: {match['text'].rstrip()}"
        in_quotes = quoted(match["key"], unwrapped(match["text"]))
        for better in (in_quotes,) if "#" in plain else (plain, in_quotes):
            yield better, "\n".join([*lines[:index], match["indent"] + better, *lines[index + 1 :]])


def unwrapped(text: str) -> str:
    """``text`` without the quotes around the whole of it: ``"She says "hi""`` gives ``She says "hi"``.

    ``"waves" and "sand"`` stays, since its first and last quotes do not belong together.
    """
    text = text.strip()
    closing = _QUOTES.get(text[:1])
    if closing is None or len(text) < 3 or text[-1] != closing:
        return text
    inner = text[1:-1]
    for index, character in enumerate(inner):
        before, after = inner[index - 1 : index], inner[index + 1 : index + 2]
        if character in {text[0], closing} and not (before.isalnum() and after.isalnum()):
            return inner if character == text[0] and not before.strip() else text
    return inner


def _owner(lines: Sequence[str], index: int) -> int | None:
    """The line that the line at ``index`` continues."""
    return next(
        (at for at in range(index - 1, -1, -1) if lines[at].strip() and _continues(lines[index], lines[at])), None
    )


def _end(lines: Sequence[str], index: int) -> int:
    """The index after the last line that continues the line at ``index``."""
    end = index + 1
    while end < len(lines) and (not lines[end].strip() or _continues(lines[end], lines[index])):
        end += 1
    return end


def _continues(line: str, above: str) -> bool:
    return _indent(line) > _indent(above)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
