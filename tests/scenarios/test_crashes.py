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


SAMPLES = {
    "single": (20, 120), "pairs": (4, 30), "outside": (2, 12), "unlisted": (4, 24), "network": (3, 16), "linkless": (3, 16),
    "apart": (4, 24), "another": (6, 40), "faults": (9, 50), "unproved": (6, 32), "lasting": (2, 10), "answered": (4, 20),
    "many": (1, 4),
}  # fmt: skip
"""How many trials of each part are tried with the slow tests, and how many at night. They are spread over all moments."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("part", "sample"), [(part, few) for part, (few, _) in SAMPLES.items()])
def test_the_promises_hold_after_kills_at_some_moments(part: str, sample: int) -> None:
    prove("--part", part, "--sample", str(sample))


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("part", "sample"), [(part, many) for part, (_, many) in SAMPLES.items()])
def test_the_promises_hold_after_kills_at_many_moments(part: str, sample: int) -> None:
    prove("--part", part, "--sample", str(sample))
