"""Disks and daemons for tests of what machines do to files."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.disks import Disks
from tests.support.workspace import Workspace


@pytest.fixture
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disks]:
    """Disks to mount; they are unmounted when the test and its daemons have ended."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    made = Disks(tmp_path_factory.mktemp("disks"))
    yield made
    made.close()


@pytest.fixture
def disk_workspace(disks: Disks, workspace: Workspace) -> Workspace:
    """A workspace whose daemons end before its disks are unmounted."""
    return workspace


@pytest.fixture
def stalled_disk_workspace(disks: Disks, stalled_workspace: Workspace) -> Workspace:
    """Likewise, with a simulator that finishes no video until it is told to."""
    return stalled_workspace
