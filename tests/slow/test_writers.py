"""Files as real tools write them: throttled, renamed, moved across disks, in bursts with pauses. No half is ordered."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.support.daemon_process import daemon, reasons
from tests.support.workspace import Yard, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PIXELS = (1600, 1200)
THROTTLED = r"""
exec 3<"$1" 4>"$2"
for _ in $(seq 12); do dd bs=100k count=1 iflag=fullblock <&3 >&4 2>/dev/null; sleep 0.15; done
cat <&3 >&4
"""
"""A copy into one open file, as of a slow disk or line: a hundred kilobytes, a pause, and so on."""


@pytest.fixture
def original(yard: Yard) -> Path:
    """A large picture whose halves no decoder takes for a whole."""
    path = yard.root / "original.jpg"
    Image.effect_noise(PIXELS, 90).convert("RGB").save(path, quality=97)
    assert path.stat().st_size > 1_300_000
    return path


def run(*command: str | Path) -> None:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"needs {command[0]}")
    subprocess.run([*map(str, command)], check=True, capture_output=True)


def ordered_once(yard: Yard, original: Path, name: str = "beach.jpg") -> None:
    """One clip, of the whole picture, and nothing else anywhere."""
    assert yard.simulator.ledger().creates == 1
    assert yard.files("errors") == {}
    assert yard.files("inbox") == {}
    assert (yard.processed / name).read_bytes() == original.read_bytes()


def delivered(yard: Yard, files: int = 2) -> bool:
    return len(yard.files("processed")) == files


@pytest.mark.parametrize("first", ["sidecar", "picture"])
def test_a_slow_copy(yard: Yard, original: Path, first: str) -> None:
    yard.set("watch", settle_seconds=0.6, rescan_seconds=30)
    with daemon(yard) as running:
        if first == "sidecar":
            (yard.inbox / "beach.yaml").write_text("prompt: waves\n")
        run("bash", "-c", THROTTLED, "bash", original, yard.inbox / "beach.jpg")
        if first == "picture":
            (yard.inbox / "beach.yaml").write_text("prompt: waves\n")
        wait_until(lambda: delivered(yard), told=lambda: reasons(yard) + running.log)
    ordered_once(yard, original)


def test_rsync_with_a_throttle(yard: Yard, original: Path) -> None:
    """It writes a hidden name and renames it, with the time of the original."""
    yard.set("watch", settle_seconds=0.3, rescan_seconds=30)
    source = yard.root / "source"
    source.mkdir()
    shutil.copy2(original, source / "beach.jpg")
    (source / "beach.yaml").write_text("prompt: waves\n")
    subprocess.run(["touch", "-d", "2001-02-03", *source.iterdir()], check=True)
    with daemon(yard) as running:
        run("rsync", "-a", "--bwlimit=1000", f"{source}/", f"{yard.inbox}/")
        wait_until(lambda: delivered(yard), told=lambda: reasons(yard) + running.log)
    ordered_once(yard, original)


def test_mv_across_disks(yard: Yard, original: Path, other_disk: Path) -> None:
    yard.set("watch", settle_seconds=0.3, rescan_seconds=30)
    shutil.copy(original, other_disk / "beach.jpg")
    (other_disk / "beach.yaml").write_text("prompt: waves\n")
    with daemon(yard) as running:
        run("mv", other_disk / "beach.yaml", other_disk / "beach.jpg", yard.inbox)
        wait_until(lambda: delivered(yard), told=lambda: reasons(yard) + running.log)
    ordered_once(yard, original)


def test_bursts_with_pauses_longer_than_a_file_needs_to_settle(yard: Yard, original: Path) -> None:
    """Nobody can tell such a pause from the end. What holds: no half is paid for, and the bytes are never lost."""
    yard.set("watch", settle_seconds=0.2, rescan_seconds=0.5)
    (yard.inbox / "beach.yaml").write_text("prompt: waves\n")
    target = yard.inbox / "beach.jpg"
    data = original.read_bytes()
    with daemon(yard) as running:
        with open(target, "wb", buffering=0) as writer:
            for start in range(0, len(data), 400_000):
                writer.write(data[start : start + 400_000])
                time.sleep(1.0)
        # What was taken for damaged and filed was written on into where it lies now; what had changed by then stayed.
        wait_until(lambda: delivered(yard) or "beach.jpg" in yard.files("errors"), told=lambda: reasons(yard))
        if "beach.jpg" in yard.files("errors"):
            assert "is damaged or cut off" in (yard.errors / "beach.error.txt").read_text()
            assert (yard.errors / "beach.jpg").read_bytes() == data
            yard.cli("retry", "beach.jpg")
        wait_until(lambda: delivered(yard), told=lambda: reasons(yard) + running.log)
    for text in yard.errors.glob("*.error.txt"):
        text.unlink()
    ordered_once(yard, original)


@pytest.mark.parametrize("size_first", [False, True], ids=["appending", "with its length set first"])
def test_dd_with_a_pause_that_has_the_half_taken_for_damaged(yard: Yard, original: Path, size_first: bool) -> None:
    yard.set("watch", settle_seconds=0.2, rescan_seconds=0.5)
    target, half = yard.inbox / "beach.jpg", original.stat().st_size // 2
    (yard.inbox / "beach.yaml").write_text("prompt: waves\n")
    with daemon(yard) as running:
        if size_first:
            run("truncate", "-s", str(original.stat().st_size), yard.root / "beach.jpg")
            run("mv", yard.root / "beach.jpg", target)
        run("dd", f"if={original}", f"of={target}", f"bs={half}", "count=1", "conv=notrunc")
        wait_until(lambda: len(yard.files("errors")) == 3, told=lambda: reasons(yard) + running.log)
        assert "Was it charged?\n    No." in (yard.errors / "beach.error.txt").read_text()
        run("mv", yard.errors / "beach.jpg", yard.inbox)
        run("dd", f"if={original}", f"of={target}", f"bs={half}", "skip=1", "seek=1", "conv=notrunc")
        (yard.errors / "beach.error.txt").unlink()
        run("mv", yard.errors / "beach.yaml", yard.inbox)
        wait_until(lambda: delivered(yard), told=lambda: reasons(yard) + running.log)
    ordered_once(yard, original)
