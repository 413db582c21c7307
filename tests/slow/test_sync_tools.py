"""Pairs as tools bring them into the inbox of a running daemon: one order for each, and every file in one place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.daemon_process import Promises, daemon, listens, reasons
from tests.support.sampling import sampled
from tests.support.sync_tools import need, samba, syncthing, vsftpd
from tests.support.workspace import Workspace, picture, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAMES = ("beach", "dunes", "mole")
HALF = b"prompt: Gentle waves"
PROMPT = b"prompt: Gentle waves, leaves swaying\n"
FIRST_BYTES = 100_000
"""So many bytes of a picture must have arrived before a transfer is interrupted."""


@pytest.fixture
def promises(workspace: Workspace) -> Promises:
    return Promises(workspace)


@pytest.fixture
def source(workspace: Workspace, promises: Promises) -> Path:
    """Pairs, one of them with a large picture, that have been there for years."""
    folder = workspace.root / "source"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        picture(folder / f"{name}.jpg", colour=(90 * number, 40, 40))
        (folder / f"{name}.yaml").write_text(f"prompt: waves around {name}\n")
    Image.effect_noise((1200, 900), 90).convert("RGB").save(folder / "dunes.jpg", quality=97)
    assert (folder / "dunes.jpg").stat().st_size > 3 * FIRST_BYTES
    for path in folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    promises.remember(folder)
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder for a server."""
    folder = tmp_path / "server"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(workspace: Workspace, promises: Promises) -> Iterator[Path]:
    """The inbox of a running daemon."""
    with promises.watching(), daemon(workspace):
        listens(workspace)
        yield workspace.inbox


def run(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], check=False, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def delivered(workspace: Workspace, promises: Promises) -> None:
    """All that was brought became clips, each bought once, and nothing is left anywhere else."""
    count = len(promises.originals)
    wait_until(lambda: len(workspace.files("processed")) == count, told=lambda: reasons(workspace) + workspace.told())
    promises.keep(clips=count // 2)
    assert workspace.files("inbox") == {}
    assert workspace.files("errors") == {}


@pytest.mark.parametrize(
    "options",
    sampled([["-a", "--inplace", "--bwlimit=800"], ["-a"], ["-a", "--partial"], ["-a", "--delay-updates"], ["-r"]], 5),
    ids=" ".join,
)
def test_rsync(workspace: Workspace, promises: Promises, source: Path, watched: Path, options: list[str]) -> None:
    need("rsync")
    run("rsync", *options, f"{source}/", f"{watched}/")
    delivered(workspace, promises)


def test_rsync_that_is_interrupted_and_run_again(
    workspace: Workspace, promises: Promises, source: Path, watched: Path
) -> None:
    """What has arrived gets the final name, with ``--partial``; its sidecar comes after it."""
    need("rsync")
    command = ["rsync", "-a", "--partial", f"{source}/", f"{watched}/"]
    interrupted = subprocess.Popen([*command, "--bwlimit=300"])
    wait_until(lambda: any(path.stat().st_size > FIRST_BYTES for path in watched.glob(".dunes.jpg.*")))
    interrupted.terminate()
    assert interrupted.wait() != 0
    wait_until((watched / "dunes.jpg").exists)
    assert (watched / "dunes.jpg").stat().st_size < (source / "dunes.jpg").stat().st_size
    wait_until(lambda: {*workspace.files("outbox")} == {"beach.mp4"})
    run(*command, "--exclude=beach.*")
    delivered(workspace, promises)


@pytest.mark.parametrize("command", sampled([["copy"], ["move"], ["copy", "--inplace"]], 3), ids=" ".join)
def test_rclone(workspace: Workspace, promises: Promises, source: Path, watched: Path, command: list[str]) -> None:
    """It writes to the final name, or to one that ends in ``.partial``: since 1.63, but for ``--inplace``."""
    need("rclone")
    flags = subprocess.run(["rclone", "help", "flags"], check=True, capture_output=True, text=True)
    if "--inplace" in command and "--inplace" not in flags.stdout:
        pytest.skip("this rclone always writes in place")
    run("rclone", *command, "--config=/dev/null", "--bwlimit=500k", "--retries=1", source, watched)
    delivered(workspace, promises)


def test_syncthing(workspace: Workspace, promises: Promises, own: Path, source: Path, watched: Path) -> None:
    """What the daemon moves away is then removed on the other machine too."""
    laptop = workspace.root / "laptop"
    laptop.mkdir()
    with syncthing([laptop, watched], own):
        run("cp", "-a", f"{source}/.", laptop)
        delivered(workspace, promises)
        wait_until(lambda: workspace.files("laptop") == {})
        assert len([path for path in (laptop / ".stversions").iterdir() if path.is_file()]) == len(promises.originals)
    promises.keep(clips=len(NAMES))


def test_smbclient(workspace: Workspace, promises: Promises, own: Path, source: Path, watched: Path) -> None:
    with samba(watched, own) as connect:
        run(*connect, f"lcd {source}; prompt; mput *")
        delivered(workspace, promises)


def test_ftp_that_stalls_in_the_middle_of_a_sidecar(workspace: Workspace, own: Path, watched: Path) -> None:
    workspace.drop("slow.jpg", prompt="")
    with vsftpd(watched, own) as url:
        upload = subprocess.Popen(["curl", "-sS", "-T", "-", f"{url}slow.yaml"], stdin=subprocess.PIPE)
        assert upload.stdin is not None
        upload.stdin.write(HALF)
        upload.stdin.flush()
        sidecar = watched / "slow.yaml"
        wait_until(lambda: sidecar.exists() and sidecar.stat().st_size == len(HALF))
        workspace.drop("other.jpg")
        workspace.wait_for_clips(1)
        wait_until(lambda: "slow.yaml is still open for writing in another program" in workspace.told())
        upload.communicate(PROMPT.removeprefix(HALF))
        workspace.wait_for_clips(2)
    assert {*workspace.files("outbox")} == {"other.mp4", "slow.mp4"}
    prompts = sorted(video.prompt for video in workspace.simulator.ledger().videos)
    assert prompts == ["Gentle waves, leaves swaying", "waves around other"]


def test_ftp_with_a_slow_line(workspace: Workspace, promises: Promises, own: Path, source: Path, watched: Path) -> None:
    with vsftpd(watched, own) as url:
        files = ",".join(str(path) for path in sorted(source.iterdir(), reverse=True))
        run("curl", "-sS", "--limit-rate", "400k", "-T", f"{{{files}}}", url)
        delivered(workspace, promises)


def test_ftp_that_is_cut_off_and_resumed(
    workspace: Workspace, promises: Promises, own: Path, source: Path, watched: Path
) -> None:
    with vsftpd(watched, own) as url:
        upload = ["curl", "-sS", "-T", str(source / "dunes.jpg"), url]
        cut_off = subprocess.Popen([*upload, "--limit-rate", "200k"])
        wait_until(lambda: (watched / "dunes.jpg").exists() and (watched / "dunes.jpg").stat().st_size > FIRST_BYTES)
        cut_off.kill()
        cut_off.wait()
        for name in ("beach", "mole"):
            run("curl", "-sS", "-T", f"{{{source / name}.yaml,{source / name}.jpg}}", url)
        workspace.wait_for_clips(2)
        run(*upload, "--continue-at", "-")
        run("curl", "-sS", "-T", source / "dunes.yaml", url)
        delivered(workspace, promises)
