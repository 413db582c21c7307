"""The house rules: types, style and layers, and a wheel that holds all that is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.mark.timeout(600)  # mypy without a cache, on a machine that is busy
@pytest.mark.parametrize(
    "command",
    [
        ["mypy"],
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["lint-imports", "--no-cache"],
        ["codespell"],
        ["validate-pyproject", "pyproject.toml"],
    ],
    ids=" ".join,
)
def test_the_code_keeps_its_rules(command: list[str]) -> None:
    # By the trove classifiers that are installed, not by a list from the network.
    env = {**os.environ, "VALIDATE_PYPROJECT_NO_NETWORK": "1"}
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run([tool, *command[1:]], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_all_that_is_needed_at_run_time(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {"sorawatch/config.example.yaml", "sorawatch/py.typed", "sorawatch/cli/samples/beach.jpg"}
    assert needed | {"sorawatch/dialects/openai.yaml"} <= names
    assert not {name for name in names if name.startswith("tests")}
