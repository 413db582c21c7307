"""An inbox belongs to one state, which its marker names; another one is refused until it takes the inbox over."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from sorawatch.edges.marker import MARKER, read_marker
from sorawatch.simulator import Simulator
from tests.support import texts
from tests.support.workspace import Workspace, wait_until

FOLDERS = ("inbox", "outbox", "errors", "processed")


def named(workspace: Workspace) -> set[str | None]:
    """The states that the markers of the four folders name."""
    return {read_marker(workspace.root / name) for name in FOLDERS}


def state_of(workspace: Workspace) -> str:
    (state,) = named(workspace)
    assert state
    assert uuid.UUID(state).version == 4
    return state


@pytest.fixture
def other(workspace: Workspace, tmp_path: Path, sim: Simulator) -> Workspace:
    """A second state on the folders of the first."""
    root = tmp_path / "other"
    root.mkdir()
    made = Workspace(root, sim)
    made.set("folders", **{name: str(workspace.root / name) for name in FOLDERS})
    return made


class TestTheFirstStart:
    def test_names_the_state_in_all_folders_and_in_the_ledger(self, workspace: Workspace) -> None:
        workspace.run_once()
        state = state_of(workspace)
        (header,) = [json.loads(line) for line in (workspace.root / "state.db.ledger").read_bytes().splitlines()]
        assert (header["entry"], header["state"]) == ("ledger", state)

    @pytest.mark.parametrize("content", ["", "sorawatch works with this folder. Please leave\nHeld by pid 1 on nas\n"])
    def test_takes_markers_of_an_older_version(self, workspace: Workspace, content: str) -> None:
        for name in FOLDERS:
            (workspace.root / name / MARKER).write_text(content)
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        assert uuid.UUID(state_of(workspace))

    @pytest.mark.parametrize("folder", FOLDERS)
    def test_refuses_a_file_of_that_name_by_somebody_else(self, workspace: Workspace, folder: str) -> None:
        marker = workspace.root / folder / MARKER
        marker.write_text("colour: blue\n")
        told = workspace.program("run", "--once", status=2)
        assert f"{marker} was not written by sorawatch" in told
        assert f"Move it away, then: touch {marker}" in told
        assert "was not written by sorawatch" in workspace.cli("check", status=1)
        assert marker.read_text() == "colour: blue\n"

    @pytest.mark.slow
    def test_never_writes_a_right_marker_again(self, workspace: Workspace) -> None:
        workspace.run_once()
        before = {name: (workspace.root / name / MARKER).stat().st_ino for name in FOLDERS}
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        assert {name: (workspace.root / name / MARKER).stat().st_ino for name in FOLDERS} == before


class TestAnotherState:
    def test_is_refused_whatever_the_command(self, workspace: Workspace, other: Workspace) -> None:
        other.run_once()
        state = state_of(workspace)
        workspace.drop("beach.jpg")
        command = f"sorawatch recover --take-over -c {workspace.root / 'config.yaml'}"
        for words in (("run",), ("run", "--once")):
            told = workspace.program(*words, status=2)
            assert f"the inbox {workspace.inbox} {texts.OTHER_STATE} {state} " in told
            assert command in told
            assert len(told.splitlines()) == 1
        assert command in started_by_systemd(workspace, status=78)
        for words in (("pause",), ("resume",), ("plan",), ("retry", "0")):
            assert command in workspace.cli(*words, status=2)
        told = workspace.cli("check", status=1)
        assert f"folders.inbox, {workspace.inbox}: it {texts.OTHER_STATE} {state}" in told
        assert command in told
        assert f"folders.outbox, {workspace.outbox}: can be read and written" in told
        assert named(workspace) == {state}
        assert workspace.simulator.ledger().creates == 0

    def test_is_seen_by_check_before_the_first_start(self, workspace: Workspace, other: Workspace) -> None:
        other.run_once()
        assert texts.OTHER_STATE in workspace.cli("check", status=1)
        assert not (workspace.root / "state.db").exists()

    @pytest.mark.slow
    def test_may_share_every_folder_but_the_inbox(self, workspace: Workspace, other: Workspace) -> None:
        other.set("folders", inbox=str(other.inbox))
        for each in (workspace, other):
            each.drop(f"{each.root.name}.jpg")
            assert each.run_once()
        assert len(workspace.files("outbox")) == 2
        assert read_marker(workspace.inbox) != read_marker(other.inbox)
        assert read_marker(workspace.outbox) == read_marker(workspace.inbox)
        assert "ready to run" in other.cli("check")


class TestTakingOver:
    def test_gives_the_folders_to_this_state_and_the_other_one_is_refused(
        self, workspace: Workspace, other: Workspace
    ) -> None:
        other.run_once()
        before = state_of(workspace)
        workspace.program("run", status=2)
        told = workspace.cli("recover", "--take-over", "--yes")
        assert all(f"{workspace.root / name} {texts.OTHER_STATE} {before}" in told for name in FOLDERS)
        assert state_of(workspace) not in {before, ""}
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        assert texts.OTHER_STATE in other.program("run", status=2)
        assert "belong to the state" in workspace.cli("recover", "--take-over")

    def test_asks_first_and_says_what_it_means(self, workspace: Workspace, other: Workspace) -> None:
        other.run_once()
        before = state_of(workspace)
        workspace.program("run", status=2)
        for answer, status in (("n\n", 1), ("", 1), ("y\n", 0)):
            assert named(workspace) == {before}
            assert "may be bought again" in answered(workspace, answer, status)
        assert state_of(workspace) != before

    def test_makes_no_state(self, workspace: Workspace, other: Workspace) -> None:
        other.run_once()
        assert texts.NO_STATE in workspace.cli("recover", "--take-over", "--yes", status=2)
        assert not (workspace.root / "state.db").exists()

    def test_is_refused_while_the_other_daemon_works_on_the_inbox(self, workspace: Workspace, other: Workspace) -> None:
        with other.running():
            workspace.program("run", status=2)
            before = state_of(workspace)
            assert texts.ANOTHER_DAEMON in workspace.cli("recover", "--take-over", "--yes", status=2)
            assert state_of(workspace) == before

    @pytest.mark.slow
    def test_stops_a_daemon_that_does_not_see_the_lock_and_its_paid_clips_are_still_delivered(
        self, stalled_workspace: Workspace
    ) -> None:
        """The lock of one machine need not reach the other."""
        workspace = stalled_workspace
        workspace.drop("beach.jpg")
        with workspace.running():
            workspace.wait_for_creates(1)
            marker = workspace.inbox / MARKER
            marker.write_text(marker.read_text().replace(state_of(workspace), str(uuid.uuid4())))
            workspace.drop("later.jpg")
            wait_until(lambda: texts.OTHER_STATE in " ".join(workspace.told().split()), told=workspace.told)
            workspace.simulator.finish_all()
            workspace.wait_for_clips(1)
            assert workspace.simulator.ledger().creates == 1


def answered(workspace: Workspace, answer: str, status: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sorawatch", "recover", "--take-over"],
        cwd=workspace.root,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def started_by_systemd(workspace: Workspace, status: int) -> str:
    """What ``run`` says on stderr if it is the process that a unit started."""
    script = f"SYSTEMD_EXEC_PID=$$ exec {sys.executable} -m sorawatch run"
    done = subprocess.run(["sh", "-c", script], cwd=workspace.root, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stderr


class TestTheStateKeepsItsName:
    @pytest.mark.slow
    def test_when_a_backup_of_it_is_restored(self, workspace: Workspace) -> None:
        workspace.run_once()
        before = state_of(workspace)
        shutil.copy(workspace.root / "state.db", workspace.root / "backup")
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        shutil.copy(workspace.root / "backup", workspace.root / "state.db")
        assert workspace.run_once()
        assert state_of(workspace) == before

    @pytest.mark.parametrize("lose", [lambda state: state.unlink(), lambda state: state.write_bytes(b"junk" * 4096)])
    def test_when_it_is_lost_and_made_again_from_the_ledger(
        self, workspace: Workspace, lose: Callable[[Path], None]
    ) -> None:
        workspace.drop("beach.jpg")
        assert workspace.run_once()
        before = state_of(workspace)
        lose(workspace.root / "state.db")
        workspace.program("recover")
        assert workspace.run_once()
        assert state_of(workspace) == before

    @pytest.mark.slow
    def test_when_it_moves_to_another_machine_and_another_inbox(self, workspace: Workspace, other: Workspace) -> None:
        workspace.run_once()
        for path in workspace.root.glob("state.db*"):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, other.root / path.name)
        other.set("folders", **{name: str(other.root / name) for name in FOLDERS})
        assert other.run_once()
        assert state_of(other) == state_of(workspace)

    @pytest.mark.slow
    def test_but_not_when_its_ledger_is_lost_too(self, workspace: Workspace) -> None:
        workspace.run_once()
        for path in workspace.root.glob("state.db*"):
            path.unlink() if path.is_file() else path.rmdir()
        assert texts.OTHER_STATE in workspace.program("run", status=2)
        workspace.cli("recover", "--take-over", "--yes")
        assert workspace.run_once()
