"""Checks the values of configurations and sidecars, with the same messages for both, and finds every problem at once.

A check takes a ``Node`` and returns its value or raises ``CheckError``. A ``Section`` applies checks to the keys of one
mapping, reports each problem with its place, and continues with the default so that it finds the next problem too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeAlias, TypeVar

from sorawatch.core.order import MICROS
from sorawatch.core.yaml_lines import folded_key, instead, quoted, trimmed
from sorawatch.core.yaml_tree import EMPTY, Node
from sorawatch.errors import Problem

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Check: TypeAlias = Callable[[Node], T]

MAX_DURATION = 31_536_000
"""A year in seconds: a longer duration is a typing error, and would overflow timers."""
MAX_NUMBER = 1_000_000_000
"""The largest count or amount: it fits a 32-bit column and, in micro-dollars, a 64-bit one."""

_DIGITS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_EXACT = Context(traps=[Inexact, InvalidOperation])


class CheckError(Exception):
    """A value that a check refuses: ``what`` is wrong with it, and a ``hint``. Neither names the place."""

    def __init__(self, what: str, hint: str, *, text: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.text = text
        """The text that was probably meant. The message ends with the line that gives it to the key."""


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The word of ``allowed`` that is most similar to ``word``, ignoring case; None if none is similar."""
    spellings = {each.casefold(): each for each in allowed}
    close = get_close_matches(word.casefold(), spellings, n=1)
    return spellings[close[0]] if close else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """``Did you mean "crop"? ``, with a space at the end; empty if no allowed word is similar."""
    near = nearest(word, allowed)
    return f'Did you mean "{near}"? ' if near else ""


def suggest(word: str, allowed: Collection[str], label: str = "Allowed") -> str:
    """``Did you mean "crop"? Allowed: crop, pad.``, without the question if no allowed word is similar."""
    return f"{did_you_mean(word, allowed)}{label}: {', '.join(allowed)}."


def describe(node: Node) -> str:
    """The value found, short enough for one line of a message."""
    match node.value:
        case None:
            return "nothing"
        case tuple():
            return "a list"
        case Mapping():
            return "a mapping"
        case str():
            return f'"{_shortened(node.text)}"'
        case _:
            return _shortened(node.text)


def _shortened(text: str) -> str:
    line = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in " ".join(text.split()))
    return line if len(line) <= 60 else f"{line[:57]}..."


def text(node: Node) -> str:
    """Any scalar as it was written, so that ``prompt: 2024`` and ``prompt: yes`` stay text."""
    if isinstance(node.value, (tuple, Mapping)):
        raise CheckError(f"is {describe(node)}, but text is needed", "Write plain text, in quotes if in doubt.")
    if node.value is None or not trimmed(node.text):
        raise CheckError("is empty", "Write some text after the colon, or remove the line.")
    return node.text


def boolean(node: Node) -> bool:
    """``true`` or ``false``, unquoted."""
    if not isinstance(node.value, bool):
        raise CheckError(f"is {describe(node)}", "Allowed: true, false.")
    return node.value


def integer(low: int, high: int = MAX_NUMBER) -> Check[int]:
    """Whole numbers from ``low`` to ``high``, unquoted."""

    def check(node: Node) -> int:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _number_error(node, f"Allowed: a whole number from {low} to {high}.")
        return value

    return check


def positive(high: int) -> Check[float]:
    """Numbers above 0 up to ``high``, fractions included."""
    return _number(lambda value: 0 < value <= high, f"Allowed: a number above 0, up to {high}.")


def not_negative(high: int) -> Check[float]:
    """Numbers from 0 to ``high``, fractions included."""
    return _number(lambda value: 0 <= value <= high, f"Allowed: a number from 0 to {high}.")


def _number(is_allowed: Callable[[float], bool], allowed: str) -> Check[float]:
    def check(node: Node) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_allowed(value):
            raise _number_error(node, allowed)
        return value

    return check


def micros(node: Node) -> int:
    """Dollars as integer micro-dollars, computed from the digits as written: 0.10 is 100000, never 99999."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_NUMBER:
        raise _number_error(node, "Allowed: an amount in dollars, such as 0.10.")
    try:
        amount = _EXACT.multiply(Decimal(node.text), MICROS)
        if amount == amount.to_integral_value():
            return int(amount)
    except ArithmeticError:
        pass
    raise CheckError(f"is {describe(node)}", "Allowed: an amount in dollars with at most six decimals.")


def _number_error(node: Node, allowed: str) -> CheckError:
    if isinstance(node.value, str) and _DIGITS.fullmatch(node.value):
        return CheckError(f"is {describe(node)}, which is text", f"Write it without quotes. {allowed}")
    return CheckError(f"is {describe(node)}", allowed)


def choice(kind: type[E]) -> Check[E]:
    """One of the values of an enumeration."""

    def check(node: Node) -> E:
        if node.text not in list(kind):
            raise CheckError(f"is {describe(node)}", suggest(node.text, list(kind)))
        return kind(node.text)

    return check


def nullable(check: Check[T]) -> Check[T | None]:
    """``null``, which becomes None, or a value that ``check`` accepts."""
    return lambda node: None if node.value is None else check(node)


@dataclass(slots=True)
class Findings:
    """The problems and known keys of all sections of one tree."""

    overrides: Mapping[str, Node] = field(default_factory=lambda: EMPTY)
    """Values from the environment, by dotted path. They take precedence over those of the tree."""
    known_keys: list[str] = field(default_factory=list)
    """The dotted paths of all keys that were read."""
    found: list[tuple[int, Problem]] = field(default_factory=list)

    def add(self, line: int, problem: Problem) -> None:
        self.found.append((line, problem))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, ordered by line."""
        return tuple(problem for _, problem in sorted(self.found, key=lambda each: each[0]))


class Section:
    """The keys of one mapping. The keys that are read are the known keys; ``close`` reports all others."""

    def __init__(self, node: Node, findings: Findings, path: str = "") -> None:
        self._node = node
        self.findings = findings
        self._path = path
        self._keys: list[str] = []
        self._nodes = EMPTY
        self._spellings: dict[str, str] = {}
        """The first spelling of each key, by the form in which keys are compared."""
        if isinstance(node.value, Mapping):
            self._nodes = node.value
            for key in self._nodes:
                self._spellings.setdefault(folded_key(key), key)
        elif node.value is not None:
            where = f"{node.place}, {path}" if path else node.place
            what = f"is {describe(node)}, but keys are needed"
            findings.add(node.line, Problem(where, what, 'Write them below it as lines of the form "key: value".'))

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    @property
    def source(self) -> str:
        return self._node.source

    @property
    def line(self) -> int:
        return self._node.line

    def node(self, key: str) -> Node | None:
        """The value at ``key``, in any case, before any check; None if it is absent."""
        return self.findings.overrides.get(self._dotted(key)) or self._nodes.get(self._spelling(key))

    def where(self, key: str) -> str:
        """The place of ``key`` for a message; the file and the key if it is absent."""
        node = self.node(key) or Node(None, source=self._node.source)
        return f"{node.place}, {_shortened(self._dotted(key))}"

    def get(self, key: str, check: Check[T], default: T) -> T:
        """The checked value of ``key``; ``default`` if it is absent, or is refused, which is reported."""
        self._keys.append(key)
        self.findings.known_keys.append(self._dotted(key))
        node = self.node(key)
        if node is None:
            return default
        try:
            return check(node)
        except CheckError as error:
            self.report(key, error.what, instead(error.hint, quoted(key, error.text)) if error.text else error.hint)
            return default

    def section(self, key: str) -> Section:
        """The mapping at ``key``; it has no keys if it is absent or empty."""
        self._keys.append(key)
        absent = Node(None, source=self._node.source)
        return Section(self._nodes.get(self._spelling(key), absent), self.findings, self._dotted(key))

    def report(self, key: str, what: str, hint: str) -> None:
        """Report a problem at ``key``."""
        node = self.node(key)
        self.findings.add(node.line if node else 0, Problem(self.where(key), what, hint))

    def close(self) -> tuple[str, ...]:
        """Report every unknown key. Returns the known keys that are most similar to them."""
        similar = []
        spellings = {folded_key(key): self._spelling(key) for key in self._keys}
        for key in self._nodes:
            read = spellings.get(folded_key(key))
            if read is not None and key != read:
                what = f'is the key "{read}" a second time (the other is in line {self._nodes[read].line})'
                self.report(key, what, "Keep one of the two.")
            elif read is None:
                self.report(key, "is not a known key", suggest(key, self._keys))
                similar.append(nearest(key, self._keys))
        return tuple(key for key in similar if key)

    def _spelling(self, key: str) -> str:
        """How the file writes ``key``. A key that is written exactly so comes first."""
        return key if key in self._nodes else self._spellings.get(folded_key(key), key)

    def _dotted(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key
