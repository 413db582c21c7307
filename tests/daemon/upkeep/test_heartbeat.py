"""What a service manager hears: over a real socket, of real threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sorawatch.config import WatchMode
from sorawatch.core import outcome as o
from sorawatch.core.job import Job, Pair, Stamp, State
from sorawatch.core.lifecycle import Action
from sorawatch.core.sidecar import OrderSettings
from sorawatch.daemon.actions.executor import ActionDone, Executor
from sorawatch.daemon.intake.scan import InboxScanner
from sorawatch.daemon.intake.scan_scheduler import ScanDone, ScanScheduler
from sorawatch.daemon.intake.watcher import InboxWatcher
from sorawatch.daemon.mailbox import Mailbox
from sorawatch.daemon.upkeep.heartbeat import Heartbeat
from sorawatch.edges.inbox import Inbox
from sorawatch.edges.sd_notify import ServiceManager, is_started_by_systemd
from tests.support.service_manager import Notified, listening
from tests.support.workspace import Workspace, wait_until

WATCHDOG = 0.2
JOB = Job("a", State.SUBMITTING, Pair("", "a.jpg", Stamp(1, 1)), created_at=1, due_at=1, changed_at=1, token="t")


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notified]:
    with listening(str(tmp_path / "notify")) as notified:
        monkeypatch.setenv("NOTIFY_SOCKET", notified.address)
        monkeypatch.setenv("WATCHDOG_USEC", str(round(WATCHDOG * 1e6)))
        yield notified


class Loop:
    """The parts of a daemon that a sign of life vouches for."""

    def __init__(self, folder: Path) -> None:
        self.mailbox: Mailbox[ActionDone | ScanDone] = Mailbox()
        self.released = threading.Event()
        self.hangs = False
        self.outcome: BaseException | None = None
        inbox = Inbox(folder, ignore=(), settle_seconds=0.01)
        intake, vigil = (
            InboxScanner(inbox, OrderSettings(), {}, self._check, sidecar_grace_seconds=0),
            InboxWatcher(folder, WatchMode.POLLING),
        )
        self.lookout = ScanScheduler(intake, vigil, 0.01, self.mailbox.put, lambda: None)
        self.hands = Executor(self._perform, self.mailbox.put)
        self.pulse = Heartbeat(ServiceManager(os.environ))

    def look(self) -> None:
        wait_until(lambda: self.lookout.due_in <= 0)
        self.lookout.start_if_due(dict)
        (looked,) = self.mailbox.collect(60)
        assert isinstance(looked, ScanDone)
        self.lookout.ended(looked)

    def beat(self) -> None:
        self.pulse.beat(self.hands, self.lookout)

    def _check(self) -> None:
        if self.hangs:
            self.released.wait()

    def _perform(self, action: Action, job: Job) -> o.Outcome:
        if self.outcome is not None:
            raise self.outcome
        self.released.wait()
        return o.Accepted("video")


@pytest.fixture
def loop(tmp_path: Path, heard: Notified) -> Iterator[Loop]:
    (tmp_path / "inbox").mkdir()
    loop = Loop(tmp_path / "inbox")
    yield loop
    loop.released.set()


def test_ready_comes_with_the_end_of_the_first_look(loop: Loop, heard: Notified) -> None:
    loop.beat()
    heard.wait_for_names()
    loop.look()
    loop.beat()
    heard.wait_for_names("READY")
    loop.beat()
    heard.wait_for_names("READY", "WATCHDOG")


def test_an_inbox_that_cannot_be_read_is_no_reason_not_to_be_ready(loop: Loop, heard: Notified, tmp_path: Path) -> None:
    (tmp_path / "inbox").rmdir()
    loop.look()
    loop.beat()
    heard.wait_for_names("READY")


def test_a_look_that_hangs_lets_the_watchdog_bite(
    loop: Loop, heard: Notified, caplog: pytest.LogCaptureFixture
) -> None:
    loop.look()
    loop.beat()
    loop.hangs = True
    wait_until(lambda: loop.lookout.due_in <= 0)
    loop.lookout.start_if_due(dict)
    loop.beat()
    heard.wait_for_names("READY", "WATCHDOG")
    wait_until(lambda: loop.lookout.scanning_for > WATCHDOG)
    loop.beat()
    loop.beat()
    heard.wait_for_names("READY", "WATCHDOG")
    wait_until(lambda: "a scan of the inbox has not ended" in heard.messages[-1]["STATUS"])
    assert caplog.text.count("no more heartbeats") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_lets_the_watchdog_bite(loop: Loop, heard: Notified) -> None:
    loop.look()
    loop.beat()
    loop.outcome = SystemExit()
    loop.hands.start(Action.ARCHIVE, JOB)
    wait_until(lambda: not loop.hands.is_alive)
    loop.beat()
    heard.wait_for_names("READY")
    heard.wait_for("STATUS", "a worker thread has died")


def test_a_slow_upload_does_not(loop: Loop, heard: Notified) -> None:
    loop.look()
    loop.hands.start(Action.SUBMIT, JOB)
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2 * WATCHDOG)
    loop.beat()
    loop.beat()
    heard.wait_for_names("READY", "WATCHDOG")


def test_nobody_needs_to_listen(loop: Loop, heard: Notified, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loop.look()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    loop.beat()
    monkeypatch.delenv("NOTIFY_SOCKET")
    pulse = Heartbeat(ServiceManager(os.environ))
    pulse.beat(loop.hands, loop.lookout)
    pulse.stopping(1)


def test_the_loop_rests_no_longer_than_the_watchdog_bears(heard: Notified, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Heartbeat(ServiceManager(os.environ)).interval < WATCHDOG / 2
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert ServiceManager(os.environ).watchdog_seconds is None
    monkeypatch.delenv("WATCHDOG_USEC")
    assert Heartbeat(ServiceManager(os.environ)).interval == 30


def test_messages_are_as_the_manual_has_them(heard: Notified) -> None:
    manager = ServiceManager(os.environ)
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading()
    manager.extend(1.5)
    manager.status("two\nlines of caf\udce9")
    reloading, extend, status = wait_until(lambda: len(heard.messages) == 3 and heard.messages)
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert extend["EXTEND_TIMEOUT_USEC"] == "1500000"
    assert status == {"STATUS": r"two lines of caf\udce9"}


def test_a_socket_in_the_abstract_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(f"@sorawatch-test-{os.getpid()}") as heard:
        monkeypatch.setenv("NOTIFY_SOCKET", heard.address)
        ServiceManager(os.environ).ready("all is well")
        assert heard.wait_for("READY") == {"READY": "1", "STATUS": "all is well"}


def test_only_the_process_that_systemd_started_is_the_service() -> None:
    assert is_started_by_systemd({"SYSTEMD_EXEC_PID": str(os.getpid())})
    assert not is_started_by_systemd({"SYSTEMD_EXEC_PID": "1"})
    assert not is_started_by_systemd({})


def test_a_daemon_tells_how_things_stand_until_it_stops(stalled_workspace: Workspace) -> None:
    workspace = stalled_workspace
    workspace.set("limits", usd_per_day=1)
    workspace.drop("first.jpg")
    workspace.drop("second.jpg")
    with listening(str(workspace.root / "notify")) as heard:
        daemon = workspace.spawn("run", env={"NOTIFY_SOCKET": heard.address, "WATCHDOG_USEC": "60000000"})
        heard.wait_for("READY")
        reason = "limits.usd_per_day of $1.00 is reached: $0.80 spent or reserved, the next clip costs $0.80"
        line = f"1 rendering, 1 waiting, $0.80 of $1 today; nothing is submitted: {reason}"
        assert heard.wait_for("STATUS", line)["WATCHDOG"] == "1"
        heard.messages.clear()
        daemon.terminate()
        heard.wait_for("STOPPING")
        daemon.communicate(timeout=60)
    assert daemon.returncode == 0
