"""Wherever it is killed, the daemon buys nothing twice, loses no file, and publishes no incomplete file.

The kills and the assertions are in ``tests/crash``. A failure names the moment of the kill and the command that repeats
it. These tests take samples; ``tests/bench/crash.py`` tries all moments. Each part runs in a separate process, because
it forks, which is not safe in a process with threads.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.paths import ROOT


def prove(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("part", "sample"),
    [
        ("single", 60), ("pairs", 12), ("outside", 4), ("unlisted", 12), ("network", 8), ("linkless", 8),
        ("apart", 12), ("another", 20), ("faults", 25), ("unproved", 16), ("lasting", 5), ("answered", 10), ("many", 2),
    ],
)  # fmt: skip
def test_the_promises_hold_after_kills_at_many_moments(part: str, sample: int) -> None:
    prove("--part", part, "--sample", str(sample))
