"""Files as real tools write them: throttled, renamed, moved across disks, in bursts with pauses. No half is ordered."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support import texts
from tests.support.daemon_process import daemon, reasons
from tests.support.sampling import sampled
from tests.support.workspace import Workspace, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PIXELS = (1600, 1200)
THROTTLED = r"""
exec 3<"$1" 4>"$2"
for _ in $(seq 12); do dd bs=100k count=1 iflag=fullblock <&3 >&4 2>/dev/null; sleep 0.15; done
cat <&3 >&4
"""
"""A copy into one open file, as of a slow disk or line: a hundred kilobytes, a pause, and so on."""


@pytest.fixture
def original(workspace: Workspace) -> Path:
    """A large picture whose halves no decoder takes for a whole."""
    path = workspace.root / "original.jpg"
    Image.effect_noise(PIXELS, 90).convert("RGB").save(path, quality=97)
    assert path.stat().st_size > 1_300_000
    return path


def run(*command: str | Path) -> None:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"needs {command[0]}")
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def ordered_once(workspace: Workspace, original: Path, name: str = "beach.jpg") -> None:
    """One clip, of the whole picture, and nothing else anywhere."""
    assert workspace.simulator.ledger().creates == 1
    assert workspace.files("errors") == {}
    assert workspace.files("inbox") == {}
    assert (workspace.processed / name).read_bytes() == original.read_bytes()


def delivered(workspace: Workspace, files: int = 2) -> bool:
    return len(workspace.files("processed")) == files


@pytest.mark.parametrize("first", sampled(["sidecar", "picture"], 2))
def test_a_slow_copy(workspace: Workspace, original: Path, first: str) -> None:
    workspace.set("watch", settle_seconds=0.6, rescan_seconds=30)
    with daemon(workspace) as running:
        if first == "sidecar":
            (workspace.inbox / "beach.yaml").write_text("prompt: waves\n")
        run("bash", "-c", THROTTLED, "bash", original, workspace.inbox / "beach.jpg")
        if first == "picture":
            (workspace.inbox / "beach.yaml").write_text("prompt: waves\n")
        wait_until(lambda: delivered(workspace), told=lambda: reasons(workspace) + running.log)
    ordered_once(workspace, original)


def test_rsync_with_a_throttle(workspace: Workspace, original: Path) -> None:
    """It writes a hidden name and renames it, with the time of the original."""
    workspace.set("watch", settle_seconds=0.3, rescan_seconds=30)
    source = workspace.root / "source"
    source.mkdir()
    shutil.copy2(original, source / "beach.jpg")
    (source / "beach.yaml").write_text("prompt: waves\n")
    subprocess.run(["touch", "-d", "2001-02-03", *source.iterdir()], check=True)
    with daemon(workspace) as running:
        run("rsync", "-a", "--bwlimit=1000", f"{source}/", f"{workspace.inbox}/")
        wait_until(lambda: delivered(workspace), told=lambda: reasons(workspace) + running.log)
    ordered_once(workspace, original)


def test_mv_across_disks(workspace: Workspace, original: Path, other_disk: Path) -> None:
    workspace.set("watch", settle_seconds=0.3, rescan_seconds=30)
    shutil.copy(original, other_disk / "beach.jpg")
    (other_disk / "beach.yaml").write_text("prompt: waves\n")
    with daemon(workspace) as running:
        run("mv", other_disk / "beach.yaml", other_disk / "beach.jpg", workspace.inbox)
        wait_until(lambda: delivered(workspace), told=lambda: reasons(workspace) + running.log)
    ordered_once(workspace, original)


def test_bursts_with_pauses_longer_than_a_file_needs_to_settle(workspace: Workspace, original: Path) -> None:
    workspace.set("watch", settle_seconds=0.2, rescan_seconds=0.5)
    (workspace.inbox / "beach.yaml").write_text("prompt: waves\n")
    target = workspace.inbox / "beach.jpg"
    data = original.read_bytes()
    with daemon(workspace) as running:
        wait_until(lambda: "noticed by events" in workspace.told())
        with open(target, "wb", buffering=0) as writer:
            for start in range(0, len(data), 400_000):
                writer.write(data[start : start + 400_000])
                time.sleep(1.0)
        wait_until(lambda: delivered(workspace), told=lambda: reasons(workspace) + running.log)
    ordered_once(workspace, original)


@pytest.mark.parametrize("size_first", sampled([False, True], 2), ids=["appending", "with its length set first"])
def test_dd_with_a_pause_that_has_the_half_taken_for_damaged(
    workspace: Workspace, original: Path, size_first: bool
) -> None:
    workspace.set("watch", settle_seconds=0.2, rescan_seconds=0.5)
    target, half = workspace.inbox / "beach.jpg", original.stat().st_size // 2
    (workspace.inbox / "beach.yaml").write_text("prompt: waves\n")
    with daemon(workspace) as running:
        if size_first:
            run("truncate", "-s", str(original.stat().st_size), workspace.root / "beach.jpg")
            run("mv", workspace.root / "beach.jpg", target)
        run("dd", f"if={original}", f"of={target}", f"bs={half}", "count=1", "conv=notrunc")
        wait_until(lambda: len(workspace.files("errors")) == 3, told=lambda: reasons(workspace) + running.log)
        assert f"{texts.WAS_IT_CHARGED}\n    No." in (workspace.errors / "beach.error.txt").read_text()
        run("mv", workspace.errors / "beach.jpg", workspace.inbox)
        run("dd", f"if={original}", f"of={target}", f"bs={half}", "skip=1", "seek=1", "conv=notrunc")
        (workspace.errors / "beach.error.txt").unlink()
        run("mv", workspace.errors / "beach.yaml", workspace.inbox)
        wait_until(lambda: delivered(workspace), told=lambda: reasons(workspace) + running.log)
    ordered_once(workspace, original)
