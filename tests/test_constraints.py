"""``constraints.txt`` names the version of every dependency, and the tests run with those versions."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

_EXTRAS = frozenset({"demo", "fast", "heif", "postgres", "systemd"})
_NEEDS_A_COMPILER = "systemd-python"


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def needed(name: str = "sorawatch", extras: frozenset[str] = _EXTRAS) -> set[str]:
    """The names of what a distribution with these extras requires, directly or not, on this Python and machine."""
    found: set[str] = set()
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        try:
            requirements = [Requirement(text) for text in metadata.distribution(name).requires or ()]
        except metadata.PackageNotFoundError:
            continue
        for each in requirements:
            applies = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in {"", *extras})
            required = canonicalize_name(each.name)
            if applies and required not in found:
                found.add(required)
                todo.append((each.name, frozenset(each.extras)))
    return found


def test_every_dependency_of_the_package_and_its_extras_is_there() -> None:
    assert needed() - {"sorawatch"} <= {*constraints()}


def test_the_tests_run_with_these_versions() -> None:
    installed: dict[str, str] = {canonicalize_name(each.name): each.version for each in metadata.distributions()}
    others = {name: (wanted, installed.get(name)) for name, wanted in constraints().items() if name in needed()}
    if _NEEDS_A_COMPILER not in installed:
        del others[_NEEDS_A_COMPILER]
    assert {name: versions for name, versions in others.items() if len({*versions}) != 1} == {}


def test_the_installation_as_a_service_uses_them() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in readme.splitlines() if "/opt/sorawatch/bin/pip install" in line]
    assert lines
    assert all("-c constraints.txt" in line for line in lines)
