"""What ``status`` says of the limits and the configuration of a running daemon."""

from __future__ import annotations

import json

import pytest

from tests.support.workspace import Workspace, wait_until

CHANGED = "the configuration file has changed since the daemon read it"


def change(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=9, usd_per_day=5)
    workspace.write_config()


def test_the_limits_are_those_that_the_daemon_holds_to(workspace: Workspace) -> None:
    with workspace.running() as daemon:
        wait_until(lambda: workspace.status().published.limits)
        change(workspace)
        told = workspace.told()
        assert "in flight: 0 of 4\n" in told
        assert "no cap" in told
        assert CHANGED in told
        assert "`systemctl reload sorawatch`" in told
        as_json = json.loads(workspace.cli("status", "--json"))
        assert (as_json["limits"]["in_flight"], as_json["limits"]["usd_per_day"]) == (4, None)
        assert as_json["config_changed"] is True
        daemon.reload()
        wait_until(lambda: "in flight: 0 of 9\n" in workspace.told(), told=workspace.told)
        assert "$5.00 left of $5.00" in workspace.told()
        assert CHANGED not in workspace.told()
        assert json.loads(workspace.cli("status", "--json"))["config_changed"] is False


def test_a_refused_configuration_has_changed_but_is_not_read(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    with workspace.running() as daemon:
        wait_until(lambda: workspace.status().published.limits)
        workspace.set("api", key_file="gone.key")
        change(workspace)
        daemon.reload()
        wait_until(lambda: "stays as it was" in caplog.text)
        assert "of 4\n" in workspace.told()
        assert CHANGED in workspace.told()


def test_a_file_that_says_the_same_has_not_changed(workspace: Workspace) -> None:
    with workspace.running():
        wait_until(lambda: workspace.status().published.limits)
        workspace.write_config()
        assert CHANGED not in workspace.told()


def test_without_a_daemon_the_limits_are_those_of_the_file(workspace: Workspace) -> None:
    workspace.run_once()
    change(workspace)
    assert "in flight: 0 of 9\n" in workspace.told()
    assert CHANGED not in workspace.told()
