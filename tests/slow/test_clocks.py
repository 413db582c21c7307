"""The monotonic clock begins anew with every boot, far below what the last run saw, or, moved to another host, above."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.daemon_process import Promises, reasons, start
from tests.support.workspace import Workspace, wait_until

pytestmark = pytest.mark.slow

AHEAD = ("unshare", "--time", "--fork", "--kill-child", "--monotonic", "10000000")
"""A command that runs another four months after the boot."""


@pytest.mark.parametrize(("before", "after"), [(AHEAD, ()), ((), AHEAD)], ids=["lower", "higher"])
def test_another_monotonic_clock_stalls_nothing(
    stalled_workspace: Workspace, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    if shutil.which("unshare") is None or subprocess.run([*AHEAD, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a process cannot be given a clock of its own here")
    workspace = stalled_workspace
    workspace.set("limits", in_flight=1)
    promises = Promises(workspace)
    promises.drop("0.jpg", "1.jpg", "2.jpg")
    running = start(workspace, prefix=before)
    wait_until(lambda: workspace.counts() == {"rendering": 1, "ready": 2}, told=lambda: running.log)
    running.kill()
    running = start(workspace, prefix=after)

    def over() -> bool:
        workspace.simulator.finish_all()
        return len(workspace.files("processed")) == 6

    wait_until(over, told=lambda: f"{reasons(workspace)}\n{running.log}")
    running.kill()
    promises.keep(clips=3)
