"""When the inbox is looked at: regularly, soon after something happened, and never twice at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from sorawatch.config import WatchMode
from sorawatch.core.job import Pair
from sorawatch.core.order import Fit, Model, Size
from sorawatch.core.sidecar import OrderSettings
from sorawatch.daemon.intake.scan import InboxScanner, ScanResult
from sorawatch.daemon.intake.scan_scheduler import ScanDone, ScanScheduler
from sorawatch.daemon.intake.watcher import InboxWatcher
from sorawatch.daemon.mailbox import Mailbox
from sorawatch.edges.inbox import Inbox
from sorawatch.errors import Blocked
from tests.support import texts
from tests.support.workspace import wait_until

RESCAN = 3600.0
"""Seconds: longer than any test, so that a look before that has another cause."""
SOON = 60.0
CATALOGUE = {"sora-2": Model("sora-2", None, None)}
DEFAULTS = OrderSettings("waves", "sora-2", Size(1280, 720), 8, Fit.CROP)


class HeldScans:
    """A scheduler whose scans can be held up, and its mailbox."""

    def __init__(
        self, root: Path, settle_seconds: float = 0.0, mode: WatchMode = WatchMode.POLLING, **options: float
    ) -> None:
        self.root = root
        self.mailbox: Mailbox[ScanDone] = Mailbox()
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.refusal: Exception | None = None
        inbox = Inbox(root, ignore=(), settle_seconds=settle_seconds)
        intake = InboxScanner(inbox, DEFAULTS, CATALOGUE, self._check, sidecar_grace_seconds=0)
        self.scheduler = ScanScheduler(
            intake, InboxWatcher(root, mode), RESCAN, self.mailbox.put, lambda: None, **options
        )

    def _check(self) -> None:
        self.entered.release()
        self.open.wait()
        if self.refusal is not None:
            raise self.refusal

    def start(self) -> None:
        self.scheduler.start_if_due(dict)

    def look(self) -> ScanResult | None:
        """One look, started and taken in."""
        self.start()
        (looked,) = self.mailbox.collect(60)
        return self.scheduler.ended(looked)

    def seen(self) -> ScanResult:
        """What one look saw."""
        result = self.look()
        assert result is not None
        return result


@pytest.fixture
def held(tmp_path: Path) -> Iterator[HeldScans]:
    held = HeldScans(tmp_path)
    yield held
    held.open.set()


def test_the_first_look_is_due_at_once_and_the_next_after_the_rescan_time(held: HeldScans) -> None:
    assert held.scheduler.due_in <= 0
    assert held.look() is not None
    assert SOON < held.scheduler.due_in <= RESCAN


def test_a_look_that_is_not_due_is_not_started(held: HeldScans) -> None:
    held.look()
    held.start()
    assert held.scheduler.scanning_since is None


def test_a_nudge_brings_the_next_look_forward(held: HeldScans) -> None:
    held.look()
    held.scheduler.request()
    assert held.scheduler.due_in < SOON


def test_a_pair_that_settles_brings_the_next_look_forward(tmp_path: Path) -> None:
    held = HeldScans(tmp_path, settle_seconds=5.0)
    (tmp_path / "beach.jpg").write_text("x")
    held.look()
    assert held.scheduler.due_in < SOON


def test_looks_go_on_one_at_a_time(held: HeldScans) -> None:
    held.open.clear()
    held.start()
    held.entered.acquire()
    assert held.scheduler.scanning_since is not None
    assert held.scheduler.due_in == float("inf")
    held.scheduler.request()
    held.start()
    held.open.set()
    assert len(held.mailbox.collect(60)) == 1
    assert not held.entered.acquire(blocking=False) or not held.entered.acquire(blocking=False)


def test_what_happens_during_a_look_is_looked_at_again_soon(held: HeldScans) -> None:
    held.open.clear()
    held.start()
    held.entered.acquire()
    held.scheduler.request()
    held.open.set()
    (looked,) = held.mailbox.collect(60)
    held.scheduler.ended(looked)
    assert held.scheduler.due_in < SOON


def test_a_nudge_before_a_look_is_answered_by_it(held: HeldScans) -> None:
    held.scheduler.request()
    held.look()
    assert held.scheduler.due_in > SOON


def test_what_was_seen_is_remembered(held: HeldScans, tmp_path: Path) -> None:
    (tmp_path / "notes.pdf").write_text("x")
    look = held.seen()
    assert held.scheduler.last == look
    assert [waiting.path for waiting in look.waiting] == ["notes.pdf"]


def test_known_pairs_are_asked_for_when_a_look_starts(held: HeldScans, tmp_path: Path) -> None:
    (tmp_path / "beach.jpg").write_text("x")
    known = held.seen().listing.present
    held.scheduler.request()
    asked: list[Callable[[], object]] = []

    def tell() -> Mapping[str, Pair]:
        asked.append(tell)
        return known

    while not asked:
        held.scheduler.start_if_due(tell)
    (looked,) = held.mailbox.collect(60)
    result = held.scheduler.ended(looked)
    assert result is not None
    assert result.new == ()


@pytest.mark.parametrize(
    ("mode", "busy", "least"),
    [(WatchMode.NATIVE, 0.5, 0), (WatchMode.NATIVE, 90.0, 9_000), (WatchMode.POLLING, 90.0, 0)],
)
def test_a_listing_that_costs_much_is_repeated_less_often_where_events_tell_of_changes(
    tmp_path: Path, mode: WatchMode, busy: float, least: float
) -> None:
    held = HeldScans(tmp_path, mode=mode)
    held.start()
    (looked,) = held.mailbox.collect(60)
    held.scheduler.ended(replace(looked, busy=busy))
    longest = max(RESCAN, least)
    assert longest - SOON < held.scheduler.due_in <= longest
    held.scheduler.request()
    assert held.scheduler.due_in < SOON


class TestTrouble:
    def test_it_is_told_once_kept_and_tried_again_soon(self, held: HeldScans, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        held.refusal = Blocked("not mounted", "Mount it.")
        assert held.look() is None
        assert str(held.scheduler.error) == "not mounted"
        assert held.scheduler.due_in < SOON
        held.scheduler.ended(ScanDone(0.0, 0.0, Blocked("not mounted", "Mount it.")))
        assert caplog.text.count("the inbox cannot be read: not mounted") == 1

    def test_it_is_over_with_the_next_look_and_what_was_seen_before_is_kept(
        self, held: HeldScans, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        before = held.seen()
        kept = held.scheduler.last
        held.scheduler.ended(ScanDone(0.0, 0.0, Blocked("not mounted", "Mount it.")))
        assert held.scheduler.last is kept is not None
        held.scheduler.ended(ScanDone(0.0, 0.0, before))
        assert held.scheduler.error is None
        assert "can be read again" in caplog.text

    def test_a_fault_of_ours_is_trouble_too_and_not_the_end(
        self, held: HeldScans, caplog: pytest.LogCaptureFixture
    ) -> None:
        held.refusal = ZeroDivisionError()
        assert held.look() is None
        assert str(held.scheduler.error) == f"{texts.FAULT_OF_OURS}: ZeroDivisionError"
        assert "Traceback" in caplog.text
        held.refusal = None
        while held.scheduler.due_in > 0:
            held.scheduler.request()
        assert held.look() is not None

    def test_a_look_that_hangs_is_trouble_until_it_ends(self, tmp_path: Path) -> None:
        held = HeldScans(tmp_path, hang_seconds=0.2)
        held.open.clear()
        held.start()
        held.entered.acquire()
        assert held.scheduler.error is None
        assert 0 < held.scheduler.next_event_in <= 0.2
        wait_until(lambda: held.scheduler.error is not None)
        assert "does not answer" in str(held.scheduler.error)
        held.open.set()
        (looked,) = held.mailbox.collect(60)
        assert held.scheduler.ended(looked) is not None
        assert held.scheduler.error is None
        assert held.scheduler.scanning_since is None
