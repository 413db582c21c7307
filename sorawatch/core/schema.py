"""Checks what a person wrote, for configuration and sidecars alike: one wording, every problem at once.

A check takes a ``Node`` and returns its value or raises ``CheckError``; a ``Section`` applies checks to the keys of
one mapping, notes each fault with its place, and carries on with the default so that the next fault is found too.
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
from sorawatch.core.yaml_tree import NOTHING, Node
from sorawatch.errors import Problem

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
Check: TypeAlias = Callable[[Node], T]

LONGEST = 31_536_000
"""A year in seconds: more is a slip of the finger, and would overflow timers."""
MOST = 1_000_000_000
"""The largest count or amount taken: it fits a 32-bit column, and in micro-dollars a 64-bit one."""

_DIGITS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
_EXACT = Context(traps=[Inexact, InvalidOperation])


class CheckError(Exception):
    """A value that a check refuses: ``what`` is wrong with it and a ``hint``, both without the place."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def nearest(word: str, allowed: Iterable[str]) -> str | None:
    """The spelling among ``allowed`` that ``word`` was probably meant to be; case does not count."""
    spellings = {each.casefold(): each for each in allowed}
    close = get_close_matches(word.casefold(), spellings, n=1)
    return spellings[close[0]] if close else None


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """``Did you mean "crop"? ``, with the space that parts it from what follows; empty where no spelling is near."""
    near = nearest(word, allowed)
    return f'Did you mean "{near}"? ' if near else ""


def suggest(word: str, allowed: Collection[str], label: str = "Allowed") -> str:
    """``Did you mean "crop"? Allowed: crop, pad.``, the question only where a spelling is near."""
    return f"{did_you_mean(word, allowed)}{label}: {', '.join(allowed)}."


def shown(node: Node) -> str:
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
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def text(node: Node) -> str:
    """Any scalar as it was written, so that ``prompt: 2024`` and ``prompt: yes`` are the text they look like."""
    if isinstance(node.value, (tuple, Mapping)):
        raise CheckError(f"is {shown(node)}, but text is needed", "Write plain text, in quotes if in doubt.")
    if node.value is None or not node.text.strip():
        raise CheckError("is empty", "Write some text after the colon, or remove the line.")
    return node.text


def flag(node: Node) -> bool:
    """``true`` or ``false``, unquoted."""
    if not isinstance(node.value, bool):
        raise CheckError(f"is {shown(node)}", "Allowed: true, false.")
    return node.value


def integer(low: int, high: int = MOST) -> Check[int]:
    """Whole numbers from ``low`` to ``high``, unquoted."""

    def check(node: Node) -> int:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _no_number(node, f"Allowed: a whole number from {low} to {high}.")
        return value

    return check


def positive(high: int) -> Check[float]:
    """Numbers above 0 up to ``high``, fractions included."""

    def check(node: Node) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= high:
            raise _no_number(node, f"Allowed: a number above 0, up to {high}.")
        return value

    return check


def micros(node: Node) -> int:
    """Dollars to integer micro-dollars, by way of the digits as written: 0.10 is 100000, never 99999."""
    value = node.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MOST:
        raise _no_number(node, "Allowed: an amount in dollars, such as 0.10.")
    try:
        amount = _EXACT.multiply(Decimal(node.text), MICROS)
        if amount == amount.to_integral_value():
            return int(amount)
    except ArithmeticError:
        pass
    raise CheckError(f"is {shown(node)}", "Allowed: an amount in dollars with at most six decimals.")


def _no_number(node: Node, allowed: str) -> CheckError:
    if isinstance(node.value, str) and _DIGITS.fullmatch(node.value):
        return CheckError(f"is {shown(node)}, which is text", f"Write it without quotes. {allowed}")
    return CheckError(f"is {shown(node)}", allowed)


def choice(kind: type[E]) -> Check[E]:
    """The words of an enumeration, as they are spelt there."""

    def check(node: Node) -> E:
        if node.text not in list(kind):
            raise CheckError(f"is {shown(node)}", suggest(node.text, list(kind)))
        return kind(node.text)

    return check


def nullable(check: Check[T]) -> Check[T | None]:
    """``null``, which is None, and whatever ``check`` lets pass."""
    return lambda node: None if node.value is None else check(node)


@dataclass(slots=True)
class Findings:
    """What the sections of one tree found between them."""

    overrides: Mapping[str, Node] = field(default_factory=lambda: NOTHING)
    """Values that stand above the tree's own, by dotted path: the environment's."""
    asked: list[str] = field(default_factory=list)
    """The dotted path of every key that exists, in the order of asking."""
    noted: list[tuple[int, Problem]] = field(default_factory=list)

    def note(self, line: int, problem: Problem) -> None:
        self.noted.append((line, problem))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of the lines they stand on."""
        return tuple(problem for _, problem in sorted(self.noted, key=lambda each: each[0]))


class Section:
    """The keys of one mapping. A key exists once it was asked for; ``close`` reports all others."""

    def __init__(self, node: Node, findings: Findings, path: str = "") -> None:
        self._node = node
        self.findings = findings
        self._path = path
        self._keys: list[str] = []
        self._nodes = NOTHING
        if isinstance(node.value, Mapping):
            self._nodes = node.value
        elif node.value is not None:
            where = f"{node.place}, {path}" if path else node.place
            what = f"is {shown(node)}, but keys are needed"
            findings.note(node.line, Problem(where, what, 'Write them below it as lines of the form "key: value".'))

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    @property
    def source(self) -> str:
        return self._node.source

    @property
    def line(self) -> int:
        return self._node.line

    def node(self, key: str) -> Node | None:
        """The value at ``key`` before any check, or None where it is absent."""
        return self.findings.overrides.get(self._dotted(key)) or self._nodes.get(key)

    def where(self, key: str) -> str:
        """The place of ``key`` for a message; of a key left out, the file and the key."""
        node = self.node(key) or Node(None, source=self._node.source)
        return f"{node.place}, {_shortened(self._dotted(key))}"

    def get(self, key: str, check: Check[T], default: T) -> T:
        """The checked value of ``key``; ``default`` where it is absent or, with the fault noted, refused."""
        self._keys.append(key)
        self.findings.asked.append(self._dotted(key))
        node = self.node(key)
        if node is None:
            return default
        try:
            return check(node)
        except CheckError as fault:
            self.note(key, fault.what, fault.hint)
            return default

    def section(self, key: str) -> Section:
        """The mapping at ``key``; an absent one, or one with all its lines commented out, has no keys."""
        self._keys.append(key)
        absent = Node(None, source=self._node.source)
        return Section(self._nodes.get(key, absent), self.findings, self._dotted(key))

    def note(self, key: str, what: str, hint: str) -> None:
        """Report a problem at ``key``."""
        node = self.node(key)
        self.findings.note(node.line if node else 0, Problem(self.where(key), what, hint))

    def close(self) -> tuple[str, ...]:
        """Report every key that nobody asked for; the keys these were probably meant to be."""
        meant = []
        for key in self._nodes:
            if key not in self._keys:
                self.note(key, "is not a known key", suggest(key, self._keys))
                meant.append(nearest(key, self._keys))
        return tuple(key for key in meant if key)

    def _dotted(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key
