"""Reads the strict subset of YAML that configurations and sidecars use.

One document with a mapping at the top; no anchors, aliases, tags or duplicate keys; scalars in the core schema of
YAML 1.2, so that ``yes`` and ``12:30`` stay text. Any bytes give a tree or ``Invalid``. White space and escapes that
have only one meaning are accepted, also where YAML 1.1 has others.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import yaml

from sorawatch.core.naming import one_line
from sorawatch.core.os_errors import translate
from sorawatch.core.yaml_lines import instead, regular, rewritten, trimmed, with_comments
from sorawatch.core.yaml_tree import MAX_BYTES, Invalid, Node, decode, find_control_character, resolve
from sorawatch.edges.directories import NotAFile, opened_file
from sorawatch.errors import Deferred, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_DEPTH = 16
"""Levels of nesting: far more than any configuration needs."""


def read(path: Path) -> bytes:
    """The bytes of a small regular file, as `read_below`. A link in the path of its folder is followed."""
    return read_below(path.parent, path.name)


def read_below(root: Path, path: str) -> bytes:
    """The bytes of a small regular file below ``root``. Symbolic links are not followed, and pipes do not block.

    Raises:
        Invalid: not a regular file, or over 64 KiB.
        Deferred, Blocked: it cannot be read now; the message has the reason of the system.
    """
    name = one_line(path.rpartition("/")[2])
    try:
        with opened_file(root, path) as file:
            before = os.fstat(file.fileno())
            data = file.read(MAX_BYTES + 1)
            after = os.fstat(file.fileno())
    except NotAFile as error:
        hint = "Put the file itself in its place."
        raise Invalid(Problem(name, f"is {error.kind}, not a file", hint)) from error
    except OSError as error:
        match error.errno:
            case errno.EACCES | errno.EPERM:
                raise Deferred(f"{name} may not be read by the user who runs sorawatch") from error
            case _:
                raise translate(error, name) from error
    if len(data) < min(after.st_size, MAX_BYTES) or _stamp(before) != _stamp(after):
        raise Deferred(f"{name} changed while it was read")
    if len(data) > MAX_BYTES:
        raise Invalid(Problem(name, f"is larger than {MAX_BYTES // 1024} KiB", "Shorten it."))
    return data


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def load(data: bytes, name: str, *, confidential: bool = False) -> Node:
    """The mapping in ``data``. ``name`` is the name of the file for messages. An empty file is an empty mapping.

    Where quotes would help, the error contains the line to write, unless the file is ``confidential``.

    Raises:
        Invalid: with the line of the mistake and an explanation.
    """
    text = regular(decode(data, name))
    try:
        return _mapping(text, name)
    except Invalid as invalid:
        if confidential:
            raise
        raise Invalid(*(_with_line_to_write(problem, text, name) for problem in invalid.problems)) from invalid


def _mapping(text: str, name: str) -> Node:
    root = _Parser(text, name).document()
    if root.value is None:
        return Node(MappingProxyType({}), source=name)
    if not isinstance(root.value, MappingProxyType):
        what = "is not made of keys and values"
        raise Invalid(Problem(f"{name} line {root.line}", what, 'Write it as lines of the form "key: value".'))
    return root


def _with_line_to_write(problem: Problem, text: str, name: str) -> Problem:
    """The problem with the line to write instead, if there is one without a mistake; else as it is."""
    found = _LINE.match(problem.where, len(name))
    line = int(found[1]) if found and not problem.what.startswith(_NO_LINE_HELPS) else 0
    for better, changed in rewritten(text, line):
        try:
            _mapping(changed, name)
        except Invalid as invalid:
            # Another mistake further down may remain.
            after = _LINE.match(invalid.problems[0].where, len(name))
            if after is None or int(after[1]) <= line:
                continue
        return replace(problem, hint=instead(problem.hint, better))
    return problem


def load_value(text: str, name: str) -> Node:
    """Any single value in YAML, such as ``[*.tmp, *.part]`` in an environment variable.

    Raises:
        Invalid: as for ``load``.
    """
    return _Parser(text, name).document()


class _Parser:
    """Builds the tree from the events of the parser, one by one, so that deeply nested input is refused early."""

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        if bad := find_control_character(text):
            raise self._invalid(1, f"contains the control character U+{ord(bad[0]):04X}", "Remove that character.")
        self._text = text
        self._loader = _Loader(text)
        self._next_event: Callable[[], object] = self._loader.get_event

    def document(self) -> Node:
        """The only document. Empty ones may follow, since some people close a file with ``---``."""
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Node(None, source=self._name)
        root = self._node(self._next(), None, 0)
        self._next()  # the document's end
        while not isinstance(after := self._next(), yaml.StreamEndEvent):
            content = self._next()
            if not isinstance(content, yaml.ScalarEvent) or content.style or content.value:
                raise self._invalid(_line(after), "starts a second document", 'Remove the line "---" and what follows.')
            self._next()  # the document's end
        return root

    def _next(self) -> yaml.Event:
        try:
            event = self._next_event()
        except yaml.MarkedYAMLError as error:
            raise Invalid(_explain(error, self._name)) from error
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # PyYAML does not catch errors of chr() and int() for escapes such as "\UFFFFFFFF".
            line = self._loader.get_mark().line + 1
            raise self._invalid(line, "is not valid YAML", "Put the text of that line in single quotes.") from error
        assert isinstance(event, yaml.Event)
        self._end = event.end_mark.index if event.end_mark else 0
        return event

    def _node(self, event: yaml.Event, key: yaml.Event | None, depth: int) -> Node:
        """The value that starts with ``event``, at the line of its ``key``, if it has one."""
        at = _line(key or event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            hint = 'Write the value out; put text that starts with "&" or "*" in quotes.'
            raise self._invalid(_line(event), "uses an anchor (&) or alias (*), which is not supported", hint)
        if getattr(event, "tag", None):
            hint = 'Remove it; put text that starts with "!" in quotes.'
            raise self._invalid(_line(event), "uses a tag (!), which is not supported", hint)
        if isinstance(event, yaml.ScalarEvent):
            value = _joined(event.value) if event.style == '"' else event.value
            if bad := find_control_character(value):
                what = f"contains the control character U+{ord(bad[0]):04X}"
                raise self._invalid(_line(event), what, "Remove that escape.")
            if event.style:
                return Node(value, value, self._name, at)
            value = trimmed(value)
            return Node(resolve(value), value, self._name, at, self._with_comments(event, key))
        if depth == MAX_DEPTH:
            raise self._invalid(_line(event), f"is nested more than {MAX_DEPTH} levels deep", "Remove the brackets.")
        content = self._mapping(depth) if isinstance(event, yaml.MappingStartEvent) else self._sequence(depth)
        in_brackets = getattr(event, "flow_style", False)
        written = self._text[event.start_mark.index : self._end] if in_brackets and event.start_mark else ""
        return Node(content, "", self._name, at, written=written)

    def _with_comments(self, event: yaml.ScalarEvent, key: yaml.Event | None) -> str:
        if not (key and key.start_mark and key.end_mark and event.start_mark and event.end_mark):
            return ""
        start, end = event.start_mark.index, event.end_mark.index
        return with_comments(self._text, start, end, key.end_mark.index, key.start_mark.column)

    def _sequence(self, depth: int) -> tuple[Node, ...]:
        items = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, None, depth + 1))
        return tuple(items)

    def _mapping(self, depth: int) -> MappingProxyType[str, Node]:
        nodes: dict[str, Node] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = _line(event)
            key = self._node(event, None, depth + 1)
            if not isinstance(event, yaml.ScalarEvent):
                hint = "Write a plain word before the colon."
                raise self._invalid(line, "has a list or mapping where a key is needed", hint)
            if key.text in nodes:
                what = f'has the key "{key.text}" a second time (first in line {nodes[key.text].line})'
                raise self._invalid(line, what, "Keep one of the two.")
            nodes[key.text] = self._node(self._next(), event, depth + 1)
        return MappingProxyType(nodes)

    def _invalid(self, line: int, what: str, hint: str) -> Invalid:
        return Invalid(Problem(f"{self._name} line {line}", what, hint))


class _Loader(yaml.SafeLoader):
    """Accepts tabs where YAML 1.2 does: between key and value, in text, in brackets, at the end of lines."""

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or self._after_text() or self._line_is_blank()):
            while self.peek() in "\t ":
                self.forward()
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: int, start_mark: yaml.Mark) -> list[str] | None:
        length = 0
        while self.peek(length) in "\t ":
            length += 1
        white_space = self.prefix(length)
        if "\t" not in white_space:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(length)
        if self.peek() in "\0\r\n":
            return super().scan_plain_spaces(indent, start_mark)
        return [white_space]

    def _after_text(self) -> bool:
        """Whether the line has text before this place, and not only indentation or dashes."""
        start = max(self.buffer.rfind(line_break, 0, self.pointer) for line_break in "\r\n") + 1
        return bool(self.buffer[start : self.pointer].strip("\t -?"))

    def _line_is_blank(self) -> bool:
        length = 0
        while self.peek(length) in "\t ":
            length += 1
        return self.peek(length) in "\0\r\n#"


def _joined(text: str) -> str:
    """``text`` with pairs of surrogates, by which JSON escapes emoji, joined into the characters that they encode."""
    return _SURROGATES.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LINE = re.compile(r" line ([0-9]+)")
_NO_LINE_HELPS = (
    "a quote is opened",
    "has a tab",
    "has the key",
    "starts a second document",
    "contains the control character",
    "is nested",
)
"""Problems of more than one line, and those that quotes do not solve."""


_QUOTE_HINT = "Correct the line, or put the whole text after the key in quotes."
_NOTICED_LATE = (
    ("could not find expected ':'", "is not a key with a value", 'Write it as "key: value"; indent continued text.'),
    ("found unexpected end of stream", "a quote is opened and never closed", "Close the quote."),
    ("expected ',' or", "a bracket is opened and never closed", "Close it, or put the text in quotes."),
)
"""Mistakes that the parser notices late: the place for the message is where it began to read the value."""
_NOTICED_AT_ONCE = (
    ("found character '\\t'", "has a tab where YAML allows only spaces", "Use spaces to indent."),
    ("mapping values are not allowed", 'has a second ": " in one line, or a wrong indentation', _QUOTE_HINT),
    ("cannot start any token", "a value starts with a character that YAML keeps for itself", _QUOTE_HINT),
    ("expected alphabetic or numeric", "text starts with & or *, which YAML keeps for itself", _QUOTE_HINT),
    ("expected <block end>", "is indented differently from the lines above it, or text follows a quote", _QUOTE_HINT),
    ("unknown escape character", "has an unknown escape after a backslash", "Use single quotes instead of double."),
)


def _explain(error: yaml.MarkedYAMLError, name: str) -> Problem:
    """The problem and its hint. Common mistakes are explained without the vocabulary of the parser."""
    here = _place(name, error.problem_mark or error.context_mark)
    for phrase, what, hint in _NOTICED_LATE:
        if phrase in (error.problem or ""):
            return Problem(_place(name, error.context_mark) if error.context_mark else here, what, hint)
    if "found character '`'" in (error.problem or "") and error.problem_mark and error.problem_mark.column == 0:
        return Problem(here, "is Markdown and not YAML", "Remove the lines that consist of ```.")
    for phrase, what, hint in _NOTICED_AT_ONCE:
        if phrase in (error.problem or ""):
            return Problem(here, what, hint)
    return Problem(here, f"is not valid YAML ({error.problem})", _QUOTE_HINT)


def _place(name: str, mark: yaml.Mark | None) -> str:
    return f"{name} line {mark.line + 1}, column {mark.column + 1}" if mark else name
