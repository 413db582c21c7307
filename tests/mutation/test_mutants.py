"""The mutants of a module: each changes one thing that the program computes with, and can be compiled."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import EQUIVALENT, ROOT, SUITES, equivalents, modules, sample, suite
from tests.mutation.mutants import mutants


def changes(source: str) -> list[str]:
    return [mutant.name.partition(": ")[2].partition(" -> ")[2] for mutant in mutants(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b <= 3", ["x = a <= b <= 3", "x = a < b < 3", "x = a < b <= 4"]),
        ("x = a and not b", ["x = a or not b", "x = a and b"]),
        ("x = a + 2 * b", ["x = a - 2 * b", "x = a + 2 / b", "x = a + 3 * b"]),
        ("x = f(y, flag=True)", ["x = f(y, flag=False)"]),
        ("x = a if b else c", ["x = c if b else a"]),
        ("if a.b:\n    f()", ["if not a.b:"]),
        ("def f():\n    return a", ["return None"]),
        ("match a:\n    case int() if b:\n        f()", ["case int() if not b:"]),
        ('x = "a" + b', []),
        ('"""Words."""', []),
        ("def f(a: int | None = None) -> int | None: ...", []),
        ("@dataclass(frozen=True)\nclass A: ...", []),
        ("if TYPE_CHECKING:\n    x = 1", []),
    ],
)
def test_one_thing_is_changed_at_a_time(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


def test_a_name_says_where_and_what_and_is_no_other_s() -> None:
    source = "class A:\n    def f(self):\n        g(1)\n        g(1)"
    assert [(mutant.name, mutant.line) for mutant in mutants(source)] == [
        ("A.f: g(1) -> g(2)", 3),
        ("A.f: g(1) -> g(2) #2", 4),
    ]


def test_every_mutant_of_a_module_can_be_compiled() -> None:
    made = list(mutants((ROOT / "sorawatch/core/naming.py").read_text(encoding="utf-8")))
    assert len(made) > 20
    for mutant in made:
        compile(mutant.source, mutant.name, "exec")


def test_every_module_has_tests_that_must_notice() -> None:
    for package in SUITES:
        for path in modules(package):
            assert suite(path), path


def test_a_sample_is_the_same_each_time_and_of_several_modules() -> None:
    paths = modules("sorawatch/core")
    chosen = sample(paths, 40)
    assert sum(map(len, chosen.values())) == 40
    assert sum(map(bool, chosen.values())) > 10
    assert chosen == sample(paths[::-1], 40)


def test_every_equivalent_mutant_is_one() -> None:
    for line in equivalents():
        file, _, name = line.partition(" ")
        source = (ROOT / file).read_text(encoding="utf-8")
        assert name in {mutant.name for mutant in mutants(source)}, (
            f"{EQUIVALENT.name}: there is no such mutant: {line}"
        )
