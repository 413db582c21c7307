"""NFS and CIFS, with a file server's own disk beside the mounts of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.user_mode_linux import run_in_guest

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]


def test_folders_on_nfs_and_cifs(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "--basetemp=/mnt/tests",
    ]
    done = run_in_guest([*command, "tests/guest"], tmp_path, timeout=1700)
    assert done.returncode == 0, done.stdout
    print(done.stdout)
