"""Reads the strict subset of YAML that configurations and sidecars use.

One document with a mapping at the top; no anchors, aliases, tags or duplicate keys; scalars in the core schema of
YAML 1.2, so that ``yes`` and ``12:30`` stay text. Any bytes give a tree or ``Invalid``.
"""

from __future__ import annotations

import errno
import os
import stat
from types import MappingProxyType
from typing import TYPE_CHECKING

import yaml

from sorawatch.core.naming import one_line
from sorawatch.core.os_errors import translate
from sorawatch.core.yaml_tree import MAX_BYTES, Invalid, Node, decode, find_control_character, resolve
from sorawatch.errors import Deferred, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_DEPTH = 16
"""Levels of nesting: far more than any configuration needs."""


def read(path: Path) -> bytes:
    """The bytes of a small regular file. Symbolic links are not followed, and pipes do not block.

    Raises:
        Invalid: a link, not a regular file, or over 64 KiB.
        Deferred, Blocked: it cannot be read now; the message has the reason of the system.
    """
    name = one_line(path.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise Invalid(Problem(name, "is not a regular file", "Put a plain file in its place."))
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        match error.errno:
            case errno.ELOOP:
                hint = "Put the file itself in its place."
                raise Invalid(Problem(name, "is a symbolic link", hint)) from error
            case errno.ENXIO:  # a socket
                raise Invalid(Problem(name, "is not a regular file", "Put a plain file in its place.")) from error
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


def load(data: bytes, name: str) -> Node:
    """The mapping in ``data``. ``name`` is the name of the file for messages. An empty file is an empty mapping.

    Raises:
        Invalid: with the line of the mistake and an explanation.
    """
    root = _Parser(decode(data, name), name).document()
    if root.value is None:
        return Node(MappingProxyType({}), source=name)
    if not isinstance(root.value, MappingProxyType):
        what = "is not made of keys and values"
        raise Invalid(Problem(f"{name} line {root.line}", what, 'Write it as lines of the form "key: value".'))
    return root


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
        self._loader = yaml.SafeLoader(text)
        self._next_event: Callable[[], object] = self._loader.get_event

    def document(self) -> Node:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return Node(None, source=self._name)
        root = self._node(self._next(), None, 0)
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._invalid(_line(after), "starts a second document", 'Remove the line "---" and what follows.')
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
        return event

    def _node(self, event: yaml.Event, line: int | None, depth: int) -> Node:
        """The value that starts with ``event``. ``line`` is the line of its key, if it has one."""
        at = line or _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            hint = 'Write the value out; put text that starts with "&" or "*" in quotes.'
            raise self._invalid(_line(event), "uses an anchor (&) or alias (*), which is not supported", hint)
        if getattr(event, "tag", None):
            hint = 'Remove it; put text that starts with "!" in quotes.'
            raise self._invalid(_line(event), "uses a tag (!), which is not supported", hint)
        if isinstance(event, yaml.ScalarEvent):
            if bad := find_control_character(event.value):
                what = f"contains the control character U+{ord(bad[0]):04X}"
                raise self._invalid(_line(event), what, "Remove that escape.")
            return Node(event.value if event.style else resolve(event.value), event.value, self._name, at)
        if depth == MAX_DEPTH:
            raise self._invalid(_line(event), f"is nested more than {MAX_DEPTH} levels deep", "Remove the brackets.")
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(depth), "", self._name, at)
        return Node(self._sequence(depth), "", self._name, at)

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
            nodes[key.text] = self._node(self._next(), line, depth + 1)
        return MappingProxyType(nodes)

    def _invalid(self, line: int, what: str, hint: str) -> Invalid:
        return Invalid(Problem(f"{self._name} line {line}", what, hint))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


_QUOTE_HINT = "Put the whole text after the key in quotes, or correct the line."
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
    for phrase, what, hint in _NOTICED_AT_ONCE:
        if phrase in (error.problem or ""):
            return Problem(here, what, hint)
    return Problem(here, f"is not valid YAML ({error.problem})", _QUOTE_HINT)


def _place(name: str, mark: yaml.Mark | None) -> str:
    return f"{name} line {mark.line + 1}, column {mark.column + 1}" if mark else name
