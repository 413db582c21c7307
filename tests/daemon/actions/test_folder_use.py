"""An action that uses the folders for too long is named until it ends."""

from __future__ import annotations

from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action
from sorawatch.daemon.actions.folder_use import FolderUse
from tests.support.workspace import wait_until

JOB = Job("a", State.DELIVERED, Pair("", "a.jpg", Stamp(1, 1)), created_at=1, due_at=1, changed_at=1, token="t")


def test_an_action_that_does_not_end_is_named_until_it_does() -> None:
    use = FolderUse(stuck_seconds=0.1)
    with use.during(Action.ARCHIVE, JOB):
        assert use.stuck() is None
        wait_until(use.stuck)
        assert use.stuck() == "filing a.jpg does not end; if a folder is on a share, check that share"
    assert use.stuck() is None


def test_an_action_that_ends_in_time_is_not_named() -> None:
    use = FolderUse(stuck_seconds=3600)
    with use.during(Action.DELIVER, JOB):
        assert use.stuck() is None
