"""Makes mutants of a module: its source with one comparison, operator, condition, number or return value changed."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
NEVER_MUTATED = {"annotation", "returns", "decorator_list", "type_params", "bases", "format_spec"}
"""Fields of the syntax tree that the program does not compute with."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """The ``source`` of a module with one change.

    ``name`` is the same for as long as the changed line is: ``Class.method: line before -> line after``.
    """

    name: str
    line: int
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, from top to bottom."""
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    for place in _places(tree, tree, ""):
        for replacement in _replacements(place.node):
            before = _head(place.line)
            place.put(replacement)
            after = _head(replacement if place.node is place.line else place.line)
            name = f"{place.scope}: {before} -> {after}"
            seen[name] += 1
            numbered = name if seen[name] == 1 else f"{name} #{seen[name]}"
            yield Mutant(numbered, _line_of(place.line), ast.unparse(tree))
            place.put(place.node)


@dataclass(frozen=True, slots=True)
class _Place:
    """A node of the tree, where it hangs, and the statement and the function that it is in."""

    parent: ast.AST
    field: str
    index: int | None
    node: ast.AST
    line: ast.stmt | ast.match_case
    scope: str

    def put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _places(parent: ast.AST, line: ast.AST, scope: str) -> Iterator[_Place]:
    for field, value in ast.iter_fields(parent):
        if field in NEVER_MUTATED:
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or _is_for_types(node):
                continue
            inner = node if isinstance(node, ast.stmt | ast.match_case) else line
            within = scope
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                within = f"{scope}.{node.name}".lstrip(".")
            if isinstance(inner, ast.stmt | ast.match_case):
                yield _Place(parent, field, index, node, inner, scope or "module")
            yield from _places(node, inner, within)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(left, ops, comparators):
            for place, operator in enumerate(ops):
                other = [*ops[:place], COMPARISONS[type(operator)](), *ops[place + 1 :]]
                yield ast.Compare(left, other, comparators)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS and not _is_text(left) and not _is_text(right):
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as number):
            yield ast.Constant(number + 1)
        case ast.If(test, body, orelse) if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr):
            yield _at(node, ast.If(_negated(test), body, orelse))
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Return(value) if value is not None and not (isinstance(value, ast.Constant) and value.value is None):
            yield _at(node, ast.Return(ast.Constant(None)))
        case ast.match_case(pattern, ast.expr() as guard, body):
            yield ast.match_case(pattern, _negated(guard), body)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _at(node: ast.stmt, replacement: ast.stmt) -> ast.stmt:
    return ast.copy_location(replacement, node)


def _line_of(line: ast.stmt | ast.match_case) -> int:
    return line.pattern.lineno if isinstance(line, ast.match_case) else line.lineno


def _head(line: ast.AST) -> str:
    """The first line of a statement: what follows it are statements of their own."""
    return ast.unparse(line).splitlines()[0]
