"""Which committed submits may still be sent."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sorawatch.daemon.actions.active_uploads import ActiveUploads
from sorawatch.errors import NotSent


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_submit_may_be_sent_for_a_while_after_the_state_has_shown_that_it_is_ours() -> None:
    clock = Clock()
    uploads = ActiveUploads(5.0, clock)
    uploads.confirm(["one"], at=1000.0)
    clock.now = 1005.0
    uploads.require("one")
    with pytest.raises(NotSent, match="not sent in time"):
        uploads.require("other")
    clock.now = 1005.1
    with pytest.raises(NotSent, match="not sent in time"):
        uploads.require("one")
    uploads.confirm(["one"], at=1004.0)
    uploads.require("one")


def test_a_submit_that_the_state_gives_to_others_may_not_be_sent() -> None:
    uploads = ActiveUploads(5.0, Clock())
    uploads.confirm(["one", "two"], at=1000.0)
    uploads.confirm(["two"], at=1000.0)
    with pytest.raises(NotSent):
        uploads.require("one")
    uploads.require("two")


@pytest.mark.parametrize("valid_seconds", [None, 5.0])
def test_nothing_is_sent_while_the_state_is_gone(valid_seconds: float | None) -> None:
    uploads = ActiveUploads(valid_seconds, Clock())
    uploads.confirm(["one"], at=1000.0)
    uploads.suspend()
    with pytest.raises(NotSent, match="could not be written"), uploads.one("one"):
        pytest.fail("it may be sent")
    assert len(uploads) == 0
    uploads.confirm(["one"], at=1000.0)
    with uploads.one("one"):
        assert len(uploads) == 1
    assert len(uploads) == 0


def test_nothing_new_is_sent_while_the_daemon_stops() -> None:
    uploads = ActiveUploads(None, Clock())
    uploads.close()
    with pytest.raises(NotSent, match="stopping"):
        uploads.require("one")


def test_where_nobody_can_take_a_submit_over_it_may_be_sent_at_any_time() -> None:
    clock = Clock()
    uploads = ActiveUploads(None, clock)
    uploads.confirm([], at=1000.0)
    clock.now = 1e9
    uploads.require("one")
