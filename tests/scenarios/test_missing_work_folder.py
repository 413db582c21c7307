"""The work folder disappears while the daemon runs: paid clips are delivered, and nothing fails for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.daemon_process import pauses, reasons
from tests.support.workspace import Workspace, wait_until


@pytest.fixture
def work(stalled_workspace: Workspace) -> Path:
    """The work folder of the workspace."""
    return stalled_workspace.root / "state.db.work"


def test_it_is_made_anew(stalled_workspace: Workspace, work: Path) -> None:
    workspace = stalled_workspace
    with workspace.running():
        workspace.drop("a.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        shutil.rmtree(work)
        workspace.drop("b.jpg")
        workspace.wait_for_creates(2)
        wait_until(lambda: workspace.counts() == {"rendering": 2})
        assert work.stat().st_mode & 0o777 == 0o700
        workspace.simulator.finish_all()
        wait_until(lambda: workspace.counts() == {"done": 2}, told=workspace.told)
    assert set(workspace.files("outbox")) == {"a.mp4", "b.mp4"}
    assert set(workspace.files("processed")) == {"a.jpg", "a.yaml", "b.jpg", "b.yaml"}
    assert workspace.simulator.ledger().creates == 2


def test_where_it_cannot_be_made_everything_waits(stalled_workspace: Workspace, work: Path) -> None:
    workspace = stalled_workspace
    workspace.set("retries", attempts=1)
    workspace.set("limits", in_flight=1)
    with workspace.running():
        workspace.drop("a.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        workspace.drop("b.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1})
        shutil.rmtree(work)
        work.write_text("This is a file.")
        workspace.simulator.finish_all()
        # Both were tried more often than `retries.attempts` allows for failures of their own.
        wait_until(lambda: all(job.attempts > 1 for job in workspace.status().jobs if job.state == "rendered"))
        wait_until(lambda: "state.db.work" in pauses(workspace), told=workspace.told)
        assert workspace.counts() == {"rendered": 1, "ready": 1}
        work.unlink()
        wait_until(lambda: workspace.counts().get("done") == 1, told=lambda: reasons(workspace))
        workspace.wait_for_creates(2)
        wait_until(lambda: workspace.counts() == {"done": 1, "rendering": 1}, told=lambda: reasons(workspace))
        workspace.simulator.finish_all()
        wait_until(lambda: workspace.counts() == {"done": 2}, told=lambda: reasons(workspace))
    assert not workspace.files("errors")


def test_a_delivered_job_is_archived_without_it(stalled_workspace: Workspace, work: Path) -> None:
    workspace = stalled_workspace
    workspace.drop("a.jpg")
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
        # The pair cannot be moved as long as the folder for it is not the one that belongs to this state.
        (workspace.processed / ".sorawatch").rename(workspace.root / "marker")
        workspace.simulator.finish_all()
        wait_until(lambda: workspace.counts() == {"delivered": 1}, told=lambda: reasons(workspace))
    shutil.rmtree(work)
    with workspace.running():
        shutil.rmtree(work)
        (workspace.root / "marker").rename(workspace.processed / ".sorawatch")
        wait_until(lambda: workspace.counts() == {"done": 1}, told=lambda: reasons(workspace))
    assert set(workspace.files("outbox")) == {"a.mp4"}
    assert set(workspace.files("processed")) == {"a.jpg", "a.yaml"}


def test_a_reference_that_a_power_cut_damaged_is_made_again_and_not_uploaded(workspace: Workspace) -> None:
    (workspace.inbox / "PAUSE").touch()
    workspace.drop()
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"ready": 1})
    (reference,) = workspace.root.glob("state.db.work/*/reference")
    reference.write_bytes(bytes(reference.stat().st_size))
    (workspace.inbox / "PAUSE").unlink()
    assert workspace.run_once()
    ledger = workspace.simulator.ledger()
    assert (ledger.creates, ledger.rejected) == (1, 0)
