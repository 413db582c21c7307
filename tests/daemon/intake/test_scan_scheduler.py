"""When the inbox is looked at: regularly, soon after something happened, and never twice at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sorawatch.config import WatchMode
from sorawatch.core.order import Fit, Model, Size
from sorawatch.core.sidecar import OrderSettings
from sorawatch.daemon.intake.scan import InboxScanner, ScanResult
from sorawatch.daemon.intake.scan_scheduler import ScanDone, ScanScheduler
from sorawatch.daemon.intake.watcher import InboxWatcher
from sorawatch.daemon.mailbox import Mailbox
from sorawatch.edges.inbox import Inbox
from sorawatch.errors import Blocked
from tests.support.workspace import wait_until

RESCAN = 3600.0
"""Seconds: longer than any test, so that a look before that has another cause."""
SOON = 60.0
CATALOGUE = {"sora-2": Model("sora-2", None, None)}
DEFAULTS = OrderSettings("waves", "sora-2", Size(1280, 720), 8, Fit.CROP, 0)


class Post:
    """A lookout whose looks can be held up, and its mailbox."""

    def __init__(self, root: Path, settle_seconds: float = 0.0) -> None:
        self.root = root
        self.mailbox: Mailbox[ScanDone] = Mailbox()
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Semaphore(0)
        self.refusal: Exception | None = None
        inbox = Inbox(root, ignore=(), settle_seconds=settle_seconds)
        intake = InboxScanner(inbox, DEFAULTS, CATALOGUE, self._check)
        self.lookout = ScanScheduler(
            intake, InboxWatcher(root, WatchMode.POLLING), RESCAN, self.mailbox.put, lambda: None
        )

    def _check(self) -> None:
        self.entered.release()
        self.open.wait()
        if self.refusal is not None:
            raise self.refusal

    def start(self) -> None:
        self.lookout.start_if_due(dict)

    def look(self) -> ScanResult | None:
        """One look, started and taken in."""
        self.start()
        (looked,) = self.mailbox.collect(60)
        return self.lookout.learn(looked)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    post = Post(tmp_path)
    yield post
    post.open.set()


def test_the_first_look_is_due_at_once_and_the_next_after_the_rescan_time(post):
    assert post.lookout.wait <= 0
    assert post.look() is not None
    assert SOON < post.lookout.wait <= RESCAN


def test_a_look_that_is_not_due_is_not_started(post):
    post.look()
    post.start()
    assert post.lookout.looking_since is None


def test_a_nudge_brings_the_next_look_forward(post):
    post.look()
    post.lookout.nudge()
    assert post.lookout.wait < SOON


def test_a_pair_that_settles_brings_the_next_look_forward(tmp_path):
    post = Post(tmp_path, settle_seconds=5.0)
    (tmp_path / "beach.jpg").write_text("x")
    post.look()
    assert post.lookout.wait < SOON


def test_looks_go_on_one_at_a_time(post):
    post.open.clear()
    post.start()
    post.entered.acquire()
    assert post.lookout.looking_since is not None
    assert post.lookout.wait == float("inf")
    post.lookout.nudge()
    post.start()
    post.open.set()
    assert len(post.mailbox.collect(60)) == 1
    assert not post.entered.acquire(blocking=False) or not post.entered.acquire(blocking=False)


def test_what_happens_during_a_look_is_looked_at_again_soon(post):
    post.open.clear()
    post.start()
    post.entered.acquire()
    post.lookout.nudge()
    post.open.set()
    (looked,) = post.mailbox.collect(60)
    post.lookout.learn(looked)
    assert post.lookout.wait < SOON


def test_a_nudge_before_a_look_is_answered_by_it(post):
    post.lookout.nudge()
    post.look()
    assert post.lookout.wait > SOON


def test_what_was_seen_is_remembered(post, tmp_path):
    (tmp_path / "notes.pdf").write_text("x")
    look = post.look()
    assert post.lookout.last is look
    assert [waiting.path for waiting in look.waiting] == ["notes.pdf"]


def test_known_pairs_are_asked_for_when_a_look_starts(post, tmp_path):
    (tmp_path / "beach.jpg").write_text("x")
    known = post.look().scan.present
    post.lookout.nudge()
    asked: list[Callable[[], object]] = []

    def tell():
        asked.append(tell)
        return known

    while not asked:
        post.lookout.start_if_due(tell)
    (looked,) = post.mailbox.collect(60)
    assert post.lookout.learn(looked).new == ()


class TestTrouble:
    def test_it_is_told_once_kept_and_tried_again_soon(self, post, caplog):
        caplog.set_level(logging.INFO)
        post.refusal = Blocked("not mounted", "Mount it.")
        assert post.look() is None
        assert str(post.lookout.trouble) == "not mounted"
        assert post.lookout.wait < SOON
        post.lookout.learn(ScanDone(0.0, 0.0, Blocked("not mounted", "Mount it.")))
        assert caplog.text.count("the inbox cannot be read: not mounted") == 1

    def test_it_is_over_with_the_next_look_and_what_was_seen_before_is_kept(self, post, caplog):
        caplog.set_level(logging.INFO)
        before = post.look()
        post.lookout.learn(ScanDone(0.0, 0.0, Blocked("not mounted", "Mount it.")))
        assert post.lookout.last is before
        post.lookout.learn(ScanDone(0.0, 0.0, before))
        assert post.lookout.trouble is None
        assert "can be read again" in caplog.text

    def test_a_fault_of_ours_is_trouble_too_and_not_the_end(self, post, caplog):
        post.refusal = ZeroDivisionError()
        assert post.look() is None
        assert str(post.lookout.trouble) == "a fault in sorawatch: ZeroDivisionError"
        assert "Traceback" in caplog.text
        post.refusal = None
        while post.lookout.wait > 0:
            post.lookout.nudge()
        assert post.look() is not None

    def test_a_look_that_hangs_is_trouble_until_it_ends(self, post, monkeypatch):
        monkeypatch.setattr("sorawatch.daemon.intake.scan_scheduler._PATIENCE", 0.2)
        post.open.clear()
        post.start()
        post.entered.acquire()
        assert post.lookout.trouble is None
        assert 0 < post.lookout.hangs_in <= 0.2
        wait_until(lambda: post.lookout.hangs_in <= 0)
        assert "does not answer" in str(post.lookout.trouble)
        post.open.set()
        (looked,) = post.mailbox.collect(60)
        assert post.lookout.learn(looked) is not None
        assert post.lookout.trouble is None
        assert post.lookout.hangs_in == float("inf")
