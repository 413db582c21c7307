"""The workflows of GitHub: they can be read, may do little, and test the Python versions that the package names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def workflow(path: Path) -> dict[str, Any]:
    """A workflow as GitHub reads it: by YAML 1.1, where the key ``on`` is True, too."""
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


def steps(read: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in read["jobs"].values() for step in job["steps"]]


def versions(read: dict[str, Any], job: str) -> list[str]:
    found: list[str] = read["jobs"][job]["strategy"]["matrix"]["python-version"]
    return found


def test_there_are_two() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
class TestEvery:
    def test_may_only_read(self, path: Path) -> None:
        read = workflow(path)
        assert read["permissions"] == {"contents": "read"}
        assert not any("permissions" in job for job in read["jobs"].values())

    def test_does_not_run_twice_at_once_for_the_same_branch(self, path: Path) -> None:
        assert "github.workflow" in workflow(path)["concurrency"]["group"]

    def test_ends(self, path: Path) -> None:
        assert all(0 < job["timeout-minutes"] < 360 for job in workflow(path)["jobs"].values())

    def test_names_a_major_version_of_every_action(self, path: Path) -> None:
        used = [step["uses"] for step in steps(workflow(path)) if "uses" in step]
        assert used
        assert [each for each in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", each)] == []

    def test_runs_only_files_that_exist(self, path: Path) -> None:
        for step in steps(workflow(path)):
            for name in re.findall(r"(?:^|\s)(\.ci/\w+)", step.get("run", "")):
                assert (ROOT / name).is_file(), name
            for module in re.findall(r"python -m (tests\.\w+)", step.get("run", "")):
                assert (ROOT / module.replace(".", "/") / "__main__.py").is_file(), module


def test_the_supported_versions_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    named = [each.removeprefix(prefix) for each in project["classifiers"] if each.startswith(f"{prefix}3.")]
    read = workflow(ROOT / ".github/workflows/ci.yml")
    assert versions(read, "tests") == named
    assert project["requires-python"] == f">={named[0]}"
    assert versions(read, "wheel") == [named[0], named[-1]]


def test_all_house_rules_are_checked() -> None:
    run = [
        step.get("run", "").split(" ")[0]
        for step in workflow(ROOT / ".github/workflows/ci.yml")["jobs"]["rules"]["steps"]
    ]
    assert {"ruff", "mypy", "lint-imports", "codespell", "validate-pyproject"} <= {*run}


def test_the_floor_of_the_coverage_is_that_of_the_whole_run() -> None:
    measured = re.compile(r"pytest -n auto --cov .+")
    (ours,) = measured.findall((ROOT / ".ci/run").read_text(encoding="utf-8"))
    (theirs,) = measured.findall((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert ours == theirs


def test_every_test_is_run_by_night() -> None:
    """Those without a marker and the slow ones by ``.ci/run``, the others by a step of their own."""
    assert '-m "slow and not nightly"' in (ROOT / ".ci/run").read_text(encoding="utf-8")
    run = [step.get("run", "") for step in steps(workflow(ROOT / ".github/workflows/nightly.yml"))]
    assert any(each.endswith(".ci/run") for each in run)
    assert any(each.endswith("-m nightly") for each in run)
