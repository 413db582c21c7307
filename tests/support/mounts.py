"""Fixtures: file systems with faults, and a user without rights."""

from __future__ import annotations

import codecs
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs of its own with the given options, such as ``size=1m``."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        where = tmp_path / f"mount{len(mounted)}"
        where.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"needs the right to mount a tmpfs: {error}")
        mounted.append(where)
        return where

    yield mount
    for where in mounted:
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture
def remount() -> Callable[[Path, str], None]:
    """Changes the options of a mount, such as to ``ro``."""

    def remount(where: Path, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(where)], check=True)

    return remount


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than ``tmp_path``."""
    here = os.stat(tmp_path).st_dev
    others = [each for each in (Path("/dev/shm"), Path("/var/tmp")) if each.is_dir() and os.stat(each).st_dev != here]
    if not others:
        pytest.skip("needs a second file system at /dev/shm or /var/tmp")
    where = others[0] / f"sorawatch-test-{os.getpid()}-{tmp_path.name}"
    where.mkdir()
    yield where
    subprocess.run(["rm", "-rf", str(where)], check=True)


@pytest.fixture
def unprivileged(other_disk: Path) -> Iterator[Path]:
    """A folder worked in without the right of root to pass over permissions."""
    if os.geteuid() != 0:
        yield other_disk
        return
    other_disk.chmod(0o777)
    # That user may not be able to read the interpreter's own files, and a codec not found once is never found again.
    codecs.lookup("utf-8-sig")
    os.seteuid(65534)
    try:
        yield other_disk
    finally:
        os.seteuid(0)
