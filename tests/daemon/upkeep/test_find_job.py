"""Jobs named by what a shell completes: paths from any directory."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

from sorawatch import config
from sorawatch.app import status
from sorawatch.errors import Rejected
from tests.support.workspace import Workspace, wait_until


@pytest.fixture
def ended(workspace: Workspace) -> Workspace:
    """A clip of ``sub/beach.jpg``, and ``04colon.jpg``, which failed."""
    workspace.drop("sub/beach.jpg")
    workspace.drop("04colon.jpg", seconds="many")
    assert not workspace.run_once()
    assert set(workspace.files("errors")) == {"04colon.jpg", "04colon.yaml", "04colon.error.txt"}
    return workspace


def meant(workspace: Workspace, text: str | Path, cwd: Path | None = None) -> str:
    """The picture of the job that ``sorawatch show TEXT`` shows when it is typed in ``cwd``."""
    with chdir(cwd or workspace.root):
        job, _, _ = status.history(config.load(workspace.root / "config.yaml", {}), str(text))
    return job.pair.path


@pytest.mark.parametrize(
    "text", ["04colon.jpg", "errors/04colon.jpg", "./errors/04colon.jpg", "errors/04colon.yaml", "04colon.yaml",
             "errors/04colon.error.txt", "inbox/04colon.jpg", "inbox/../errors/04colon.jpg"]
)  # fmt: skip
def test_a_failed_job_from_the_parent_folder(ended: Workspace, text: str) -> None:
    assert meant(ended, text) == "04colon.jpg"


@pytest.mark.parametrize(
    "text",
    ["sub/beach.jpg", "processed/sub/beach.jpg", "processed/sub/beach.yaml", "outbox/sub/beach.mp4", "./sub/beach.jpg"],
)
def test_a_done_job_from_the_parent_folder(ended: Workspace, text: str) -> None:
    assert meant(ended, text) == "sub/beach.jpg"


def test_from_other_directories(ended: Workspace) -> None:
    assert meant(ended, "04colon.error.txt", ended.errors) == "04colon.jpg"
    assert meant(ended, "beach.mp4", ended.outbox / "sub") == "sub/beach.jpg"
    assert meant(ended, "../errors/04colon.yaml", ended.outbox) == "04colon.jpg"
    assert meant(ended, ended.processed / "sub" / "beach.jpg", Path("/")) == "sub/beach.jpg"


def test_through_a_link(ended: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(ended.errors)
    assert meant(ended, tmp_path / "elsewhere" / "04colon.jpg") == "04colon.jpg"


@pytest.mark.parametrize(
    "text",
    ["errors/beach.jpg", "processed/04colon.jpg", "outbox/beach.mp4", "errors", "errors/", "/", "", "no\0name", "%"],
)
def test_no_job(ended: Workspace, text: str) -> None:
    with pytest.raises(Rejected, match="there is no job"):
        meant(ended, text)


def test_of_several_jobs_of_a_picture_the_latest_is_meant(ended: Workspace) -> None:
    ended.drop("04colon.jpg", seconds="few")
    ended.run_once()
    shown = ended.cli("show", "errors/04colon (2).jpg")
    assert "few" in shown
    assert ended.cli("show", "04colon.jpg") == shown
    assert "many" in ended.cli("show", "errors/04colon.jpg")


def test_a_path_with_several_meanings_is_refused_with_the_jobs(workspace: Workspace) -> None:
    workspace.drop("beach.jpg", seconds="many")
    workspace.drop("errors/beach.jpg", "other waves")
    workspace.run_once()
    told = workspace.cli("retry", "errors/beach.jpg", status=1)
    assert "errors/beach.jpg may mean several jobs: " in told
    for job in workspace.status().jobs:
        assert f"{job.id} ({job.pair.path}, {job.state})" in told
    assert "Name one of them by its id." in told


def test_retry_and_cancel_take_the_completed_path(ended: Workspace) -> None:
    (ended.errors / "04colon.yaml").write_text("prompt: waves, and a colon\n")
    ended.cli("retry", "errors/04colon.jpg")
    with ended.running():
        wait_until(lambda: ended.counts().get("done") == 2, told=ended.told)
    assert ended.simulator.ledger().creates == 2
    assert "it is done" in ended.cli("cancel", "outbox/04colon.mp4", status=1)
    assert "it is done" in ended.cli("adopt", "outbox/04colon.mp4", "video_1", status=1)


def folder_meant(workspace: Workspace, text: str | Path, cwd: Path | None = None) -> str:
    """The folder of the inbox that ``sorawatch status --folder TEXT`` shows when it is typed in ``cwd``."""
    with chdir(cwd or workspace.root):
        loaded = config.load(workspace.root / "config.yaml", {})
        return status.snapshot(loaded, status.Selection(folder=str(text))).selection.folder


@pytest.mark.parametrize(
    "text", ["sub", "sub/", "./inbox/sub/", "inbox/sub", "inbox//sub/.", "processed/sub/", "outbox/sub", "inbox/../inbox/sub"]
)  # fmt: skip
def test_a_folder_is_meant_by_any_path_that_leads_to_it(ended: Workspace, text: str) -> None:
    assert folder_meant(ended, text) == "sub"


def test_a_folder_is_meant_from_other_directories(ended: Workspace) -> None:
    assert folder_meant(ended, ended.inbox / "sub") == "sub"
    assert folder_meant(ended, "sub", ended.inbox) == "sub"
    assert folder_meant(ended, ".", ended.inbox) == ""
    assert folder_meant(ended, ".", ended.processed / "sub") == "sub"
    assert folder_meant(ended, "../inbox", ended.errors) == ""
    assert folder_meant(ended, "") == ""
    link = ended.root / "link"
    link.symlink_to(ended.inbox)
    assert folder_meant(ended, "link/sub") == "sub"


def test_a_folder_without_jobs_counts_if_it_is_there(ended: Workspace) -> None:
    (ended.inbox / "new" / "deeper").mkdir(parents=True)
    assert folder_meant(ended, "new/deeper") == "new/deeper"
    for text in ("gone", "/", "..", "inbox/gone"):
        with pytest.raises(Rejected, match=r"^there is no folder "):
            folder_meant(ended, text)
