"""Events go on where watchdog has renamed what is adjusted in it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from sorawatch.edges.events import EventWatch
from tests.support.workspace import wait_until

if TYPE_CHECKING:
    from pathlib import Path

GROUPERS = {"inotify_move_event_grouper": "InotifyMoveEventGrouper", "inotify_buffer": "InotifyBuffer"}
"""Modules of watchdog with the class in each, from version 7 on and before."""


def test_changes_are_noticed_where_a_class_of_watchdog_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = [name for name in GROUPERS if find_spec(f"watchdog.observers.{name}")]
    assert present
    for name in present:
        monkeypatch.delattr(f"watchdog.observers.{name}.{GROUPERS[name]}")
    nudges: list[None] = []
    watch = EventWatch(tmp_path, lambda: nudges.append(None))
    watch.start()
    try:
        (tmp_path / "beach.jpg").touch()
        wait_until(lambda: nudges)
    finally:
        watch.stop()
