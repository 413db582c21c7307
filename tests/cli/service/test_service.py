"""The commands around the service, where no service is; with one they are tried in ``tests/slow/test_systemd_service``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import texts
from tests.support.workspace import Workspace


@pytest.mark.slow
def test_check_says_that_there_is_no_such_service(workspace: Workspace) -> None:
    told = workspace.cli("check", "--service", "--name", "no-such-service", status=1)
    assert "there is no /etc/systemd/system/no-such-service.service" in told
    assert "sorawatch service install" in told


@pytest.mark.slow
def test_install_refuses_a_place_that_no_service_can_see(workspace: Workspace) -> None:
    told = workspace.cli("service", "install", "--dry-run", status=2)
    assert "the configuration" in told
    assert f"{texts.MAY_NOT_ENTER}. Put it elsewhere, such as /etc/sorawatch" in told


def test_a_bad_configuration_ends_a_service_with_78_and_a_command_with_2(workspace: Workspace) -> None:
    workspace.set("limits", in_flight=0)
    workspace.write_config()
    # The variable names the process that systemd started; a shell below it inherits the variable.
    run = f"{sys.executable} -m sorawatch run"
    for command, status in ((f"SYSTEMD_EXEC_PID=$$ exec {run}", 78), (f"SYSTEMD_EXEC_PID=$$ {run}; exit $?", 2)):
        done = subprocess.run(["sh", "-c", command], cwd=workspace.root, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert "limits.in_flight" in done.stderr
