"""Killed at any moment, the daemon buys nothing twice, loses no file and shows none that is not whole.

The moments, the kills and what is asserted after them are in ``tests/crash``; a failure names the moment and the
command that repeats it. Each part runs in a process of its own, for it forks, which a process of threads must not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def prove(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_killed_at_some_moments_it_keeps_its_promises() -> None:
    prove("--part", "single", "--part", "unlisted", "--sample", "10")


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", ["single", "pairs", "outside", "unlisted"])
def test_killed_at_any_moment_it_keeps_its_promises(part: str) -> None:
    prove("--part", part)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", ["network", "linkless", "apart"])
def test_killed_on_other_disks_it_keeps_its_promises(part: str) -> None:
    prove("--part", part, "--sample", "15")
