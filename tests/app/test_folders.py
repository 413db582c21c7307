"""The inbox as a daemon holds it."""

from __future__ import annotations

from pathlib import Path

from sorawatch.app.folders import InboxGate
from sorawatch.edges import lock


def test_a_scan_that_goes_on_after_the_end_does_not_lock_the_inbox_again(tmp_path: Path) -> None:
    lock.write_marker(tmp_path)
    gate = InboxGate(tmp_path, shared_name=None)
    gate.check()
    assert lock.is_locked(tmp_path / lock.LOCK)
    gate.close()
    gate.check()
    assert not lock.is_locked(tmp_path / lock.LOCK)
