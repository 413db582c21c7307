"""The inbox as a daemon holds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sorawatch.app.folders import InboxGate, InboxOwner
from sorawatch.edges import lock
from sorawatch.edges.marker import make_marker, read_marker, write_marker
from sorawatch.errors import Blocked, Deferred, InUse, UsageError

ONE, TWO = "11111111-2222-4333-8444-555555555555", "99999999-8888-4777-8666-555555555555"


def gate(inbox: Path, state: str = ONE) -> InboxGate:
    return InboxGate(inbox, InboxOwner(state, Path("/etc/it's/config.yaml")), shared_name=None)


def test_a_scan_that_goes_on_after_the_end_does_not_lock_the_inbox_again(tmp_path: Path) -> None:
    make_marker(tmp_path)
    held = gate(tmp_path)
    held.check()
    assert lock.is_locked(tmp_path / lock.LOCK)
    held.close()
    held.check()
    assert not lock.is_locked(tmp_path / lock.LOCK)


def test_of_two_that_find_a_marker_without_a_name_only_the_one_with_the_lock_names_it(tmp_path: Path) -> None:
    make_marker(tmp_path)
    other = lock.Lock.take(tmp_path / lock.LOCK, "the inbox")
    with pytest.raises(InUse):
        gate(tmp_path).lock()
    assert read_marker(tmp_path) == ""
    other.release()
    gate(tmp_path).lock()
    assert read_marker(tmp_path) == ONE


def test_an_inbox_of_another_state_is_refused_before_its_lock_is_tried(tmp_path: Path) -> None:
    write_marker(tmp_path, TWO)
    other = lock.Lock.take(tmp_path / lock.LOCK, "the inbox")
    with pytest.raises(UsageError, match=f"belongs to the state {TWO} of another sorawatch") as caught:
        gate(tmp_path).lock()
    assert not isinstance(caught.value, InUse)
    assert "sorawatch recover --take-over -c '/etc/it'\"'\"'s/config.yaml'" in str(caught.value)
    other.release()


def test_an_inbox_that_another_state_has_taken_over_is_unlocked_and_not_scanned(tmp_path: Path) -> None:
    make_marker(tmp_path)
    held = gate(tmp_path)
    held.lock()
    write_marker(tmp_path, TWO)
    with pytest.raises(Blocked, match=f"belongs to the state {TWO}") as caught:
        held.check()
    assert caught.value.cause.temporary
    assert not lock.is_locked(tmp_path / lock.LOCK)
    gate(tmp_path, TWO).lock()


def test_an_inbox_that_is_not_mounted_is_no_reason_not_to_start(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name, error in {"gone": Blocked, "loop": Deferred}.items():
        held = gate(tmp_path / name)
        held.lock()
        with pytest.raises(error):
            held.check()
