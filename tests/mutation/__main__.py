"""Mutation tests: how many small changes of a module the tests notice.

Run ``python -m tests.mutation [--fresh] [--sample N] [MODULE…]``.

A module is named by its file; without any, all of ``core`` and ``daemon/submission`` are tried. ``--sample`` tries N mutants of
each package: the same ones each time, for they are chosen by a hash of their names. What was tried is kept in
``.mutation``, and not tried again while the module and its tests stay the same. Prints the mutants that survived, and ends
with 1 where fewer than 95 % of a package were killed. A survivor in ``equivalent.txt`` counts as killed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from itertools import chain
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.trial import trial

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / ".mutation"
EQUIVALENT = Path(__file__).with_name("equivalent.txt")
GOAL = 0.95

SUITES = {
    "sorawatch/core": ["tests/core/test_*.py"],
    "sorawatch/daemon/submission": ["tests/daemon/submission/test_*.py"],
}
"""Packages, and the tests that must notice a change in them: their own, which need neither a daemon nor a ``conftest.py``."""


def suite(path: Path) -> list[Path]:
    """The tests of a module: those that import it.

    Where none is named after it, also those that import what imports it; where there are none, all of its package.
    """
    (patterns,) = [patterns for package, patterns in SUITES.items() if path.is_relative_to(ROOT / package)]
    found = [*chain.from_iterable(map(ROOT.glob, patterns))]
    # Those named after it come first, for they are the likeliest to fail.
    found.sort(key=lambda test: (path.stem not in test.stem, test))
    direct = importing(path.stem, found)
    if f"test_{path.stem}" in {test.stem for test in direct}:
        return direct
    users = [each.stem for each in importing(path.stem, sorted(path.parent.glob("*.py")))]
    return [test for test in found if importing("|".join([path.stem, *users]), [test])] or found


def importing(names: str, files: list[Path]) -> list[Path]:
    """Those of these files that import a module of one of these names; the names are separated by ``|``."""
    statement = re.compile(rf"^from sorawatch\b.*\b(?:{names})\b", re.MULTILINE)
    return [file for file in files if statement.search(file.read_text(encoding="utf-8"))]


def equivalents() -> set[str]:
    """The mutants that change nothing that a caller could see: ``FILE NAME``; their reasons stand above them."""
    lines = EQUIVALENT.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


class Tried:
    """What is known of the mutants of one module, kept in a file; forgotten when the module or a test changes."""

    def __init__(self, path: Path, tests: list[Path]) -> None:
        content = b"".join(each.read_bytes() for each in (path, *tests))
        self._file = RESULTS / f"{path.relative_to(ROOT).with_suffix('').as_posix().replace('/', '.')}.json"
        self._digest = hashlib.sha256(content).hexdigest()
        kept = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        self.killed: dict[str, bool] = kept.get("killed", {}) if kept.get("digest") == self._digest else {}

    def add(self, mutant: Mutant, *, killed: bool) -> None:
        """Keep a result at once, so that an interrupted run can go on."""
        self.killed[mutant.name] = killed
        RESULTS.mkdir(exist_ok=True)
        self._file.write_text(json.dumps({"digest": self._digest, "killed": self.killed}), encoding="utf-8")


def modules(package: str) -> list[Path]:
    """The files of a package, sorted."""
    return sorted((ROOT / package).glob("*.py"))


def sample(paths: list[Path], size: int) -> dict[Path, set[str]]:
    """The names of ``size`` mutants of these modules: always the same ones, as long as they are there."""
    names = [(path, each.name) for path in paths for each in mutants(path.read_text(encoding="utf-8"))]
    names.sort(key=lambda each: hashlib.sha256(f"{each[0].stem} {each[1]}".encode()).digest())
    return {path: {name for where, name in names[:size] if where == path} for path in paths}


def try_module(path: Path, chosen: set[str] | None) -> tuple[int, int]:
    """Try the chosen mutants of a module, else all, and print the survivors. Returns how many were killed, and of how many."""
    name, tests, source = path.relative_to(ROOT).as_posix(), suite(path), path.read_text(encoding="utf-8")
    module = name.removesuffix(".py").replace("/", ".")
    made = [mutant for mutant in mutants(source) if chosen is None or mutant.name in chosen]
    if not made:
        return 0, 0
    tried, known = Tried(path, tests), equivalents()
    if any(mutant.name not in tried.killed and f"{name} {mutant.name}" not in known for mutant in made):
        unchanged = trial(module, source, tests, timeout=3600)
        assert not unchanged.killed, f"the tests of {name} fail without any change"
        timeout = 5 + 3 * unchanged.seconds
        for mutant in made:
            if mutant.name not in tried.killed and f"{name} {mutant.name}" not in known:
                tried.add(mutant, killed=trial(module, mutant.source, tests, timeout).killed)
    survivors = [each for each in made if f"{name} {each.name}" not in known and not tried.killed[each.name]]
    print(f"{name}: {len(made) - len(survivors)} of {len(made)} killed", flush=True)
    for mutant in survivors:
        print(f"  line {mutant.line}, {mutant.name}", flush=True)
    return len(made) - len(survivors), len(made)


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Try what the tests notice.")
    parser.add_argument("--fresh", action="store_true", help="forget what was tried before")
    parser.add_argument("--sample", type=int, metavar="N", help="try N mutants of each package")
    parser.add_argument("modules", nargs="*", type=Path, metavar="MODULE", help="files; else all of both packages")
    options = parser.parse_args()
    if options.fresh:
        for file in RESULTS.glob("*.json"):
            file.unlink()
    killed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for package in SUITES:
        paths = [
            path for path in modules(package) if not options.modules or path in map(Path.absolute, options.modules)
        ]
        chosen = {} if options.sample is None else sample(paths, options.sample)
        for path in paths:
            counts = try_module(path, chosen.get(path))
            killed[package] += counts[0]
            total[package] += counts[1]
    for package, count in total.items():
        if count:
            print(f"{package}: {killed[package] / count:.1%} of {count} killed, goal {GOAL:.0%}")
    return 1 if any(killed[package] < GOAL * count for package, count in total.items()) else 0


if __name__ == "__main__":
    sys.exit(main())
