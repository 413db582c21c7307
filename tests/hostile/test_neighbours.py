"""Other users of the machine can read nothing of the state, and stop nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.workspace import Workspace


def open_to_others(root: Path) -> list[str]:
    """What below a folder others than its owner may use."""
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.lstat().st_mode & 0o077]


@pytest.fixture
def private_workspace(workspace: Workspace) -> Workspace:
    """A workspace with its state and its log in folders of their own, and a umask that gives everybody everything."""
    workspace.set("state", value="var/state.db")
    workspace.set("logging", file="log/sorawatch.log")
    (workspace.root / "log").mkdir()
    return workspace


def test_the_state_its_work_folder_the_ledger_and_the_log_are_private(private_workspace: Workspace) -> None:
    workspace = private_workspace
    workspace.drop("beach.jpg")
    before = os.umask(0)
    try:
        workspace.program("run", "--once")
    finally:
        os.umask(before)
    assert stat.S_IMODE((workspace.root / "var").stat().st_mode) == 0o700
    assert open_to_others(workspace.root / "var") == []
    assert open_to_others(workspace.root / "log") == []


@pytest.mark.slow
def test_files_that_were_made_by_hand_are_closed_to_others(private_workspace: Workspace) -> None:
    workspace = private_workspace
    folder = workspace.root / "var"
    (folder / "state.db.work").mkdir(parents=True)
    for name in ("state.db", "state.db.ledger", "state.db.lock"):
        (folder / name).touch()
        (folder / name).chmod(0o666)
    (folder / "state.db.work").chmod(0o777)
    workspace.drop("beach.jpg")
    workspace.program("run", "--once")
    assert open_to_others(folder) == []


def test_a_key_that_everybody_can_read_is_warned_of(workspace: Workspace) -> None:
    (workspace.root / "api.key").chmod(0o644)
    told = workspace.program("run", "--once")
    assert "everybody on this machine can read it" in told
    assert f"chmod 600 {workspace.root}/api.key" in told
