"""SIGTERM: nothing new is ordered, running uploads end and are recorded, and everything else is interrupted."""

from __future__ import annotations

import json
import signal

import pytest

from sorawatch.simulator import Fault
from tests.support.service_manager import listening
from tests.support.workspace import Workspace, wait_until

UPLOADS = 8
"""The number of simultaneous submits."""


def test_uploads_end_and_are_recorded_and_no_more_begin(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    # Free orders need not wait until the first one is accepted.
    workspace.set("models", **{"sora-2": {"usd_per_second": 0}})
    workspace.set("limits", in_flight=UPLOADS + 2)
    workspace.set("api", timeout_seconds=60)
    # Longer than a stop waits for other answers.
    workspace.simulator.inject(Fault("delay_after", on="create", seconds=6, times=None))
    for number in range(UPLOADS + 2):
        workspace.drop(f"{number}.jpg")
    with listening(str(workspace.root / "notify")) as heard:
        daemon = workspace.spawn("run", env={"NOTIFY_SOCKET": heard.address})
        workspace.simulator.wait_for(lambda ledger: ledger.creates == UPLOADS)
        wait_until(lambda: workspace.counts() == {"submitting": UPLOADS + 2})
        daemon.terminate()
        output, _ = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, output
    assert workspace.simulator.ledger().creates == UPLOADS
    assert workspace.counts() == {"rendering": UPLOADS, "ready": 2}
    assert heard.wait_for("STOPPING")["STATUS"] == f"stopping once {UPLOADS} uploads have ended"
    assert heard.wait_for("EXTEND_TIMEOUT_USEC", "30000000")
    jobs = json.loads(workspace.cli("status", "--json"))["jobs"]
    assert sum(job["video_id"] is not None for job in jobs) == UPLOADS


@pytest.mark.slow
def test_a_second_signal_stops_at_once_and_buys_nothing_twice(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("api", timeout_seconds=600)
    workspace.simulator.inject(Fault("delay_after", on="create", seconds=600))
    workspace.drop()
    with listening(str(workspace.root / "notify")) as heard:
        daemon = workspace.spawn("run", env={"NOTIFY_SOCKET": heard.address})
        workspace.simulator.wait_for(lambda ledger: ledger.creates == 1)
        daemon.terminate()
        heard.wait_for("EXTEND_TIMEOUT_USEC", "30000000")
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=100)
    assert daemon.returncode == 130
    with workspace.running():
        wait_until(lambda: workspace.counts() == {"rendering": 1})
    assert workspace.simulator.ledger().creates == 1
