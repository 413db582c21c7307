"""Prints how often the daemon was killed or met a fault, and what that cost, beside the API reference's own loop killed alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    parts = (
        "single",
        "pairs",
        "outside",
        "unlisted",
        "network",
        "linkless",
        "apart",
        "another",
        "faults",
        "unproved",
        "lasting",
        "answered",
        "many",
        "script",
    )
    command = [sys.executable, "-m", "tests.crash", *(word for part in parts for word in ("--part", part))]
    sys.exit(subprocess.run(command, cwd=Path(__file__).parents[2], check=False).returncode)
