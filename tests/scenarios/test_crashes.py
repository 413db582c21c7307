"""Killed at any moment, the daemon buys nothing twice, loses no file and shows none that is not whole.

The moments, the kills and what is asserted after them are in ``tests/crash``; a failure names the moment and the
command that repeats it. Here are samples; ``tests/bench/crash.py`` goes through them all. Each part runs in a process of its own, for it forks, which a process of threads must not.
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
def test_killed_at_many_moments_it_keeps_its_promises(part: str, sample: int) -> None:
    prove("--part", part, "--sample", str(sample))
