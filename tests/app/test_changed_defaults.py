"""A state that was used with the former defaults of ``video`` is told of the present ones, once."""

from __future__ import annotations

from contextlib import closing

import pytest

from sorawatch.edges.store import Store
from tests.support.workspace import Workspace

SIZE = "video.size was 1280x720 and is auto"
FOCUS = "video.focus was centre and is auto"


def as_left_by_a_former_version(workspace: Workspace) -> None:
    with closing(Store.create_or_open(workspace.root / "state.db", "test")[0]) as store, store.transaction() as tx:
        tx.key_values.write("defaults", None)


def test_it_is_told_by_check_and_once_in_the_log(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    workspace.drop()
    workspace.run_once()
    assert "defaults have changed" not in caplog.text
    assert "defaults have changed" not in workspace.cli("check")
    as_left_by_a_former_version(workspace)
    told = " ".join(workspace.cli("check").split())
    assert SIZE in told
    assert FOCUS in told
    assert "video: {size: 1280x720, focus: centre}" in told
    workspace.run_once()
    assert SIZE in caplog.text
    caplog.clear()
    workspace.run_once()
    assert "defaults have changed" not in caplog.text
    assert "defaults have changed" not in workspace.cli("check")


def test_a_new_state_and_a_configuration_that_sets_them_are_not_told(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.drop()
    workspace.run_once()
    as_left_by_a_former_version(workspace)
    workspace.set("video", size="1280x720", focus="edges")
    workspace.write_config()
    assert "defaults have changed" not in workspace.cli("check")
    workspace.run_once()
    assert "defaults have changed" not in caplog.text
