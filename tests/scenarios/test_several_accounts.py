"""The API key is replaced by that of another account, which does not know what was ordered before."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sorawatch import simulator
from sorawatch.simulator import Fault
from tests.support.daemon_process import reasons
from tests.support.workspace import KEY, Workspace, wait_until

OTHER = "sk-of-another-account"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose simulator accepts every key, and finishes no video until it is told to."""
    settings = simulator.SimulatorSettings(generation_seconds=float("inf"), frames_per_second=1, key=None)
    with simulator.running(settings) as sim:
        made = Workspace(tmp_path, sim)
        made.set("retries", attempts=3)
        yield made
        made.close()


def reason(workspace: Workspace) -> str:
    (job,) = [each for each in workspace.status().jobs if each.pair.image == "a.jpg"]
    return f"{job.reason} {job.hint}"


def test_a_video_that_is_unknown_under_another_key_is_held_for_that(workspace: Workspace) -> None:
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        workspace.simulator.inject(Fault("answer_before", on="retrieve", status=404, times=None))
        (workspace.root / "api.key").write_text(OTHER)
        wait_until(lambda: workspace.counts() == {"held": 1}, told=lambda: reasons(workspace))
        assert "The order was sent with another API key" in reason(workspace)
        assert "Put that key back" in reason(workspace)
        workspace.simulator.clear_faults()
        (workspace.root / "api.key").write_text(KEY)
        workspace.cli("retry", "a.jpg")
        workspace.simulator.finish_all()
        wait_until(lambda: workspace.counts() == {"done": 1}, told=lambda: reasons(workspace))
    assert workspace.simulator.ledger().creates == 1
    assert not workspace.files("errors")


@pytest.mark.slow
def test_a_clip_that_is_unknown_under_another_key_is_held_for_that(workspace: Workspace) -> None:
    workspace.simulator.inject(
        Fault("answer_before", on="content", status=404, times=1, message="No such video"),
        Fault("answer_before", on="content", status=410, times=None, after=1, message="The video has expired"),
    )
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        (workspace.root / "api.key").write_text(OTHER)
        workspace.simulator.finish_all()
        wait_until(lambda: workspace.counts() == {"held": 1}, told=lambda: reasons(workspace))
        assert "The order was sent with another API key" in reason(workspace)
    assert not workspace.files("errors")


def test_the_list_of_another_account_proves_nothing(workspace: Workspace) -> None:
    workspace.set("retries", attempts=1000)
    workspace.drop("witness.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        workspace.simulator.inject(
            Fault("lost_after", on="create"), Fault("answer_before", on="list", status=500, times=None)
        )
        workspace.drop("a.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1, "uncertain": 1}, told=lambda: reasons(workspace))
    workspace.simulator.clear_faults()
    workspace.simulator.inject(Fault("list_hidden", word="around a", times=None))
    (workspace.root / "api.key").write_text(OTHER)
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1, "held": 1}, told=lambda: reasons(workspace))
        assert "sent with another API key" in reason(workspace)
    assert workspace.simulator.ledger().creates == 2


def restored(workspace: Workspace, backup: Path) -> None:
    """Put a backup of the state back. The ledger and the work folder stay as they are."""
    for path in workspace.root.glob("state.db-*"):
        path.unlink()
    shutil.copy(backup, workspace.root / "state.db")


@pytest.fixture
def backup(workspace: Workspace) -> Path:
    """A copy of the state from before anything was ordered."""
    workspace.run_once()
    return Path(shutil.copy(workspace.root / "state.db", workspace.root / "backup.db"))


def test_a_restored_order_is_known_to_be_of_another_account(workspace: Workspace, backup: Path) -> None:
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
    restored(workspace, backup)
    (workspace.root / "api.key").write_text(OTHER)
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"held": 1}, told=lambda: reasons(workspace))
        assert "The order was sent with another API key" in reason(workspace)
    assert not workspace.files("errors")


def test_the_list_of_another_account_proves_nothing_about_a_restored_order(workspace: Workspace, backup: Path) -> None:
    workspace.set("api", timeout_seconds=1)
    workspace.simulator.inject(
        Fault("lost_after", on="create"), Fault("answer_before", on="list", status=500, times=None)
    )
    workspace.set("retries", attempts=1000)
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"uncertain": 1})
    restored(workspace, backup)
    workspace.simulator.clear_faults()
    (workspace.root / "api.key").write_text(OTHER)
    workspace.drop("witness.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1, "held": 1}, told=lambda: reasons(workspace))
        assert "sent with another API key" in reason(workspace)
    assert workspace.simulator.ledger().creates == 2


def test_no_key_is_kept(workspace: Workspace) -> None:
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        kept = b"".join(path.read_bytes() for path in workspace.root.glob("state.db*") if path.is_file())
    assert KEY.encode() not in kept
    assert not any(hashlib.new(name, KEY.encode()).hexdigest().encode() in kept for name in ("md5", "sha1", "sha256"))
