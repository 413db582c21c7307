"""Folders on NFS and CIFS, and beside them daemons of the file server itself, which uses its own disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import texts
from tests.support.daemon_process import Promises, daemon, reasons
from tests.support.user_mode_linux import DISK, MOUNTS
from tests.support.workspace import Workspace, picture, wait_until

FOLDERS = ("inbox", "outbox", "errors", "processed")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    """The folder is empty again afterwards."""
    yield
    for path in DISK.iterdir():
        shutil.rmtree(path)


@pytest.fixture(params=MOUNTS)
def mount(request: pytest.FixtureRequest) -> Path:
    """Where the folder is mounted by one of the protocols."""
    return MOUNTS[request.param]


def folders(workspace: Workspace, root: Path) -> None:
    """Have a workspace use the four folders below ``root``, by symbolic links in its own folder."""
    for name in FOLDERS:
        (root / name).mkdir(exist_ok=True)
        (workspace.root / name).rmdir()
        (workspace.root / name).symlink_to(root / name)
    workspace.set("folders", **{name: str(root / name) for name in FOLDERS})


@pytest.fixture
def another(tmp_path: Path, workspace: Workspace) -> Iterator[Workspace]:
    """A workspace of another machine, with a state of its own."""
    root = tmp_path / "another"
    root.mkdir()
    made = Workspace(root, workspace.simulator)
    yield made
    made.close()


def test_pairs_become_clips_whichever_side_writes_them(workspace: Workspace, mount: Path) -> None:
    folders(workspace, mount)
    promises = Promises(workspace)
    promises.drop("a.jpg")
    with daemon(workspace) as running:
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace) + running.log)
        (DISK / "inbox/b.yaml").write_text("prompt: waves\n")
        picture(DISK / "inbox/b.jpg")
        wait_until(lambda: len(workspace.files("processed")) == 4, told=lambda: reasons(workspace) + running.log)
    promises.keep(clips=2)
    markers = {(DISK / name / ".sorawatch").read_bytes() for name in FOLDERS}
    assert len(markers) == 1
    assert {path.name for path in (DISK / "outbox").glob("*.mp4")} == {"a.mp4", "b.mp4"}


def test_what_the_server_renames_and_deletes_is_noticed(stalled_workspace: Workspace, mount: Path) -> None:
    workspace = stalled_workspace
    folders(workspace, mount)
    workspace.set("limits", in_flight=1)
    promises = Promises(workspace)
    with daemon(workspace) as running:
        promises.drop("a.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1}, told=lambda: running.log)
        promises.drop("b.jpg")
        wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 1}, told=lambda: running.log)
        for suffix in (".yaml", ".jpg"):
            (DISK / "inbox" / f"a{suffix}").rename(DISK / "inbox" / f"renamed{suffix}")
            (DISK / "inbox" / f"b{suffix}").unlink()
        wait_until(lambda: workspace.counts() == {"rendering": 1, "cancelled": 1}, told=lambda: running.log)
        workspace.simulator.finish_all()
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: reasons(workspace) + running.log)
    assert {path.name for path in (DISK / "processed").glob("[!.]*")} == {"renamed.jpg", "renamed.yaml"}
    assert workspace.simulator.ledger().creates == 1


@pytest.mark.parametrize("first", ["on the server's own disk", "on the mount"])
def test_another_state_on_one_inbox_is_refused(
    workspace: Workspace, another: Workspace, mount: Path, first: str
) -> None:
    roots = (DISK, mount) if first == "on the server's own disk" else (mount, DISK)
    for each, root in zip((workspace, another), roots, strict=True):
        folders(each, root)
    workspace.drop("a.jpg")
    with daemon(workspace) as running:
        wait_until(lambda: len(workspace.files("processed")) == 2, told=lambda: running.log)
        for _ in range(2):
            refused = another.program("run", status=2)
            assert texts.OTHER_STATE in refused
            assert "ermission denied" not in refused
            assert len(refused.splitlines()) == 1
    assert texts.OTHER_STATE in another.program("run", status=2)
    another.cli("recover", "--take-over", "--yes")
    workspace.drop("b.jpg")
    with daemon(another):
        wait_until(lambda: len(workspace.files("processed")) == 4)
        assert texts.OTHER_STATE in workspace.program("run", status=2)
    assert workspace.simulator.ledger().creates == 2


@pytest.mark.parametrize(("protocol", "first"), [("nfs", "server"), ("nfs", "mount"), ("cifs", "mount")])
def test_a_copied_state_is_kept_out_by_the_lock(
    workspace: Workspace, another: Workspace, protocol: str, first: str
) -> None:
    """It names itself as the original does, so the marker cannot tell them apart.

    On a CIFS mount, locks of the server's own programs are not seen.
    """
    root = MOUNTS[protocol]
    for each, where in ((workspace, root if first == "mount" else DISK), (another, root)):
        folders(each, where)
    with daemon(workspace):
        pass
    for path in workspace.root.glob("state.db*"):
        if path.is_file():
            shutil.copy(path, another.root)
    with daemon(workspace):
        refused = another.program("run", status=2)
    assert texts.ANOTHER_DAEMON in refused
    assert "ermission denied" not in refused
