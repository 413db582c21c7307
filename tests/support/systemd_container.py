"""This machine's own tree, booted by a real systemd in a container that leaves no trace of what is done in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.workspace import wait_until

TOOLS = ("systemd-nspawn", "nsenter", "mount", "umount")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Root's own; a Python elsewhere may not be open to the user of a service."""


class Container:
    """Commands and files inside, and the journal that is kept there."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def path(self, path: str) -> Path:
        return Path(f"/proc/{self._leader}/root{path}")

    def run(self, *command: str, status: int | None = 0) -> str:
        """What a command says, in the container; fails unless it ends with ``status``, if one is given."""
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-a", "--", "env", "-i", f"PATH={PATH}", *command],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        if status is not None:
            assert done.returncode == status, f"{command}: {done.stdout}{done.stderr}\n{self.log()[-6000:]}"
        return done.stdout + done.stderr

    def shown(self, name: str, unit: str = "sorawatch") -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def log(self) -> str:
        return self.run("journalctl", "-u", "sorawatch", "-o", "cat", "--no-pager", status=None)

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Entries of the journal with all their fields."""
        told = self.run("journalctl", "-o", "json", "--all", "--no-pager", *matches, status=None)
        return [json.loads(line) for line in told.splitlines() if line.startswith("{")]

    def wait(self, name: str, value: str) -> None:
        """Wait until a property of the service contains ``value``."""
        wait_until(lambda: value in self.shown(name), told=lambda: f"{self.shown(name)}\n{self.log()[-6000:]}")


@contextmanager
def booted(scratch: Path, *options: str) -> Iterator[Container]:
    """Boot it; skips the test, saying why, where that cannot be done."""
    if os.geteuid() != 0:
        pytest.skip("only root can boot a container")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (packages systemd-container, util-linux)")
    # Not below ``scratch``: whoever removes that must not find this machine's own files in it, if an unmount has failed.
    root = Path(tempfile.mkdtemp(prefix="sorawatch-root-"))
    subprocess.run(["mount", "--bind", "/", root], check=True)
    try:
        subprocess.run(["mount", "--make-private", root], check=True)
        with open(scratch / "console", "wb") as console:
            process = subprocess.Popen(
                ["systemd-nspawn", "--quiet", "-D", root, "--volatile=overlay", "--boot", "--register=no", "--keep-unit",
                 "--console=pipe", f"--machine=sorawatch-{os.getpid()}", *options,
                 # Nothing of what this machine itself runs; its network is shared, but not in the container's hands.
                 "systemd.unit=basic.target", "systemd.mask=systemd-networkd-wait-online.service",
                 "systemd.mask=NetworkManager-wait-online.service", "systemd.mask=ifupdown-wait-online.service"],
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
            )  # fmt: skip
        try:
            yield Container(_leader(process, scratch / "console"))
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", root], check=False)
        root.rmdir()


def _leader(process: subprocess.Popen[bytes], console: Path) -> int:
    """The container's first process, once the system in it is up."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def up() -> int:
        if process.poll() is not None:
            pytest.skip(f"systemd-nspawn cannot run here: {console.read_text(errors='replace')[-500:].strip()}")
        leader = next(iter(children.read_text().split()), None)
        if leader is None:
            return 0
        asked = ["nsenter", "-t", leader, "-a", "systemctl", "is-system-running"]
        state = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        return int(leader) if state in {"running", "degraded"} else 0

    return int(wait_until(up, timeout=60, told=lambda: console.read_text(errors="replace")))


def installation(scratch: Path) -> Path:
    """The built wheel in an environment of the system's own Python, to be mounted at ``/opt/sorawatch``."""
    suits = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    if subprocess.run(["python3", "-c", suits], env={"PATH": PATH}, capture_output=True, check=False).returncode:
        pytest.skip("the system's own Python is too old, or its venv module is not installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(scratch), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = scratch.glob("*.whl")
    made = scratch / "installation"
    # Debian's systemd-python is seen from it, where that is installed.
    subprocess.run(["python3", "-m", "venv", "--system-site-packages", made], env={"PATH": PATH}, check=True)
    subprocess.run([made / "bin/pip", "install", "-q", wheel], check=True)
    script = made / "bin/sorawatch"
    script.write_text(script.read_text().replace(str(made), "/opt/sorawatch"))
    made.chmod(0o755)
    return made
